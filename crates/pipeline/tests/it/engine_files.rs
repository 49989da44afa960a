//! The files of the test's world.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use model::request::{FileSet, FoundFile};
use pipeline::conformance::ant_matches;

pub fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn append(path: &str, bytes: &[u8]) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    std::io::Write::write_all(&mut file.unwrap(), bytes).unwrap();
}

/// The files of a set, with their paths below its folder.
pub fn collect(set: &FileSet) -> Vec<(String, Vec<u8>)> {
    let files = list(set).into_iter().filter(|file| !file.is_folder);
    files.map(|file| (file.path.clone(), fs::read(Path::new(&set.dir).join(file.path)).unwrap())).collect()
}

/// What a set fits, folders too.
pub fn list(set: &FileSet) -> Vec<FoundFile> {
    let patterns = |text: &str| text.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect();
    let (mut includes, excludes): (Vec<String>, Vec<String>) = (patterns(&set.includes), patterns(&set.excludes));
    if includes.is_empty() {
        includes.push("**".to_owned());
    }
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(&set.dir)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let is_folder = entry.path().is_dir();
            if is_folder {
                folders.push(entry.path());
            }
            let name = entry.path().strip_prefix(&set.dir).unwrap().to_string_lossy().into_owned();
            let any = |list: &[String]| list.iter().any(|p| ant_matches(p, &name, true));
            if any(&includes) && !any(&excludes) {
                let metadata = entry.metadata().unwrap();
                let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let bytes = if is_folder { 0 } else { metadata.len() };
                found.push(FoundFile { path: name, is_folder, bytes, modified_s: modified.as_secs() as i64 });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Writes a file, with the folders above it.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    fs::create_dir_all(path.parent().unwrap()).map_err(said)?;
    fs::write(path, bytes).map_err(said)
}
