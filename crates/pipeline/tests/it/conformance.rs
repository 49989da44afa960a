//! The tables of cases from the tests of Jenkins' own plugins, one JSON object a line.

use std::path::PathBuf;

use serde_json::Value;

/// Where the tables are: `COFFERDAM_CONFORMANCE`, or beside the repository.
fn folder() -> PathBuf {
    match std::env::var_os("COFFERDAM_CONFORMANCE") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

/// The cases of a table; `None`, said on standard output, where it is not there.
pub fn table(name: &str) -> Option<Vec<Value>> {
    let Ok(text) = std::fs::read_to_string(folder().join(name)) else {
        println!("skipped: {name} not found");
        return None;
    };
    Some(text.lines().map(|l| serde_json::from_str(l).expect("a line of a conformance table is JSON")).collect())
}

/// A text field of a case.
pub fn text<'v>(case: &'v Value, field: &str) -> &'v str {
    case[field].as_str().unwrap_or_default()
}

/// A list of texts of a case.
pub fn texts<'v>(case: &'v Value, field: &str) -> Vec<&'v str> {
    case[field].as_array().map(|a| a.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}
