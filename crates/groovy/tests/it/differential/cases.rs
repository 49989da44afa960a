//! Written cases: files of scripts.
//!
//! `--- name` begins a case. Its lines are a script; each line that begins with `> ` is an expression that is evaluated after it, in
//! a closure of its own, so that one that throws hides none of the others.

/// A script, and the expressions that it ends with.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name, or how it was generated.
    pub id: String,
    /// The whole script.
    pub source: String,
    /// The expressions.
    pub probes: Vec<String>,
}

impl Case {
    /// A script that answers a list of closures, one for each expression.
    pub fn new(id: impl Into<String>, script: &str, probes: Vec<String>) -> Case {
        let list: Vec<String> = probes.iter().map(|p| format!("  {{ -> {p} }}")).collect();
        let list = if list.is_empty() { String::new() } else { format!("[\n{}\n]\n", list.join(",\n")) };
        Case { id: id.into(), source: format!("{script}{list}"), probes }
    }
}

const FILES: &[(&str, &str)] = &[
    ("numbers", include_str!("cases/numbers.txt")),
    ("strings", include_str!("cases/strings.txt")),
    ("types", include_str!("cases/types.txt")),
    ("collections", include_str!("cases/collections.txt")),
    ("language", include_str!("cases/language.txt")),
    ("classes", include_str!("cases/classes.txt")),
    ("pipelines", include_str!("cases/pipelines.txt")),
    ("causes", include_str!("cases/causes.txt")),
    ("objects", include_str!("cases/objects.txt")),
    ("xml", include_str!("cases/xml.txt")),
    ("markup", include_str!("cases/markup.txt")),
    ("configurations", include_str!("cases/configurations.txt")),
    ("statics", include_str!("cases/statics.txt")),
    ("java", include_str!("cases/java.txt")),
    ("corners", include_str!("cases/corners.txt")),
    ("annotations", include_str!("cases/annotations.txt")),
    ("annotations_more", include_str!("cases/annotations_more.txt")),
    ("bytes", include_str!("cases/bytes.txt")),
    ("sorted", include_str!("cases/sorted.txt")),
    ("utilities", include_str!("cases/utilities.txt")),
    ("libraries", include_str!("cases/libraries.txt")),
    ("enums", include_str!("cases/enums.txt")),
    ("classes_more", include_str!("cases/classes_more.txt")),
    ("compiled", include_str!("cases/compiled.txt")),
    ("hashed", include_str!("cases/hashed.txt")),
    ("decimals", include_str!("cases/decimals.txt")),
    ("static_properties", include_str!("cases/static_properties.txt")),
    ("static_getters", include_str!("cases/static_getters.txt")),
    ("entries", include_str!("cases/entries.txt")),
    ("of_groovy_library", include_str!("cases/of_groovy_library.txt")),
    ("of_plugins", include_str!("cases/of_plugins.txt")),
    ("of_groovy_calls", include_str!("cases/of_groovy_calls.txt")),
    ("of_groovy_language", include_str!("cases/of_groovy_language.txt")),
    ("of_groovy_markup", include_str!("cases/of_groovy_markup.txt")),
];

/// The cases of all files.
pub fn written() -> Vec<Case> {
    let mut out = Vec::new();
    for (file, text) in FILES {
        let text = format!("\n{text}");
        for case in text.split("\n--- ").skip(1) {
            let (name, body) = case.split_once('\n').unwrap_or((case, ""));
            let (mut script, mut probes) = (String::new(), Vec::new());
            for line in body.lines() {
                match line.strip_prefix("> ") {
                    Some(probe) => probes.push(probe.to_string()),
                    None => script += &format!("{line}\n"),
                }
            }
            out.push(Case::new(format!("{file}/{}", name.trim().replace(' ', "-")), &script, probes));
        }
    }
    out
}
