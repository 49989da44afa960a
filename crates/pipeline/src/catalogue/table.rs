//! The reader of the tables; their format stands in their first lines.

use super::{Entry, Kind, Parameter, ParameterType, Support};

/// Reads a table. `kind` is the kind of every line, or `None` where each line begins with it.
///
/// A line that is not understood ends in a panic: the tables are part of the program, and a test reads them.
pub(super) fn parse(text: &'static str, kind: Option<Kind>) -> Vec<Entry> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| line(l, kind)).collect()
}

fn line(text: &'static str, kind: Option<Kind>) -> Entry {
    let (head, tail) = text.split_once(" :").unwrap_or_else(|| panic!("catalogue: no colon: {text}"));
    let mut words = head.split_whitespace();
    let kind = kind.unwrap_or_else(|| Kind::named(words.next().unwrap_or_default()));
    let mut entry = Entry {
        kind,
        name: words.next().unwrap_or_else(|| panic!("catalogue: no name: {text}")),
        support: Support::Known,
        block: false,
        node: false,
        stage: false,
        open: false,
        fixture: false,
        parameters: tail.split_whitespace().map(parameter).collect(),
        added: None,
    };
    for flag in words {
        match flag {
            "run" => entry.support = Support::Runs,
            "block" => entry.block = true,
            "node" => entry.node = true,
            "stage" => entry.stage = true,
            "open" => entry.open = true,
            "fixture" => entry.fixture = true,
            _ => panic!("catalogue: unknown flag {flag}: {text}"),
        }
    }
    entry
}

fn parameter(word: &'static str) -> Parameter {
    let (name, ty) = word.split_once(':').unwrap_or_else(|| panic!("catalogue: no type: {word}"));
    let ty_name = ty.trim_end_matches('!');
    let ty = match ty_name {
        "String" => ParameterType::String,
        "int" => ParameterType::Int,
        "Integer" => ParameterType::Integer,
        "long" => ParameterType::Long,
        "double" => ParameterType::Double,
        "boolean" => ParameterType::Bool,
        "Boolean" => ParameterType::Boolean,
        "List" => ParameterType::List,
        "Collection" => ParameterType::Collection,
        "Map" => ParameterType::Map,
        "Class" => ParameterType::Class,
        "TimeUnit" => ParameterType::TimeUnit,
        "SCM" => ParameterType::Scm,
        "Object" => ParameterType::Object,
        _ => panic!("catalogue: unknown type {ty_name}"),
    };
    Parameter { name, ty, required: word.ends_with('!') }
}
