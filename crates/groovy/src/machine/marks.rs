//! Annotations that the machine itself knows: `@Immutable`, and `@EqualsAndHashCode` of classes that are nothing but
//! properties. What others add is written as Groovy (`compile::expand`).

use indexmap::IndexMap;

use crate::ast::Text;
use crate::value::{EQUAL_BY_FIELDS, FieldInfo, SHOWS_FIELDS};

/// What Groovy's transformations add to a class; a field whose name begins with `$` says so.
const MARKS: &[(&str, &[&str])] =
    &[(SHOWS_FIELDS, &["Immutable"]), (EQUAL_BY_FIELDS, &["EqualsAndHashCode", "Immutable"])];

/// Adds the marks of a class with these annotations to its fields.
pub(super) fn mark(annotations: &[Text], fields: &mut IndexMap<Text, FieldInfo>) {
    let has = |name: &str| annotations.iter().any(|a| a.rsplit('.').next() == Some(name));
    for (mark, names) in MARKS {
        if names.iter().any(|n| has(n)) {
            let slot = fields.get(*mark).map_or(fields.len(), |f| f.slot);
            fields.insert((*mark).into(), FieldInfo::mark(slot));
        }
    }
    if has("Immutable") {
        fields.values_mut().for_each(|f| f.is_final = true);
    }
}
