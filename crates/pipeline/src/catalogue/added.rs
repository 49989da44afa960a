//! The catalogue of a run that has more steps than those that are built in.

use model::added_step::{AddedKind, AddedStep, StepCode, check_all};

use super::{Added, Catalogue, Entry, Kind, Parameter, ParameterType, Support};

impl Catalogue {
    /// The built-in catalogue with these steps. One that is built in and runs keeps its name; what is only recorded or refused may be replaced.
    ///
    /// It lives as long as the process, as names of a catalogue do: a run has a process of its own, and the steps that are added have bounds.
    ///
    /// # Errors
    /// What is wrong with a step, in words.
    pub fn with(steps: &[AddedStep]) -> Result<&'static Catalogue, String> {
        let built_in = Catalogue::get();
        if steps.is_empty() {
            return Ok(built_in);
        }
        check_all(steps)?;
        let (mut entries, mut index) = (built_in.entries.clone(), built_in.index.clone());
        for (number, step) in steps.iter().enumerate() {
            let entry = entry(step, number);
            match index.get(&(Kind::Step, entry.name)).copied() {
                Some(at) if entries[at].support == Support::Runs => {
                    return Err(format!("step {} is built in: one that is added needs another name", step.name));
                }
                Some(at) => entries[at] = entry,
                None => {
                    index.insert((Kind::Step, entry.name), entries.len());
                    entries.push(entry);
                }
            }
        }
        Ok(Box::leak(Box::new(Catalogue { entries, index })))
    }
}

fn entry(step: &AddedStep, number: usize) -> Entry {
    let parameters = step.parameters.iter().map(|parameter| Parameter {
        name: kept(&parameter.name),
        ty: match parameter.kind {
            AddedKind::String => ParameterType::String,
            AddedKind::Boolean => ParameterType::Bool,
            AddedKind::Integer => ParameterType::Long,
            AddedKind::List => ParameterType::List,
            AddedKind::Map => ParameterType::Map,
            AddedKind::Any => ParameterType::Object,
        },
        required: parameter.is_required,
    });
    Entry {
        kind: Kind::Step,
        name: kept(&step.name),
        support: Support::Runs,
        block: step.is_block,
        // An option would wrap stages in it, which no script can be handed.
        node: true,
        stage: false,
        open: false,
        fixture: false,
        parameters: parameters.collect(),
        added: Some(Added { number, has_image: matches!(&step.code, StepCode::Program { image: Some(_), .. }) }),
    }
}

fn kept(name: &str) -> &'static str {
    Box::leak(Box::from(name))
}
