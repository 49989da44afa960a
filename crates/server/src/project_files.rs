//! Projects that an operator writes in files: `FOLDER/team/app.toml` is the project `team/app`, in the words of the API.
//!
//! They are read at the start, where one that cannot be is an error, and again when they change, where it is a warning and what was said before
//! stays. The API changes none of them. A file that is gone takes nothing with it: the runs of its project are kept, and the API may change it.
//!
//! A string that is `${env:NAME}` or `${file:PATH}` stands for what is there, so that no secret lies among them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use store::Actor;

use crate::app::App;
use crate::config::ProjectConfig;
use crate::projects;

/// How often is looked whether they have changed.
const LOOK: Duration = Duration::from_secs(2);
/// Folders in each other.
const MAX_DEPTH: usize = 8;
/// The largest file of either kind, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Which projects files say, and what was taken of them.
#[derive(Default)]
pub(crate) struct ProjectFiles {
    files: Mutex<BTreeMap<String, PathBuf>>,
    taken: Mutex<BTreeMap<String, ProjectConfig>>,
}

impl ProjectFiles {
    /// The file that says what a project is.
    pub(crate) fn of(&self, project: &str) -> Option<PathBuf> {
        lock(&self.files).get(project).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until the server ends: what has changed is taken.
pub(crate) async fn watch(app: Arc<App>) {
    let mut said = Vec::new();
    while app.config.projects.is_some() {
        tokio::time::sleep(LOOK).await;
        let wrong = take(&app).await;
        wrong.iter().filter(|what| !said.contains(*what)).for_each(|what| tracing::warn!("a project's file: {what}"));
        said = wrong;
    }
}

/// Reads all of them, for what they stand for may have changed too, and takes what is another than before; what is wrong with which.
pub(crate) async fn take(app: &Arc<App>) -> Vec<String> {
    let Some(folder) = app.config.projects.clone() else { return Vec::new() };
    let found = tokio::task::spawn_blocking(move || {
        let found = find(&folder)?;
        Ok(found.into_iter().map(|(name, path)| (name, read(&path), path)).collect::<Vec<_>>())
    });
    let found = match found.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(found) => found,
        Err(error) => return vec![error],
    };
    let ours = &app.project_files;
    *lock(&ours.files) = found.iter().map(|(name, _, path)| (name.clone(), path.clone())).collect();
    lock(&ours.taken).retain(|name, _| found.iter().any(|(there, ..)| there == name));
    let mut wrong = Vec::new();
    for (name, config, path) in found {
        let of = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        match config {
            Err(error) => wrong.push(of(&error)),
            Ok(config) if lock(&ours.taken).get(&name) == Some(&config) => {}
            Ok(config) => match projects::put(app, &Actor(format!("file:{}", path.display())), &name, &config).await {
                Err(error) => wrong.push(of(&error)),
                Ok(_) => drop(lock(&ours.taken).insert(name, config)),
            },
        }
    }
    wrong
}

/// The files of a folder, by what their projects are called.
fn find(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![(folder.to_owned(), String::new(), 0)]);
    while let Some((folder, before, depth)) = folders.pop() {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What is mounted from elsewhere has folders with such names, and links that lead there.
            if name.starts_with('.') {
                continue;
            }
            if fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(format!("{}: more than {MAX_DEPTH} folders in each other", path.display()));
                }
                folders.push((path, format!("{before}{name}/"), depth + 1));
                continue;
            }
            let Some(project) = name.strip_suffix(".toml").or_else(|| name.strip_suffix(".json")) else { continue };
            if let Some(other) = found.insert(format!("{before}{project}"), path.clone()) {
                return Err(format!("{} and {} are of one project", other.display(), path.display()));
            }
        }
    }
    Ok(found)
}

/// What a file says.
fn read(path: &Path) -> Result<ProjectConfig, String> {
    let mut value: Value = match path.extension().is_some_and(|extension| extension == "toml") {
        true => toml::from_str(&text(path)?).map_err(|error| error.to_string())?,
        false => serde_json::from_str(&text(path)?).map_err(|error| error.to_string())?,
    };
    fill(&mut value)?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_BYTES {
        return Err(format!("{}: {bytes} bytes, and {MAX_BYTES} is the most", path.display()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Puts in what strings stand for.
fn fill(value: &mut Value) -> Result<(), String> {
    match value {
        Value::String(string) => {
            let Some(inner) = string.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else { return Ok(()) };
            *string = match inner.split_once(':') {
                Some(("env", name)) => std::env::var(name).map_err(|_| format!("there is no variable {name}"))?,
                Some(("file", path)) => text(Path::new(path))?.trim_end_matches('\n').to_owned(),
                _ => return Err(format!("{string} stands for nothing: `${{env:NAME}}` or `${{file:PATH}}`")),
            };
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(fill),
        Value::Object(fields) => fields.values_mut().try_for_each(fill),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_names_of_their_projects() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        ["app.toml", "team/web.json", "team/README.md", "..data/hidden.toml", ".git/x.json"]
            .into_iter()
            .for_each(write);
        let names = || find(folder.path()).map(|found| found.into_keys().collect::<Vec<_>>());
        assert_eq!(names().unwrap(), ["app", "team/web"]);
        write("team/web.toml");
        assert!(names().unwrap_err().contains("are of one project"));
        assert!(find(&folder.path().join("none")).is_err());
    }

    #[test]
    fn strings_stand_for_what_is_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "two\nlines\n").unwrap();
        let filled = |text: String| {
            let mut value = serde_json::json!({ "a": [{ "b": text }] });
            fill(&mut value).map(|()| value["a"][0]["b"].as_str().unwrap().to_owned())
        };
        assert_eq!(filled(format!("${{file:{}}}", file.display())).unwrap(), "two\nlines");
        assert_eq!(filled("${env:PATH}".into()).unwrap(), std::env::var("PATH").unwrap());
        assert_eq!(filled("a ${env:PATH} b".into()).unwrap(), "a ${env:PATH} b");
        for wrong in ["${env:COFFERDAM_NO_SUCH}", "${file:/nowhere}", "${vault:x}", "${x}"] {
            assert!(filled(wrong.into()).is_err(), "{wrong}");
        }
    }
}
