//! What a project is told in confidence: in no file of the server's, and lost to whoever has not the key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use super::place::Place;
use crate::project::{Ran, cofferdam, finish};

const SECRET: &str = "a-secret-of-the-hook";

/// Whether a file below the folder has it.
fn lies_in(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => lies_in(&path),
        path => fs::read(path).unwrap().windows(SECRET.len()).any(|window| window == SECRET.as_bytes()),
    })
}

/// A server that is to refuse.
fn refused(place: &Place, words: &[&str]) -> Ran {
    let mut command = cofferdam();
    command.args(["server", "--listen", &format!("127.0.0.1:{}", place.port), "--data"]);
    command.arg(place.folder.path().join("server")).args(words).stdin(Stdio::null());
    let ran = finish(command.output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    ran
}

#[test]
fn secrets_of_projects_are_sealed() {
    let mut place = Place::new();
    let (data, outside) = (place.folder.path().join("server"), place.folder.path().join("hook"));
    fs::write(&outside, SECRET).unwrap();
    let words = ["--git", "https://example.org/a.git", "--hook", "github", "--hook-secret-file"];
    let put = place.ask(&[&["projects", "put", "app"], &words[..], &[outside.to_str().unwrap()]].concat());
    assert_eq!(put.code, 0, "{put:?}");
    fs::remove_file(&outside).unwrap();
    let backup = place.folder.path().join("backup");
    let kept = finish(cofferdam().arg("backup").arg(&backup).arg("--data").arg(&data).output().unwrap());
    assert_eq!(kept.code, 0, "{kept:?}");
    let text = String::from_utf8(zstd::decode_all(fs::File::open(&backup).unwrap()).unwrap()).unwrap();
    assert!(text.contains("sealed:1:") && !text.contains(SECRET) && !lies_in(place.folder.path()));
    let own = data.join("sealing-key");
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    place.kill_server();

    // Another one, and nobody says so.
    let former = place.folder.path().join("former");
    fs::rename(&own, &former).unwrap();
    let ran = refused(&place, &[]);
    assert!(ran.stderr.contains("sealed with the key") && ran.stderr.contains("--former-key-file"), "{ran:?}");
    let new = place.folder.path().join("new");
    fs::write(&new, "no key").unwrap();
    let ran = refused(&place, &["--key-file", new.to_str().unwrap()]);
    assert!(ran.stderr.contains("64 hexadecimal digits") && !ran.stderr.contains("no key\n"), "{ran:?}");
    refused(&place, &["--key-file", "/not/there"]);
    fs::write(&new, format!("cfs_{}\n", "0f".repeat(32))).unwrap();
    place.words =
        ["--key-file", new.to_str().unwrap(), "--former-key-file", former.to_str().unwrap()].map(str::to_owned).into();
    place.start_server();
    assert!(place.ask(&["projects", "ls"]).stdout.contains("app"), "{}", place.logs());
    place.kill_server();
    // From then on the former one is needed no more, and does no more.
    place.words.truncate(2);
    place.start_server();
    assert!(place.ask(&["projects", "ls"]).stdout.contains("app"), "{}", place.logs());
    place.kill_server();
    refused(&place, &["--key-file", former.to_str().unwrap()]);
}
