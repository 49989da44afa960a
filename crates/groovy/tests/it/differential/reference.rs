//! Runs scripts in the installed `groovy`.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Part;
use super::cases::Case;

const DRIVER: &str = include_str!("driver.groovy");

/// The version that Jenkins embeds.
const VERSION: &str = "2.4.21";

/// A folder that goes with its last user.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the `java` of the path is installed.
fn java_home() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let java = std::env::split_paths(&path).map(|p| p.join("java")).find(|p| p.exists())?;
    Some(std::fs::canonicalize(java).ok()?.parent()?.parent()?.to_path_buf())
}

/// What became of each script, by its id. `Err`: why it cannot run here.
pub fn run(cases: &[Case]) -> Result<HashMap<String, Vec<Part>>, String> {
    let missing = || "groovy or java is not installed".to_string();
    let home = java_home().ok_or_else(missing)?;
    let groovy = |args: &[&Path]| {
        Command::new("groovy")
            .args(args)
            .env("JAVA_HOME", &home)
            .env(
                "JAVA_OPTS",
                // Jenkins opens that package, too.
                "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dfile.encoding=UTF-8 -Duser.language=en -Duser.country=US \
                 --add-opens java.base/java.util=ALL-UNNAMED",
            )
            .stdin(Stdio::null())
            .output()
    };
    let version = groovy(&[Path::new("--version")]).map_err(|_| missing())?;
    if !String::from_utf8_lossy(&version.stdout).contains(VERSION) {
        return Err(missing());
    }
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Folder(std::env::temp_dir().join(format!("groovy-differential-{}-{n}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("a folder for the cases");
    let (driver, input, output) = (folder.0.join("driver.groovy"), folder.0.join("cases"), folder.0.join("answers"));
    std::fs::write(&driver, DRIVER).expect("the driver is written");
    let mut file = std::fs::File::create(&input).expect("the cases are written");
    for case in cases {
        write!(file, "{} {}\n{}", case.id, case.source.len(), case.source).expect("the cases are written");
    }
    let ran = groovy(&[&driver, &input, &output]).expect("groovy starts");
    assert!(ran.status.success(), "the driver failed: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(read(&std::fs::read(&output).expect("there are answers")))
}

fn read(bytes: &[u8]) -> HashMap<String, Vec<Part>> {
    let (mut out, mut at) = (HashMap::new(), 0);
    let line = |at: &mut usize| {
        let end = *at + bytes[*at..].iter().position(|b| *b == b'\n').expect("a line ends");
        let text = String::from_utf8_lossy(&bytes[*at..end]).into_owned();
        *at = end + 1;
        text
    };
    let text = |at: &mut usize, length: &str| {
        let length: usize = length.parse().expect("a length");
        *at += length;
        String::from_utf8_lossy(&bytes[*at - length..*at]).into_owned()
    };
    while at < bytes.len() {
        let header = line(&mut at);
        let (id, count) = header.split_once(' ').expect("id and count");
        let mut parts = Vec::new();
        for _ in 0..count.parse().expect("a count") {
            let header = line(&mut at);
            let words: Vec<&str> = header.split(' ').collect();
            let printed = text(&mut at, words[1]);
            let result = text(&mut at, words[2]);
            parts.push(Part { kind: words[0].to_string(), printed, result });
        }
        out.insert(id.to_string(), parts);
    }
    out
}
