//! Images that are unusual, but work under Docker.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sandbox::session::{Output, Session};
use sandbox::{LayerSource, SandboxSpec};
use wire::init::{ExecSpec, Status, User};

use crate::place;

/// A folder for a layer, gone with the value.
struct Layer(PathBuf);

impl Layer {
    fn new(name: &str) -> Layer {
        let dir = place::base().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Layer(dir)
    }

    fn source(&self) -> LayerSource {
        LayerSource::Dir(self.0.clone())
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes the sandbox in time, and runs a line in its workspace as its user.
async fn run(layers: Vec<LayerSource>, workspace: &str, line: &str) -> Option<(String, Status)> {
    let local = place::local()?;
    let driver = local.container();
    let mut spec = SandboxSpec::image(layers);
    spec.workspace.path = workspace.to_owned();
    let made = tokio::time::timeout(Duration::from_secs(20), driver.create(spec)).await;
    let sandbox = made.expect("it is made in time").unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let session = Session::start(tokio::net::UnixStream::from_std(sandbox.stream).unwrap()).await.unwrap();
    let mut running = session
        .exec(ExecSpec {
            argv: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
            env: vec![("PATH".into(), "/bin".into())],
            cwd: workspace.to_owned(),
            user: User { uid: sandbox.user.uid, gid: sandbox.user.gid, groups: Vec::new() },
            ..ExecSpec::default()
        })
        .await
        .unwrap();
    let mut text = Vec::new();
    while let Some(output) = running.next().await.unwrap() {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    let status = running.wait().await.unwrap().status;
    driver.destroy(sandbox.id).await.unwrap();
    Some((String::from_utf8_lossy(&text).into_owned(), status))
}

/// Build tools write an empty layer wherever a line of a Dockerfile changes no file.
#[tokio::test]
async fn a_layer_may_stand_in_an_image_several_times() {
    let Some(base) = place::image_dir() else { return };
    let (one, empty) = (Layer::new("one"), Layer::new("empty"));
    fs::write(one.0.join("who"), "one\n").unwrap();
    let two = Layer::new("two");
    fs::write(two.0.join("who"), "two\n").unwrap();
    let (one, two, empty) = (&one.source(), &two.source(), &empty.source());
    for (layers, expect) in [
        (vec![&base, empty, one, empty, empty], "one\n"),
        (vec![&base, one, two, one], "one\n"),
        (vec![one, &base, one, two], "two\n"),
    ] {
        let layers = layers.into_iter().cloned().collect();
        let Some((text, status)) = run(layers, "/workspace", "cat /who").await else { return };
        assert_eq!((text.as_str(), status), (expect, Status::Code(0)));
    }
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_of_users_is_no_trap() {
    let (Some(base), trap) = (place::image_dir(), Layer::new("pipes")) else { return };
    fs::create_dir(trap.0.join("etc")).unwrap();
    for file in ["passwd", "group", "hosts", "resolv.conf", "hostname"] {
        assert!(Command::new("mkfifo").arg(trap.0.join("etc").join(file)).status().unwrap().success());
    }
    let Some((text, status)) = run(vec![base, trap.source()], "/workspace", "echo alive").await else { return };
    assert_eq!((text.as_str(), status), ("alive\n", Status::Code(0)));
}

#[tokio::test]
async fn a_workspace_that_the_image_has_closed_can_be_written_to() {
    let (Some(base), closed) = (place::image_dir(), Layer::new("closed")) else { return };
    let folder = closed.0.join("workspace/project");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("file"), "of the image\n").unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let line = "touch new && cat file";
    let ran = run(vec![base, closed.source()], "/workspace/project", line).await;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let Some((text, status)) = ran else { return };
    assert_eq!((text.as_str(), status), ("of the image\n", Status::Code(0)));
}
