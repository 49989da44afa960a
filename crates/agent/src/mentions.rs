//! Texts of a project in which names of images stand.

use std::path::Path;

use crate::scm::Objects;

/// Looked at in the project's folder and those in it.
const MOST_FILES: usize = 64;
const MOST_BYTES: usize = 64 * 1024;

/// The same of a commit that no folder has.
pub(crate) async fn of_commit(definition: &str, objects: &mut Objects, commit: &str) -> String {
    let mut text = definition.to_owned();
    let is_near = |path: &Path| path.components().count() <= 2 && !path.parent().is_some_and(is_hidden_folder);
    for content in objects.near(commit, |path| is_near(path) && names_images(path), (MOST_FILES, MOST_BYTES)).await {
        text.push('\n');
        text.push_str(&content);
    }
    text
}

fn is_hidden_folder(folder: &Path) -> bool {
    folder.as_os_str().as_encoded_bytes().first() == Some(&b'.')
}

/// The definition, and what the project builds images and starts containers with. A file that cannot be read says nothing.
pub fn of_folder(definition: &str, project: &Path) -> String {
    let mut text = definition.to_owned();
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let top = entries(project);
    let below = top.iter().filter(|path| path.is_dir() && !is_hidden(path)).flat_map(|folder| entries(folder));
    let all = top.iter().cloned().chain(below);
    for path in all.filter(|path| names_images(path) && path.is_file()).take(MOST_FILES) {
        let content = std::fs::read_to_string(&path).unwrap_or_default();
        text.push('\n');
        text.extend(content.chars().take(MOST_BYTES));
    }
    text
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

fn names_images(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    name.contains("dockerfile") || name.contains("containerfile") || (name.contains("compose") && is_yaml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_images_are_read() {
        let project = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = project.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Dockerfile", "FROM one");
        write("web/Dockerfile.dev", "FROM two");
        write("docker-compose.yml", "image: three");
        write("src/main.rs", "four");
        write(".git/Dockerfile", "five");
        let text = of_folder("zero", project.path());
        assert!(["zero", "one", "two", "three"].iter().all(|word| text.contains(word)), "{text}");
        assert!(!text.contains("four") && !text.contains("five"), "{text}");
    }
}
