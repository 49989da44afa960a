//! Our machine beside the real Groovy 2.4.21: the same scripts run in both, and what they print and answer must be the same.
//!
//! Cases are written (`cases/*.txt`) or generated from a seed (`generate`). `GROOVY_CASES` is how many scripts are generated
//! (500, of about ten expressions each), `GROOVY_SEED` where they start. `expected-differences.txt` names the written cases that
//! are meant to differ.

mod cases;
mod generate;
mod ours;
mod reference;

use std::collections::BTreeMap;

use cases::Case;

/// What became of a script, or of one of the closures in the list that it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `value`, `threw`, `rejected` or `limit`.
    pub kind: String,
    /// What it printed.
    pub printed: String,
    /// Its value with classes, or class and message of what it threw.
    pub result: String,
}

impl Part {
    /// Whether ours (`other`) is what the reference says (`self`).
    fn agrees(&self, other: &Part) -> bool {
        let both_rejected = self.kind == "rejected" && other.kind == "rejected";
        both_rejected
            || (self.kind == other.kind
                && without_hashes(&self.printed) == without_hashes(&other.printed)
                && (comparable(&self.result) == comparable(&other.result)
                    || comparable(&self.result) == "groovy.lang.MissingMethodException"
                        && other.result.starts_with("groovy.lang.MissingMethodException")))
    }
}

/// A result without what only a Java virtual machine can say: the methods of its classes that are spelled alike, what its regular
/// expressions and its own null checks say of an error.
fn comparable(result: &str) -> String {
    let text = without_line(result, "\nPossible solutions:");
    let text = text.split(" due to: ").next().unwrap_or_default().replace(".doCall() is", ".call() is");
    // How a call site throws what it throws.
    let text = text.replace("MissingMethodExceptionNoStack", "MissingMethodException");
    // A view of a list is a list of its own here; only messages say which it is.
    let text = text.replace("java.util.ArrayList$SubList", "java.util.ArrayList");
    let text = text.replace("Collections$UnmodifiableRandomAccessList", "Collections$UnmodifiableList");
    let text = without_hashes(&text);
    let text = shortest(&text);
    let text = text.as_str();
    // Several methods fit as well, or nearly: it is one that does not fit here.
    let unclear = [
        "groovy.lang.GroovyRuntimeException: Ambiguous method overloading",
        "org.codehaus.groovy.runtime.metaclass.MethodSelectionException",
    ];
    if unclear.iter().any(|u| text.starts_with(u)) {
        return "groovy.lang.MissingMethodException".to_string();
    }
    let class = text.split(':').next().unwrap_or_default();
    if class == "java.lang.ClassCastException" {
        // Which loaders brought two classes is the machine's.
        return without_hashes(text.split(" (").next().unwrap_or_default());
    }
    let own_words = [": Cannot invoke \"", ": Cannot read field \"", ": null", ": the argument is null"]
        .map(|words| format!("java.lang.NullPointerException{words}"));
    if class == "java.util.regex.PatternSyntaxException" || own_words.iter().any(|w| text.starts_with(&**w)) {
        return class.to_string();
    }
    without_hashes(text)
}

/// Numbers with exponents by as few digits as tell them apart: Java before 19 writes some with more.
fn shortest(text: &str) -> String {
    let part_of = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'E' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(part_of) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !part_of(c)).unwrap_or(rest.len());
        let number = rest[..end].parse::<f64>().ok().filter(|_| rest[..end].contains('E'));
        match number {
            Some(n) => out += &format!("{n:e}"),
            None => out.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Texts without the identity hashes of objects (`Foo@1b2c3d`), which are other ones in each run, and without the numbers of closures
/// in their classes' names, which follow the order in which a compiler happens to look at them.
fn without_hashes(text: &str) -> String {
    let hash = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let text = without_after(text, "@", &hash);
    without_after(&text, "_closure", &|c| c.is_ascii_digit())
}

fn without_after(text: &str, mark: &str, gone: &dyn Fn(char) -> bool) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(mark) {
        out.push_str(&rest[..at + mark.len()]);
        rest = rest[at + mark.len()..].trim_start_matches(gone);
    }
    out + rest
}

/// A text without the rest of each line that begins so.
fn without_line(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |out, part| {
        // Within the text of a text the line ends as the text does.
        let end = part.find(['\n', '"']).unwrap_or(part.len());
        out + &part[end..]
    })
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

/// Differences, by id of the case and number of the expression.
fn differences(all: &[Case]) -> Option<BTreeMap<String, String>> {
    let reference = match reference::run(all) {
        Ok(answers) => answers,
        Err(reason) => {
            println!("skipped: {reason}");
            return None;
        }
    };
    let mut found = BTreeMap::new();
    for case in all {
        let Some(theirs) = reference.get(&case.id) else {
            found.insert(case.id.clone(), "the reference gave no answer".to_string());
            continue;
        };
        // What its own compiler makes no code of means nothing that could be compared.
        if theirs.first().is_some_and(|part| part.result.contains("ASM reporting processing error")) {
            continue;
        }
        let ours = ours::run(&case.source);
        for n in 0..theirs.len().max(ours.len()) {
            let (theirs, ours) = (theirs.get(n), ours.get(n));
            // What it makes a class for, a newer Java seals.
            if theirs.is_some_and(|part| part.result.starts_with("java.lang.IncompatibleClassChangeError")) {
                continue;
            }
            if theirs.zip(ours).is_some_and(|(a, b)| a.agrees(b)) {
                continue;
            }
            let show =
                |p: Option<&Part>| p.map_or("nothing".into(), |p| format!("{} {:?} {}", p.kind, p.printed, p.result));
            let (id, source) = match n.checked_sub(1) {
                Some(probe) => (format!("{}#{n}", case.id), case.probes.get(probe).cloned().unwrap_or_default()),
                None => (case.id.clone(), case.source.clone()),
            };
            found.insert(id, format!("{source}\n    groovy: {}\n    ours:   {}", show(theirs), show(ours)));
        }
    }
    Some(found)
}

fn report(found: &BTreeMap<String, String>, most: usize) -> String {
    found.iter().take(most).map(|(id, text)| format!("{id}: {text}\n")).collect()
}

#[test]
fn written_cases_do_what_groovy_does() {
    let all = cases::written();
    assert!(all.len() > 50, "the files were read");
    let Some(mut found) = differences(&all) else { return };
    let list = include_str!("expected-differences.txt");
    let expected = list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut stale = Vec::new();
    for line in expected {
        let id = line.split_whitespace().next().unwrap_or_default();
        assert!(line.contains("# "), "{id} lacks its reason");
        if found.remove(id).is_none() {
            stale.push(id);
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), report(&found, 400));
    assert!(stale.is_empty(), "these no longer differ; take them out of the list: {stale:?}");
}

#[test]
fn generated_scripts_do_what_groovy_does() {
    let (seed, count) = (number("GROOVY_SEED", 1), number("GROOVY_CASES", 500));
    let all = generate::scripts(seed, count);
    let Some(found) = differences(&all) else { return };
    assert!(found.is_empty(), "{} differences, seed {seed}:\n{}", found.len(), report(&found, 400));
}
