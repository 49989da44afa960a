//! The reader of `classes.table`: Java classes that `step([$class: 'X'])` and `wrap` name, and the steps that do today what they did.

use super::Catalogue;

impl Catalogue {
    /// The step that does what a Java class does, which is named with or without its package.
    pub fn step_of_class(&self, class: &str) -> Option<&'static str> {
        self.of_class(class).map(|(step, _)| step)
    }

    /// That step, and the parameters that the class has under other names: its own and the step's.
    pub fn of_class(&self, class: &str) -> Option<(&'static str, Vec<(&'static str, &'static str)>)> {
        let name = class.rsplit('.').next().unwrap_or_default();
        let (_, said) = steps_of_classes().find(|(of, _)| *of == name)?;
        let mut words = said.split(' ');
        Some((words.next()?, words.filter_map(|word| word.split_once('=')).collect()))
    }

    /// Whether the class has a symbol in Jenkins: its log names what `step` and `wrap` do by that.
    pub(crate) fn has_symbol(&self, class: &str) -> bool {
        let name = class.rsplit('.').next().unwrap_or_default();
        steps_of_classes().all(|(of, said)| of != name || !said.split(' ').any(|word| word == "unnamed"))
    }

    /// The Java classes that a step stands for.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &'static str> {
        steps_of_classes().map(|(class, _)| class)
    }
}

/// Each Java class, and the line of it.
fn steps_of_classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("classes.table").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' '))
}
