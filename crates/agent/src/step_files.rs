//! The folder of a project in which it has steps of its own.
//!
//! A project may be a stranger's. So what is read of it are plain files of that folder, and through no link: text that lies elsewhere on this
//! machine would come into a sandbox. What is in them is read where definitions are (`pipeline::added`).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::added_step::{MAX_ALL_BYTES, MAX_STEPS, MAX_TEXT_BYTES, StepFile};

use crate::scm::Objects;

/// Where a project has its steps.
const FOLDER: [&str; 2] = [".cofferdam", "steps"];
/// Files that are looked at: a manifest and what it names.
const MOST_FILES: usize = 2 * MAX_STEPS;

/// The folder of a project, if it has one.
pub fn own_steps(project: &Path) -> Option<PathBuf> {
    FOLDER.iter().try_fold(project.to_owned(), |at, part| {
        let path = at.join(part);
        path.symlink_metadata().is_ok_and(|found| found.is_dir()).then_some(path)
    })
}

/// Its plain files of text, by their names, as far as they are not too long to be part of a step.
///
/// # Errors
/// The folder cannot be read, or has too many files.
pub fn step_files(folder: &Path) -> std::io::Result<Vec<StepFile>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
        if names.len() > MOST_FILES {
            return Err(too_many());
        }
    }
    names.sort();
    let read = |name: String| Some(StepFile { text: text(&folder.join(&name))?, name });
    bounded(names.into_iter().filter_map(read))
}

/// The same of a commit.
///
/// # Errors
/// The folder has too many files.
pub(crate) async fn of_commit(objects: &mut Objects, commit: &str) -> std::io::Result<Vec<StepFile>> {
    let folder = FOLDER.join("/");
    let found = objects.folder(&format!("{commit}:{folder}"), (MOST_FILES, MAX_TEXT_BYTES)).await;
    let found = found.ok_or_else(too_many)?;
    bounded(
        found.into_iter().filter_map(|(name, content)| Some(StepFile { name, text: String::from_utf8(content).ok()? })),
    )
}

fn too_many() -> std::io::Error {
    std::io::Error::other(format!("a folder of steps has at most {MOST_FILES} files"))
}

/// Those files, if they are not too long for one run.
fn bounded(files: impl Iterator<Item = StepFile>) -> std::io::Result<Vec<StepFile>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for file in files {
        bytes += file.text.len();
        if bytes > MAX_ALL_BYTES {
            return Err(std::io::Error::other(format!("a folder of steps has at most {} MiB", MAX_ALL_BYTES >> 20)));
        }
        all.push(file);
    }
    Ok(all)
}

/// The text of a file that is no link.
fn text(path: &Path) -> Option<String> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(MAX_TEXT_BYTES as u64 + 1).read_to_string(&mut text).ok()?;
    (text.len() <= MAX_TEXT_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scm::git::tests::repository;

    #[tokio::test]
    async fn those_of_a_commit_are_the_same() {
        let Some((folder, git)) = repository() else { return };
        let steps = folder.path().join(".cofferdam/steps");
        std::fs::create_dir_all(steps.join("deeper")).unwrap();
        for (name, text) in [("a.toml", "groovy = 'x'"), ("x", "def call() {}"), ("deeper/y", "")] {
            std::fs::write(steps.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/hostname", steps.join("z")).unwrap();
        std::fs::write(steps.join("binary"), [0xff]).unwrap();
        git(&["add", "."]);
        git(&["commit", "-qm", "steps"]);
        let mut objects = Objects::open(folder.path()).unwrap();
        let found = of_commit(&mut objects, "HEAD").await.unwrap();
        let names: Vec<_> = found.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names, &found), (vec!["a.toml", "x"], &step_files(&steps).unwrap()));
        git(&["rm", "-rq", "."]);
        git(&["commit", "-qm", "none"]);
        assert_eq!(of_commit(&mut objects, "HEAD").await.unwrap(), []);
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let (project, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(own_steps(project.path()), None);
        std::fs::create_dir(elsewhere.path().join("steps")).unwrap();
        std::fs::write(elsewhere.path().join("steps/a.toml"), "groovy = 'x'").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", elsewhere.path().join("steps/x")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), project.path().join(".cofferdam")).unwrap();
        assert_eq!(own_steps(project.path()), None, "a link is none");
        let files = step_files(&elsewhere.path().join("steps")).unwrap();
        assert_eq!(files, [StepFile { name: "a.toml".to_owned(), text: "groovy = 'x'".to_owned() }]);
        for number in 0..=MOST_FILES {
            std::fs::write(elsewhere.path().join(format!("steps/{number}")), "").unwrap();
        }
        assert!(step_files(&elsewhere.path().join("steps")).is_err());
    }
}
