//! Pull and unpack from one registry on loopback: ours against `docker pull`; unpack alone against `tar -xzf` and umoci.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::measure::{Contender, Table};
use super::peers::{self, Docker, run};

const PORT: u16 = 15029;

const PULL: &str = "cofferdam image pull (both digests checked)";
const IMPORT: &str = "cofferdam image import (both digests checked)";

pub fn measure(scratch: &Path) -> Table {
    with_prepared(scratch, Table::new("pull and unpack from a registry on loopback"), Prepared::measure_pulls)
}

/// Unpack alone, pinned to one core.
pub fn measure_unpacking(scratch: &Path) -> Table {
    with_prepared(scratch, Table::new("unpack a gzip layer on one core"), Prepared::measure_unpacking)
}

fn with_prepared(scratch: &Path, mut table: Table, measure: fn(&Prepared, &Path, &mut Table)) -> Table {
    if !peers::is_root() {
        table.notes.push("skipped: needs root".to_owned());
        return table;
    }
    match prepare(scratch) {
        Ok(prepared) => measure(&prepared, scratch, &mut table),
        Err(error) => table.notes.push(format!("skipped: {error}")),
    }
    table
}

/// A registry with an image of Debian's compilers in it.
struct Prepared {
    registry: Child,
    layer: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

fn prepare(scratch: &Path) -> Result<Prepared, String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let data = scratch.join("registry");
    let registry = Command::new(scripts.join("local-registry.sh"))
        .arg(PORT.to_string())
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut prepared = Prepared { registry, layer: PathBuf::new() };
    let address = format!("127.0.0.1:{PORT}");
    run(Command::new("curl")
        .args(["-sf", "-o", "/dev/null", "--retry", "50", "--retry-delay", "1", "--retry-connrefused"])
        .arg(format!("http://{address}/v2/")))?;
    let blobs = data.join("data/docker/registry/v2/blobs/sha256");
    if !blobs.exists() {
        let image = ["bench/compilers", "1", "build-essential"];
        run(Command::new(scripts.join("debian-image.sh")).arg(&address).args(image))?;
    }
    let find = Command::new("find")
        .arg(blobs)
        .args(["-name", "data", "-size", "+10M"])
        .output()
        .map_err(|error| error.to_string())?;
    let layer = String::from_utf8_lossy(&find.stdout).lines().next().map(PathBuf::from);
    prepared.layer = layer.ok_or("the registry has no layer")?;
    Ok(prepared)
}

impl Prepared {
    fn measure_pulls(&self, scratch: &Path, table: &mut Table) {
        let cofferdam = env!("CARGO_BIN_EXE_cofferdam");
        let image = image();
        let docker = Docker::start(scratch);
        let home = scratch.join("pull-home");
        let mut contenders = vec![
            Contender::new(PULL, || {
                run(Command::new(cofferdam).arg("--home").arg(&home).args(["image", "pull", &image]))
            })
            .before(|| fresh(&home)),
        ];
        match &docker {
            Ok(docker) => contenders.push(
                Contender::new("docker pull", || run(docker.command().args(["pull", "-q", &image]))).before(|| {
                    let _ = docker.command().args(["rmi", "-f", &image]).output();
                }),
            ),
            Err(error) => table.notes.push(format!("skipped: docker: {error}")),
        }
        table.interleave(3, contenders);
        table.ratio_to = Some(PULL.to_owned());
    }

    fn measure_unpacking(&self, scratch: &Path, table: &mut Table) {
        let on_one_core = |program: &str| {
            let mut command = Command::new("taskset");
            command.args(["-c", "0", program]);
            command
        };
        let (home, target, bundle) = (scratch.join("import-home"), scratch.join("untar"), scratch.join("umoci"));
        let layout = scratch.join("layout");
        let copied = run(Command::new("skopeo")
            .args(["copy", "--src-tls-verify=false"])
            .arg(format!("docker://{}", image()))
            .arg(format!("oci:{}:1", layout.display())));
        if let Err(error) = copied {
            table.notes.push(format!("skipped: {error}"));
            return;
        }
        let contenders = vec![
            Contender::new(IMPORT, || {
                let import = ["image", "import", "--name", "bench/compilers:1"];
                run(on_one_core(env!("CARGO_BIN_EXE_cofferdam")).arg("--home").arg(&home).args(import).arg(&layout))
            })
            .before(|| fresh(&home)),
            Contender::new("tar -xzf of the layer, no digest", || {
                run(on_one_core("tar").arg("-xzf").arg(&self.layer).arg("-C").arg(&target))
            })
            .before(|| {
                fresh(&target);
                let _ = std::fs::create_dir_all(&target);
            }),
            Contender::new("umoci unpack", || {
                run(on_one_core("umoci")
                    .args(["unpack", "--image"])
                    .arg(format!("{}:1", layout.display()))
                    .arg(&bundle))
            })
            .before(|| fresh(&bundle)),
        ];
        table.interleave(3, contenders);
        table.ratio_to = Some(IMPORT.to_owned());
    }
}

fn image() -> String {
    format!("127.0.0.1:{PORT}/bench/compilers:1")
}

fn fresh(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
}

/// An archive as `docker save` writes it, with the folder as its one layer.
pub fn docker_archive(scratch: &Path, root: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = scratch.join("archive");
    let archive = scratch.join("archive.tar");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    run(Command::new("tar")
        .args(["--owner=0", "--group=0", "-C"])
        .arg(root)
        .arg("-cf")
        .arg(folder.join("layer.tar"))
        .arg("."))?;
    let sum = Command::new("sha256sum").arg(folder.join("layer.tar")).output().map_err(|error| error.to_string())?;
    let digest = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().unwrap_or_default().to_owned();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": { "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = serde_json::json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]);
    std::fs::write(folder.join("config.json"), config.to_string())
        .and_then(|()| std::fs::write(folder.join("manifest.json"), manifest.to_string()))
        .map_err(|error| error.to_string())?;
    run(Command::new("tar").arg("-C").arg(&folder).arg("-cf").arg(&archive).args([
        "manifest.json",
        "config.json",
        "layer.tar",
    ]))?;
    Ok(archive)
}
