//! Pods of Kubernetes: what a run is told of templates, and a place of containers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A container of a pod of Kubernetes, beyond its image: what runs in it from its start on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodContainer {
    /// Its name.
    pub name: String,
    /// In place of the image's entry point and words; empty: these.
    pub command: Vec<String>,
    /// In place of the image's words; empty: these.
    pub args: Vec<String>,
    /// Variables of that program, beyond those of the image.
    pub env: Vec<(String, String)>,
    /// The folder that it starts in; the image's own where none is named.
    pub dir: Option<String>,
}

/// A template of pods that an operator defines: what `inheritFrom 'NAME'` means, and nodes of its labels are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodDefinition {
    /// What definitions call it. It is a label of it, too.
    pub name: String,
    /// The pod as Kubernetes writes it (`kind: Pod`).
    pub yaml: String,
}

/// Most templates of one run: each is read by its engine.
pub const MAX_POD_DEFINITIONS: usize = 100;
/// Longest texts of all of them together, in bytes: they stand in the facts of each run, and a pod of ten containers has 2 KiB.
pub const MAX_POD_DEFINITIONS_BYTES: usize = 128 * 1024;

impl PodDefinition {
    /// Whether definitions can name it: `inheritFrom` takes several names with blanks between them.
    pub fn is_fit(&self) -> bool {
        let is_odd = |character: char| character.is_whitespace() || character.is_control();
        !self.name.is_empty() && !self.name.contains(is_odd) && !self.yaml.trim().is_empty()
    }

    /// What of all that one run is told of cannot be meant.
    pub fn flaw(all: &[PodDefinition]) -> Option<&'static str> {
        if !all.iter().all(PodDefinition::is_fit) {
            return Some("a template of pods has a name without blanks, and the YAML of a pod");
        }
        let names: BTreeSet<_> = all.iter().map(|pod| &pod.name).collect();
        if names.len() < all.len() {
            return Some("two templates of pods have the same name");
        }
        let bytes: usize = all.iter().map(|pod| pod.yaml.len()).sum();
        let is_too_much = all.len() > MAX_POD_DEFINITIONS || bytes > MAX_POD_DEFINITIONS_BYTES;
        is_too_much.then_some("there are at most 100 templates of pods, of 128 KiB together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_names_and_are_bounded() {
        let pod = |name: &str, bytes: usize| PodDefinition { name: name.to_owned(), yaml: "x".repeat(bytes) };
        let check = |pods: &[(&str, usize)], expect: Option<&str>| {
            let all: Vec<_> = pods.iter().map(|(name, bytes)| pod(name, *bytes)).collect();
            let flaw = PodDefinition::flaw(&all);
            assert_eq!(flaw.is_some(), expect.is_some(), "{flaw:?}");
            assert!(flaw.unwrap_or_default().contains(expect.unwrap_or_default()), "{flaw:?}");
        };
        check(&[("maven", 10), ("go", MAX_POD_DEFINITIONS_BYTES - 10)], None);
        check(&[("maven", 11), ("go", MAX_POD_DEFINITIONS_BYTES - 10)], Some("128 KiB together"));
        check(&[("maven", 1), ("go", 1), ("maven", 1)], Some("the same name"));
        for name in ["", "a b", "a\n", "a\u{0}"] {
            check(&[(name, 1)], Some("without blanks"));
        }
        check(&[("maven", 0)], Some("the YAML of a pod"));
        let many: Vec<_> = (0..=MAX_POD_DEFINITIONS).map(|n| pod(&n.to_string(), 1)).collect();
        assert!(PodDefinition::flaw(&many).is_some() && PodDefinition::flaw(&many[1..]).is_none());
        assert_eq!((MAX_POD_DEFINITIONS, MAX_POD_DEFINITIONS_BYTES >> 10), (100, 128), "as the message says");
    }
}
