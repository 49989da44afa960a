//! The reference pages (`docs/reference`), made from the tables and descriptions.

use super::{Catalogue, Description, Entry, Kind, Level, ParameterText, Section, Support, sections};

/// What stands at the top of each page.
const MADE: &str = "<!-- Made from crates/pipeline/src/catalogue. Change it there, then: COFFERDAM_BLESS=1 cargo nextest run -p pipeline reference -->\n";

/// What it means for a run that a step is recorded.
const RECORDED: &str =
    "what it was asked for is kept with the run, a line in the log says so, and the run goes on. A block is run.";
/// That it is recorded in some runs.
const DELIVERED: &str = "it would bring something to another system. On one's own machine it is recorded; a run of a server that comes to it fails, \
     unless its project says `--record-deliveries`: what was to be brought somewhere and was not is no success.";
/// That it is refused.
const REFUSED: &str = "a run that comes to it fails, for what it does or answers cannot be left out.";
/// That it is only known.
const KNOWN: &str = "Jenkins has it, and nothing here can run it yet: a run that comes to it fails.";

/// What Cofferdam does with an entry, in words that end a sentence.
pub fn support(entry: &Entry) -> String {
    match entry.support {
        Support::Recorded(level) => format!("recorded, not done: {}", with_advice(level)),
        Support::Delivered(level) => {
            format!("recorded on one's own machine, refused at a server: {}", with_advice(level))
        }
        Support::Refused(level) => format!("refused: {}", with_advice(level)),
        Support::Runs if entry.kind == Kind::Step => "runs".to_owned(),
        Support::Runs => "supported".to_owned(),
        Support::Known if entry.kind == Kind::Step => "known only: running it fails".to_owned(),
        Support::Known => "known only: it has no effect".to_owned(),
    }
}

fn with_advice(level: Level) -> String {
    let advice = level.instead.map(|instead| format!(" (instead: {instead})")).unwrap_or_default();
    format!("{}{advice}", level.why)
}

/// What holds together in the reference, and what people call it.
pub fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Step => "Steps",
        Kind::Agent => "Agents",
        Kind::Option => "Options of the interpreter",
        Kind::Property => "Options of the project",
        Kind::Parameter => "Parameters",
        Kind::Trigger => "Triggers",
        Kind::Tool => "Tools",
        Kind::When => "Conditions",
        Kind::Symbol => "Values",
    }
}

/// Where an entry of a kind stands.
fn place(kind: Kind) -> &'static str {
    match kind {
        Kind::Step => "In `steps { … }`, in the conditions of `post`, and in scripts.",
        Kind::Agent => "In `agent { … }`.",
        Kind::Option => "In `options { … }` of the pipeline; where it says so, also of a stage.",
        Kind::Property => "In `options { … }` of the pipeline, and in the list of the step `properties`.",
        Kind::Parameter => "In `parameters { … }`.",
        Kind::Trigger => "In `triggers { … }`.",
        Kind::Tool => "In `tools { … }`.",
        Kind::When => "In `when { … }`.",
        Kind::Symbol => "As arguments of steps and directives.",
    }
}

/// `docs/reference/steps.md`
pub fn steps() -> String {
    let mut text = format!(
        "{MADE}# Steps\n\n{} `cofferdam steps NAME` prints the same on a terminal, `cofferdam lint` checks against it. What stands in \
         other places of a pipeline is in [directives](directives.md).\n\nWhat becomes of a step:\n\n\
         * *runs*: it does what its text says.\n* *recorded, not done*: {RECORDED}\n* *recorded on one's own machine, refused at a server*: {DELIVERED}\n* *refused*: {REFUSED}\n\
         * *known only*: {KNOWN}\n",
        place(Kind::Step)
    );
    of_kind(Kind::Step, &mut text);
    text
}

/// `docs/reference/directives.md`
pub fn directives() -> String {
    let mut text = format!(
        "{MADE}# Sections and directives\n\nWhat a declarative pipeline is made of. `cofferdam steps NAME` prints the same on a terminal, \
         `cofferdam lint` checks against it. Steps are in [steps](steps.md).\n\n## Sections\n\n| Section | Where |\n|---|---|\n"
    );
    for section in sections() {
        let anchor = section.name.to_lowercase();
        text.push_str(&format!("| [`{}`](#{anchor}) | {} |\n", section.name, places(section)));
    }
    for section in sections() {
        text.push_str(&format!("\n### {}\n\n{}\n\nIn {}.\n", section.name, section.summary, places(section)));
        example(&section.example, &mut text);
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Step) {
        text.push_str(&format!("\n## {}\n\n{}\n", title(kind), place(kind)));
        of_kind(kind, &mut text);
    }
    text
}

/// `pipeline (required), stage`
pub fn places(section: &Section) -> String {
    let place = |(name, required): &(&str, bool)| match (*name, *required) {
        ("file", _) => "the file itself".to_owned(),
        (name, true) => format!("`{name}` (required)"),
        (name, false) => format!("`{name}`"),
    };
    section.places.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// Whole pages of what runs or is described, and a list of the others.
fn of_kind(kind: Kind, text: &mut String) {
    let mut entries: Vec<_> = Catalogue::get().entries().filter(|e| e.kind == kind && !e.fixture).collect();
    entries.sort_by_key(|entry| entry.name.to_lowercase());
    let heading = if kind == Kind::Step { "##" } else { "###" };
    for entry in &entries {
        if let Some(description) = entry.description() {
            text.push_str(&format!("\n{heading} {}\n\n", anchor(entry)));
            page(entry, description, text);
        }
    }
    let others: Vec<_> = entries.into_iter().filter(|entry| entry.description().is_none()).collect();
    if !others.is_empty() {
        text.push_str(&format!(
            "\n{heading} Other {}\n\nKnown, so that `lint` checks what it can of them.\n",
            title(kind).to_lowercase()
        ));
        for (head, of_head) in by_support(&others) {
            text.push_str(&head.map_or_else(|| "\n".to_owned(), |head| format!("\n{head}:\n\n")));
            of_head.into_iter().for_each(|entry| text.push_str(&line(entry)));
        }
    }
}

/// Entries that have no page, by what becomes of them, in words: those that are recorded, those that are so on one's own machine,
/// those that are refused, those that are only known. There are no words where nothing else is said of a whole kind.
fn by_support<'a>(entries: &[&'a Entry]) -> Vec<(Option<String>, Vec<&'a Entry>)> {
    let mut found: Vec<(Support, Vec<&Entry>)> = Vec::new();
    for entry in entries {
        match found.iter_mut().find(|(support, _)| *support == entry.support) {
            Some((_, of_support)) => of_support.push(entry),
            None => found.push((entry.support, vec![entry])),
        }
    }
    found.sort_by_key(|(support, _)| rank(*support));
    let is_plain = found.iter().all(|(of, _)| *of == Support::Known);
    let head = |entry: &Entry| {
        let words = support(entry);
        let mut letters = words.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect())
    };
    let with_head = |(_, of): (Support, Vec<&'a Entry>)| (of.first().filter(|_| !is_plain).and_then(|e| head(e)), of);
    found.into_iter().map(with_head).collect()
}

/// Where what becomes of an entry stands among the others.
fn rank(support: Support) -> u8 {
    match support {
        Support::Runs => 0,
        Support::Recorded(_) => 1,
        Support::Delivered(_) => 2,
        Support::Refused(_) => 3,
        Support::Known => 4,
    }
}

/// `* name: its parameters`
fn line(entry: &Entry) -> String {
    let names: Vec<_> = entry.parameters.iter().map(|p| format!("`{}`", p.name)).collect();
    let open = if entry.open { " …" } else { "" };
    let names = if names.is_empty() { String::new() } else { format!(": {}{open}", names.join(", ")) };
    format!("* `{}`{names}\n", entry.name)
}

/// A heading that is the same for no other entry of the page.
fn anchor(entry: &Entry) -> String {
    match entry.kind {
        Kind::Step => entry.name.to_owned(),
        kind => format!("{} {}", kind.name(), entry.name),
    }
}

fn page(entry: &Entry, description: &Description, text: &mut String) {
    text.push_str(&format!("{}\n\n", description.summary));
    let mut facts = vec![format!("*{}*", support(entry)), format!("from {}", plugin(description))];
    if entry.block {
        facts.push("takes a block".to_owned());
    }
    if entry.node {
        facts.push("needs a machine".to_owned());
    }
    if entry.kind == Kind::Option && entry.stage {
        facts.push("also in a stage".to_owned());
    }
    if entry.wraps() {
        facts.push("also in `options`".to_owned());
    }
    text.push_str(&format!("{}.\n", facts.join("; ")));
    if !entry.parameters.is_empty() {
        text.push_str("\n| Parameter | Type | Default | |\n|---|---|---|---|\n");
        for parameter in &entry.parameters {
            let of = description.parameter(parameter.name);
            let words = default(parameter.required, of);
            let says = of.map(|of| of.text).unwrap_or_default().replace('|', "\\|");
            text.push_str(&format!("| `{}` | {} | {words} | {says} |\n", parameter.name, parameter.ty.name()));
        }
    }
    if entry.open {
        let which = if entry.parameters.is_empty() { "Parameters" } else { "Other parameters" };
        text.push_str(&format!("\n{which} are not checked.\n"));
    }
    example(&description.example, text);
    if let Some(differs) = description.differs {
        text.push_str(&format!("\nDifferent from Jenkins: {differs}\n"));
    }
}

/// `Jenkins`, or the name of a plugin.
pub fn plugin(description: &Description) -> String {
    match description.plugin {
        "core" => "Jenkins itself".to_owned(),
        plugin => format!("the plugin {plugin}"),
    }
}

fn default(required: bool, of: Option<&ParameterText>) -> String {
    match of.and_then(|of| of.default) {
        Some(default) => format!("`{default}`"),
        None if required => "required".to_owned(),
        None => String::new(),
    }
}

fn example(lines: &[&str], text: &mut String) {
    if !lines.is_empty() {
        text.push_str(&format!("\n```groovy\n{}\n```\n", lines.join("\n")));
    }
}
