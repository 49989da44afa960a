//! The reader of `objects.table`: values that steps are given, by symbol and by class. Its format stands in its first lines.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What an object of a name takes, in one of the meanings of that name.
pub(crate) type Form = Vec<Field>;

/// A parameter of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// A run ends without it.
    pub(crate) required: bool,
    /// What a map in it is.
    pub(crate) of: Option<&'static str>,
}

/// The forms of a symbol, or of a class without its package; none where it is not listed.
pub(crate) fn forms(name: &str) -> &'static [Form] {
    static ALL: OnceLock<HashMap<&'static str, Vec<Form>>> = OnceLock::new();
    ALL.get_or_init(|| read(include_str!("objects.table"))).get(name).map_or(&[], |forms| forms)
}

/// A line that is not understood ends in a panic: the table is part of the program, and a test reads it.
fn read(text: &'static str) -> HashMap<&'static str, Vec<Form>> {
    let mut all: HashMap<&'static str, Vec<Form>> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (names, fields) = line.split_once(" :").unwrap_or_else(|| panic!("catalogue: no colon: {line}"));
        let form: Form = fields.split_whitespace().map(field).collect();
        names.split_whitespace().for_each(|name| all.entry(name).or_default().push(form.clone()));
    }
    all
}

fn field(word: &'static str) -> Field {
    let (name, of) = word.split_once('>').map_or((word, None), |(name, of)| (name, Some(of)));
    Field { name: name.trim_end_matches('!'), required: name.ends_with('!'), of }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_field_holds_is_listed() {
        let all = read(include_str!("objects.table"));
        let fields = || all.values().flatten().flatten();
        assert!(fields().filter_map(|field| field.of).all(|of| all.contains_key(of)));
        assert!(fields().all(|field| field.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')));
        assert_eq!(forms("string").len(), 3);
        assert!(forms("nothing").is_empty());
    }
}
