//! Steps that are added to those that are built in: manifests and what they name, in `.cofferdam/steps` of a project and in folders that
//! somebody names with `--steps`.
//!
//! A project may be a stranger's. So what is read of it are plain files of that folder, and through no link: text that lies elsewhere on this
//! machine would come into a sandbox.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::added_step::{
    AddedKind, AddedParameter, AddedStep, MAX_STEPS, MAX_TEXT_BYTES, StepCode, StepOutput, check_all,
};
use pipeline::definition::Surroundings;
use serde::Deserialize;

use crate::failure::{CommandFailure, Exit};

/// Where a project has its steps.
const FOLDER: [&str; 2] = [".cofferdam", "steps"];
/// What a manifest's name ends with.
const MANIFEST: &str = "toml";

/// What stands in a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    description: String,
    groovy: Option<String>,
    exec: Option<String>,
    image: Option<String>,
    output: Option<StepOutput>,
    #[serde(default)]
    block: bool,
    #[serde(default)]
    parameters: BTreeMap<String, ManifestParameter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestParameter {
    #[serde(default, rename = "type")]
    kind: AddedKind,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    description: String,
}

/// The steps of a project and of more folders, in the order of their names.
///
/// # Errors
/// A folder or file cannot be read; what is in it is no step.
pub fn read(project: &Path, more: &[PathBuf]) -> Result<Vec<AddedStep>, CommandFailure> {
    let mut steps = Vec::new();
    let own = FOLDER.iter().try_fold(project.to_owned(), |at, part| {
        let path = at.join(part);
        path.symlink_metadata().is_ok_and(|found| found.is_dir()).then_some(path)
    });
    for folder in own.iter().chain(more) {
        read_folder(folder, &mut steps)?;
    }
    check_all(&steps).map_err(invalid)?;
    Ok(steps)
}

/// What definitions may name that lie in that project.
///
/// # Errors
/// As of [`read`]; a step has a name that is taken.
pub fn surroundings(project: &Path, more: &[PathBuf]) -> Result<Surroundings, CommandFailure> {
    Surroundings::with_steps(&read(project, more)?).map_err(invalid)
}

fn invalid(text: String) -> CommandFailure {
    CommandFailure::new(Exit::Invalid, text).with_hint("docs/guide/steps.md says what a manifest has")
}

fn read_folder(folder: &Path, steps: &mut Vec<AddedStep>) -> Result<(), CommandFailure> {
    let failed = |error: std::io::Error| CommandFailure::io("read", folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == MANIFEST) {
            names.push(path);
        }
        if names.len() > MAX_STEPS {
            return Err(invalid(format!("{} has more than {MAX_STEPS} steps", folder.display())));
        }
    }
    names.sort();
    for path in names {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        steps.push(step(folder, &path, name).map_err(|failure| CommandFailure {
            message: format!("{}: {}", path.display(), failure.message),
            ..failure
        })?);
    }
    Ok(())
}

fn step(folder: &Path, path: &Path, name: String) -> Result<AddedStep, CommandFailure> {
    let manifest: Manifest = toml::from_str(&text(path)?).map_err(|error| invalid(error.message().to_owned()))?;
    let of_file = |file: &str| {
        let is_plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\']);
        if is_plain {
            text(&folder.join(file))
        } else {
            Err(invalid(format!("{file:?} is no file beside the manifest")))
        }
    };
    let code = match (&manifest.groovy, &manifest.exec) {
        (Some(_), None) if manifest.image.is_some() || manifest.output.is_some() => {
            return Err(invalid("image and output go with exec".to_owned()));
        }
        (Some(file), None) => StepCode::Groovy(of_file(file)?),
        (None, Some(file)) => StepCode::Program {
            text: of_file(file)?,
            image: manifest.image,
            output: manifest.output.unwrap_or_default(),
        },
        _ => return Err(invalid("it has to name one file: groovy = \"…\" or exec = \"…\"".to_owned())),
    };
    let parameters = manifest.parameters.into_iter().map(|(name, parameter)| AddedParameter {
        name,
        kind: parameter.kind,
        is_required: parameter.required,
        description: parameter.description,
    });
    let parameters = parameters.collect();
    Ok(AddedStep { name, description: manifest.description, parameters, is_block: manifest.block, code })
}

/// The text of a file that is no link.
fn text(path: &Path) -> Result<String, CommandFailure> {
    let failed = |error: std::io::Error| CommandFailure::io("read", path, &error);
    if !path.symlink_metadata().map_err(failed)?.is_file() {
        return Err(invalid(format!("{} is no plain file", path.display())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(invalid(format!("{} is longer than {MAX_TEXT_BYTES} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| invalid(format!("{} is not UTF-8: a step is a script", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(files: &[(&str, &str)]) -> Result<Vec<AddedStep>, String> {
        let project = tempfile::tempdir().unwrap();
        let folder = project.path().join(".cofferdam/steps");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, folder.join(name)).unwrap(),
                None => std::fs::write(folder.join(name), text).unwrap(),
            }
        }
        read(project.path(), &[]).map_err(|failure| failure.message)
    }

    #[test]
    fn a_manifest_and_its_file_are_a_step() {
        let manifest = "description = 'Tells'\nexec = 'tell.sh'\nimage = 'alpine'\noutput = 'json'\n\
                        [parameters]\nmessage = { type = 'string', required = true, description = 'what' }\nwhatever = {}\n";
        let steps = read_of(&[("tell.toml", manifest), ("tell.sh", "echo"), ("README.md", "x")]).unwrap();
        let parameter = |name: &str, kind, is_required, description: &str| AddedParameter {
            name: name.to_owned(),
            kind,
            is_required,
            description: description.to_owned(),
        };
        let expected = AddedStep {
            name: "tell".to_owned(),
            description: "Tells".to_owned(),
            parameters: vec![
                parameter("message", AddedKind::String, true, "what"),
                parameter("whatever", AddedKind::Any, false, ""),
            ],
            is_block: false,
            code: StepCode::Program {
                text: "echo".to_owned(),
                image: Some("alpine".to_owned()),
                output: StepOutput::Json,
            },
        };
        assert_eq!(steps, [expected]);
        assert_eq!(read(Path::new("/nonexistent"), &[]).map_err(|failure| failure.message), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_step_says_why() {
        for (files, words) in [
            (vec![("a.toml", "x = 1")], "unknown field `x`"),
            (vec![("a.toml", "")], "one file"),
            (vec![("a.toml", "groovy = '../x'")], "no file beside the manifest"),
            (vec![("a.toml", "groovy = 'x'\nimage = 'y'"), ("x", "")], "go with exec"),
            (vec![("a.toml", "groovy = 'x'"), ("x", "-> /etc/hostname")], "no plain file"),
            (vec![("a.toml", "-> /etc/hostname")], "no plain file"),
            (vec![("a-b.toml", "groovy = 'x'"), ("x", "")], "no name of a step"),
            (vec![("a.toml", "exec = 'x'\nblock = true"), ("x", "")], "no use for a block"),
        ] {
            let said = read_of(&files).unwrap_err();
            assert!(said.contains(words), "{files:?}: {said}");
        }
    }

    #[test]
    fn a_folder_of_steps_that_is_a_link_is_none() {
        let (project, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(elsewhere.path().join("steps")).unwrap();
        std::fs::write(elsewhere.path().join("steps/a.toml"), "groovy = 'x'").unwrap();
        std::fs::write(elsewhere.path().join("steps/x"), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), project.path().join(".cofferdam")).unwrap();
        assert_eq!(read(project.path(), &[]).map_err(|failure| failure.message), Ok(Vec::new()));
        let named = read(project.path(), &[elsewhere.path().join("steps")]).map_err(|failure| failure.message);
        assert_eq!(named.unwrap().len(), 1);
    }
}
