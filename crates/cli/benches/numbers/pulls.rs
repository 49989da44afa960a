//! Pull and unpack from one registry on loopback: ours against `docker pull`; unpack alone against `tar -xzf` and umoci.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::measure::{Contender, Table};
use super::peers::{self, Docker, run};

const PORT: u16 = 15029;

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("pull and unpack from a registry on loopback");
    if !peers::is_root() {
        table.notes.push("skipped: needs root".to_owned());
        return table;
    }
    match prepare(scratch) {
        Ok(prepared) => prepared.measure(scratch, &mut table),
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
    run(Command::new(scripts.join("debian-image.sh")).arg(&address).args(["bench/compilers", "1", "build-essential"]))?;
    let blobs = data.join("data/docker/registry/v2/blobs/sha256");
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
    fn measure(&self, scratch: &Path, table: &mut Table) {
        let cofferdam = env!("CARGO_BIN_EXE_cofferdam");
        let image = format!("127.0.0.1:{PORT}/bench/compilers:1");
        let docker = Docker::start(scratch);
        let home = scratch.join("pull-home");
        let fresh = |path: &Path| {
            let _ = std::fs::remove_dir_all(path);
        };
        let target = scratch.join("untar");
        let layout = scratch.join("layout");
        let bundle = scratch.join("umoci");
        let mut contenders = vec![
            Contender::new("cofferdam image pull (both digests checked)", || {
                fresh(&home);
                run(Command::new(cofferdam).arg("--home").arg(&home).args(["image", "pull", &image]))
            }),
            Contender::new("tar -xzf of the same layer, no digest", || {
                fresh(&target);
                std::fs::create_dir_all(&target).map_err(|error| error.to_string())?;
                run(Command::new("tar").arg("-xzf").arg(&self.layer).arg("-C").arg(&target))
            }),
        ];
        let copied = run(Command::new("skopeo")
            .args(["copy", "--src-tls-verify=false"])
            .arg(format!("docker://{image}"))
            .arg(format!("oci:{}:1", layout.display())));
        match copied {
            Ok(()) => contenders.push(Contender::new("umoci unpack of the same layer", || {
                fresh(&bundle);
                run(Command::new("umoci")
                    .args(["unpack", "--image"])
                    .arg(format!("{}:1", layout.display()))
                    .arg(&bundle))
            })),
            Err(error) => table.notes.push(format!("skipped: umoci: {error}")),
        }
        match &docker {
            Ok(docker) => contenders.push(Contender::new("docker pull", || {
                let _ = docker.command().args(["rmi", "-f", &image]).output();
                run(docker.command().args(["pull", "-q", &image]))
            })),
            Err(error) => table.notes.push(format!("skipped: docker: {error}")),
        }
        table.interleave(3, contenders);
        table.ratio_to = Some("cofferdam image pull (both digests checked)".to_owned());
    }
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
