//! Steps that are added to those that are built in, as they lie in a folder: a manifest each (`NAME.toml`), and the file that it names.
//!
//! It is a stranger's text, and read where definitions are.

use std::collections::BTreeMap;

use model::added_step::{AddedKind, AddedParameter, AddedStep, StepCode, StepFile, StepOutput, check_all};
use serde::Deserialize;

/// What a manifest's name ends with.
const MANIFEST: &str = ".toml";

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

/// The steps of a folder, in the order of their names.
///
/// # Errors
/// What is wrong with one, in words.
pub fn steps_of(files: &[StepFile]) -> Result<Vec<AddedStep>, String> {
    let manifests = files.iter().filter_map(|file| Some((file.name.strip_suffix(MANIFEST)?, file)));
    let mut steps = manifests
        .map(|(name, file)| step(name, &file.text, files).map_err(|text| format!("{}: {text}", file.name)))
        .collect::<Result<Vec<_>, _>>()?;
    steps.sort_by(|one, other| one.name.cmp(&other.name));
    check_all(&steps)?;
    Ok(steps)
}

fn step(name: &str, manifest: &str, files: &[StepFile]) -> Result<AddedStep, String> {
    let manifest: Manifest = toml::from_str(manifest).map_err(|error| error.message().to_owned())?;
    let of_file = |file: &str| {
        let found = files.iter().find(|found| found.name == file).map(|found| found.text.clone());
        found.ok_or_else(|| format!("there is no plain text file {file:?} beside the manifest"))
    };
    let code = match (&manifest.groovy, &manifest.exec) {
        (Some(_), None) if manifest.image.is_some() || manifest.output.is_some() => {
            return Err("image and output go with exec".to_owned());
        }
        (Some(file), None) => StepCode::Groovy(of_file(file)?),
        (None, Some(file)) => StepCode::Program {
            text: of_file(file)?,
            image: manifest.image,
            output: manifest.output.unwrap_or_default(),
        },
        _ => return Err("it has to name one file: groovy = \"…\" or exec = \"…\"".to_owned()),
    };
    let parameters = manifest.parameters.into_iter().map(|(name, parameter)| AddedParameter {
        name,
        kind: parameter.kind,
        is_required: parameter.required,
        description: parameter.description,
    });
    let parameters = parameters.collect();
    Ok(AddedStep {
        name: name.to_owned(),
        description: manifest.description,
        parameters,
        is_block: manifest.block,
        code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(files: &[(&str, &str)]) -> Result<Vec<AddedStep>, String> {
        let file = |(name, text): &(&str, &str)| StepFile { name: (*name).to_owned(), text: (*text).to_owned() };
        steps_of(&files.iter().map(file).collect::<Vec<_>>())
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
    }

    #[test]
    fn what_is_no_step_says_why() {
        for (files, words) in [
            (vec![("a.toml", "x = 1")], "unknown field `x`"),
            (vec![("a.toml", "")], "one file"),
            (vec![("a.toml", "groovy = '../x'")], "no plain text file"),
            (vec![("a.toml", "groovy = 'x'\nimage = 'y'"), ("x", "")], "go with exec"),
            (vec![("a-b.toml", "groovy = 'x'"), ("x", "")], "no name of a step"),
            (vec![("a.toml", "exec = 'x'\nblock = true"), ("x", "")], "no use for a block"),
        ] {
            let said = read_of(&files).unwrap_err();
            assert!(said.contains(words), "{files:?}: {said}");
        }
    }
}
