//! Which files are checked: those that are named, those below folders, those that patterns match.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::failure::{CommandFailure, Exit};

/// So many entries of folders are looked at; a place with more is no project.
const MAX_ENTRIES: usize = 500_000;
/// So deep.
const MAX_DEPTH: usize = 64;
/// Folders of other people's code.
const NOT_OURS: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// A file to be checked.
pub struct Found {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What a file is, as far as its path says.
pub enum Kind {
    /// A pipeline.
    Definition,
    /// Of a library, with the names of its variables.
    Library(Vec<String>),
}

/// The files that paths name, in their order, those of folders sorted.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>, CommandFailure> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut libraries = BTreeMap::new();
    let mut left = MAX_ENTRIES;
    for path in paths {
        let words = path.to_string_lossy();
        let files = if path == Path::new("-") {
            vec![path.clone()]
        } else if path.is_dir() {
            let files = below(path, &mut left, &is_definition)?;
            if files.is_empty() {
                let message = format!("{} is a folder without definitions", path.display());
                return Err(CommandFailure::usage(message)
                    .with_hint("they are called Jenkinsfile…, ….jenkinsfile, vars/….groovy or src/….groovy"));
            }
            files
        } else if words.contains(['*', '?']) && !path.exists() {
            matching(path, &mut left)?
        } else {
            vec![path.clone()]
        };
        for path in files {
            if seen.insert(path.clone()) {
                let kind = kind(&path, &mut libraries);
                found.push(Found { path, kind });
            }
        }
    }
    Ok(found)
}

fn kind(path: &Path, libraries: &mut BTreeMap<PathBuf, Vec<String>>) -> Kind {
    let Some(root) = library_root(path) else { return Kind::Definition };
    let variables = libraries.entry(root).or_insert_with_key(|root| variables(root));
    Kind::Library(variables.clone())
}

/// The names of the variables of a library.
pub fn variables(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("vars")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "groovy"));
    names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// The folder of the library that a file is of: `ROOT/vars/NAME.groovy`, `ROOT/src/…/NAME.groovy` with `ROOT/vars` beside.
fn library_root(path: &Path) -> Option<PathBuf> {
    if path.extension()? != "groovy" {
        return None;
    }
    let folder = path.parent()?;
    if folder.file_name().is_some_and(|name| name == "vars") {
        return Some(folder.parent()?.to_owned());
    }
    let src = folder.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "src"))?;
    let root = src.parent()?;
    root.join("vars").is_dir().then(|| root.to_owned())
}

fn is_definition(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let text = [".md", ".txt", ".html", ".png", ".svg", ".orig", ".rej"].iter().any(|end| name.ends_with(end));
    let lower = name.to_ascii_lowercase();
    name.starts_with("Jenkinsfile") && !text || lower.ends_with(".jenkinsfile") || library_root(path).is_some()
}

/// The files below a folder that are wanted, sorted. Links are not followed, so there is no way round in a circle.
fn below(folder: &Path, left: &mut usize, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, CommandFailure> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(CommandFailure::io("read", &folder, &error)),
            Err(error) => {
                eprintln!("warning: cannot read {}: {error}", folder.display());
                continue;
            }
        };
        for entry in entries.flatten() {
            *left = left.checked_sub(1).ok_or_else(|| {
                let message = format!("there are more than {MAX_ENTRIES} files below {}", folder.display());
                CommandFailure::new(Exit::Usage, message).with_hint("name a smaller folder")
            })?;
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            let hidden = name.to_string_lossy().starts_with('.');
            if kind.is_dir() && !hidden && depth < MAX_DEPTH && !NOT_OURS.iter().any(|other| *other == name) {
                open.push((path, depth + 1));
            } else if kind.is_file() && wanted(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The files that a pattern matches: `*` and `?` within a name, `**` for folders.
fn matching(pattern: &Path, left: &mut usize) -> Result<Vec<PathBuf>, CommandFailure> {
    let has_wildcard = |component: &Component<'_>| component.as_os_str().to_string_lossy().contains(['*', '?']);
    let base: PathBuf = pattern.components().take_while(|c| !has_wildcard(c)).collect();
    let rest: Vec<_> = pattern
        .components()
        .skip_while(|c| !has_wildcard(c))
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect();
    let start = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base.clone() };
    let wanted = |path: &Path| {
        let Ok(relative) = path.strip_prefix(&start) else { return false };
        let names: Vec<_> = relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        matches_path(&rest, &names)
    };
    let files = below(&start, left, &wanted)?;
    if files.is_empty() {
        return Err(CommandFailure::usage(format!("nothing matches {}", pattern.display())));
    }
    // As people wrote it: without `./`.
    Ok(files.into_iter().map(|path| path.strip_prefix(".").map_or(path.clone(), Path::to_owned)).collect())
}

/// Whether a list of names fits a list of patterns. Like [`matches_name`], it goes back to the last `**` only: what fits does so there.
fn matches_path(pattern: &[String], names: &[String]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back = None;
    while n < names.len() {
        if pattern.get(p).is_some_and(|word| word == "**") {
            back = Some((p, n));
            p += 1;
        } else if pattern.get(p).is_some_and(|word| matches_name(word, &names[n])) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((star, at)) = back {
            back = Some((star, at + 1));
            (p, n) = (star + 1, at + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|word| word == "**")
}

fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut back = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((star, at)) = back else { return false };
                back = Some((star, at + 1));
                (p, n) = (star + 1, at + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let check = |pattern: &str, path: &str, expect: bool| {
            let words = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(matches_path(&words(pattern), &words(path)), expect, "{pattern} {path}");
        };
        check("**/Jenkinsfile", "Jenkinsfile", true);
        check("**/Jenkinsfile", "a/b/Jenkinsfile", true);
        check("*/Jenkinsfile", "a/b/Jenkinsfile", false);
        check("ci/**/x*.jenkinsfile", "ci/a/x1.jenkinsfile", true);
        check("ci/**", "ci/a/b", true);
        check("Jenkinsfile.?", "Jenkinsfile.ab", false);
        check("*a*b*", "xxaxxbxx", true);
        check("**/a/**/b", "a/a/c/b", true);
    }

    #[test]
    fn definitions_have_names_of_their_own() {
        for (path, expect) in [
            ("a/Jenkinsfile", true),
            ("Jenkinsfile.release", true),
            ("build.jenkinsfile", true),
            ("lib/vars/deploy.groovy", true),
            ("Jenkinsfile.md", false),
            ("app/src/main/App.groovy", false),
            ("vars/deploy.txt", false),
        ] {
            assert_eq!(is_definition(Path::new(path)), expect, "{path}");
        }
    }
}
