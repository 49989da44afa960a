//! `cofferdam run` of a pipeline with one step, as a cold process, against `docker run --rm` with the same command.

use std::path::Path;
use std::process::Command;

use super::measure::{Contender, Table};
use super::peers::{self, Docker, run};

pub fn measure(scratch: &Path) -> Table {
    let mut table = Table::new("a pipeline with one step, whole process");
    table.pause = std::time::Duration::from_millis(150);
    let root = match peers::busybox_root(scratch) {
        Ok(root) if peers::is_root() => root,
        _ => {
            table.notes.push("skipped: needs root and busybox-static".to_owned());
            return table;
        }
    };
    let cofferdam = env!("CARGO_BIN_EXE_cofferdam");
    let home = scratch.join("home");
    let project = scratch.join("one-step");
    let prepared = prepare(&project).and_then(|()| {
        let archive = super::pulls::docker_archive(scratch, &root, "bench/busybox:1")?;
        run(Command::new(cofferdam).arg("--home").arg(&home).args(["image", "import"]).arg(archive))
    });
    if let Err(error) = prepared {
        table.notes.push(format!("skipped: {error}"));
        return table;
    }
    let docker = Docker::with_busybox(scratch, &root);
    let ours = |file: &'static str, network: &'static str| {
        let (home, project) = (home.clone(), project.clone());
        move || {
            run(Command::new(cofferdam)
                .arg("--home")
                .arg(&home)
                .args(["run", "--progress", "quiet", "--network", network, "-f", file])
                .arg(&project))
        }
    };
    let mut contenders = vec![
        Contender::new("cofferdam run (network)", ours("Jenkinsfile", "internet")),
        Contender::new("cofferdam run --network none", ours("Jenkinsfile", "none")),
        Contender::new("cofferdam run --network none, agent any", ours("Jenkinsfile.any", "none")),
    ];
    match &docker {
        Ok(docker) => contenders.push(
            Contender::new("docker run --rm", || {
                run(docker.command().args(["run", "--rm", "bench/busybox:1", "sh", "-xec", "true"]))
            })
            .every(2),
        ),
        Err(error) => table.notes.push(format!("skipped: docker: {error}")),
    }
    table.interleave(20, contenders);
    table.ratio_to = Some("docker run --rm".to_owned());
    table
}

fn prepare(project: &Path) -> Result<(), String> {
    let definition = |agent: &str| {
        format!(
            "pipeline {{ agent {agent} options {{ skipDefaultCheckout() }} stages {{ stage('One') {{ steps {{ sh 'true' }} }} }} }}\n"
        )
    };
    std::fs::create_dir_all(project)
        .and_then(|()| std::fs::write(project.join("Jenkinsfile"), definition("{ docker 'bench/busybox:1' }")))
        .and_then(|()| std::fs::write(project.join("Jenkinsfile.any"), definition("any")))
        .map_err(|error| error.to_string())
}
