//! `cofferdam steps`: what a pipeline may name, and the rules of `lint`: the same catalogue that `lint` checks against.

use pipeline::catalogue::{Catalogue, Entry, Kind, Section, Support, nearest, reference, sections};
use pipeline::lint::rules::{self, RULES};
use serde_json::{Value, json};

use crate::args::{OutputFormat, ReferencePage, StepsArgs};
use crate::failure::{CommandFailure, Exit};
use crate::show::Style;

/// Columns of a list of names.
const WIDTH: usize = 100;

/// Prints the list, a page, or the rules.
pub fn run(args: &StepsArgs, style: Style) -> Result<Exit, CommandFailure> {
    let json = args.output == OutputFormat::Json;
    match (&args.name, args.markdown) {
        (Some(name), _) => page(name, json, style)?,
        (None, Some(ReferencePage::Steps)) => print!("{}", reference::steps()),
        (None, Some(ReferencePage::Directives)) => print!("{}", reference::directives()),
        (None, Some(ReferencePage::Rules)) => print!("{}", rules::markdown()),
        (None, None) if args.rules => print_rules(json, style),
        (None, None) => list(args.supported, json, style),
    }
    Ok(Exit::Success)
}

fn print_rules(json: bool, style: Style) {
    for rule in RULES {
        if json {
            let (level, summary) = (rule.level.name(), rule.summary);
            println!("{}", json!({ "rule": rule.id, "level": level, "summary": summary, "help": rule.help }));
        } else {
            println!("{} {}: {}\n  {}", style.bold(rule.id), style.dim(rule.level.name()), rule.summary, rule.help);
        }
    }
}

fn list(supported: bool, json: bool, style: Style) {
    let mut entries: Vec<&Entry> =
        Catalogue::get().entries().filter(|e| !e.fixture && (!supported || e.support == Support::Runs)).collect();
    entries.sort_by_key(|entry| (entry.kind, entry.name.to_lowercase()));
    if json {
        sections().iter().for_each(|section| println!("{}", section_json(section)));
        entries.into_iter().for_each(|entry| println!("{}", entry_json(entry)));
        return;
    }
    println!("{}", style.bold("Sections"));
    columns(sections().iter().map(|section| section.name));
    for kind in Kind::ALL {
        let of_kind = || entries.iter().filter(|entry| entry.kind == kind);
        let runs: Vec<_> = of_kind().filter(|entry| entry.support == Support::Runs).collect();
        let others = [
            ("recorded, and not done:", names(of_kind(), |of| matches!(of, Support::Recorded(_)))),
            (
                "recorded on one's own machine, refused at a server:",
                names(of_kind(), |of| matches!(of, Support::Delivered(_))),
            ),
            ("refused:", names(of_kind(), |of| matches!(of, Support::Refused(_)))),
            ("known only:", names(of_kind(), |of| of == Support::Known)),
        ];
        if of_kind().next().is_some() {
            println!("\n{}", style.bold(reference::title(kind)));
        }
        let width = runs.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
        for entry in runs {
            let summary = entry.description().map(|of| of.summary).unwrap_or_default();
            println!("  {:width$}  {}", entry.name, style.dim(summary));
        }
        for (head, names) in others {
            if !names.is_empty() {
                println!("  {}", style.dim(head));
                columns(names.into_iter());
            }
        }
    }
}

/// Names of the entries that something becomes of.
fn names<'a>(entries: impl Iterator<Item = &'a &'a Entry>, is_wanted: fn(Support) -> bool) -> Vec<&'static str> {
    entries.filter(|entry| is_wanted(entry.support)).map(|entry| entry.name).collect()
}

fn columns(names: impl Iterator<Item = &'static str>) {
    let mut line = String::from(" ");
    for name in names {
        if line.len() + name.len() + 1 > WIDTH {
            println!("{line}");
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(name);
    }
    println!("{line}");
}

/// Everything that has a name: sections first. `when branch` names the kind, too.
fn page(name: &str, json: bool, style: Style) -> Result<(), CommandFailure> {
    let (kind, name) = match name.split_once(' ') {
        Some((kind, name)) => (Some(kind), name.trim()),
        None => (None, name),
    };
    let wanted = |of: &str| kind.is_none_or(|kind| kind == of);
    let sections: Vec<_> = sections().iter().filter(|section| section.name == name && wanted("section")).collect();
    let entries: Vec<_> =
        Catalogue::get().of_any_kind(name).filter(|entry| !entry.fixture && wanted(entry.kind.name())).collect();
    if sections.is_empty() && entries.is_empty() {
        return Err(unknown(name));
    }
    if json {
        sections.into_iter().for_each(|section| println!("{}", section_json(section)));
        entries.into_iter().for_each(|entry| println!("{}", entry_json(entry)));
        return Ok(());
    }
    let pages = sections.into_iter().map(|section| section_page(section, style));
    let pages: Vec<_> = pages.chain(entries.into_iter().map(|entry| entry_page(entry, style))).collect();
    print!("{}", pages.join("\n"));
    Ok(())
}

fn unknown(name: &str) -> CommandFailure {
    let entries = Catalogue::get().entries().filter(|entry| !entry.fixture).map(|entry| entry.name);
    let near = nearest(name, entries.chain(sections().iter().map(|section| section.name)));
    let failure = CommandFailure::usage(format!("nothing is called {name}"));
    match near.is_empty() {
        true => failure.with_hint("`cofferdam steps` lists everything"),
        false => failure.with_hint(format!("did you mean {}?", near.join(" or "))),
    }
}

fn section_page(section: &Section, style: Style) -> String {
    let head = format!("{}  {}", style.bold(section.name), style.dim("section"));
    let mut lines = vec![head, format!("  {}", section.summary), String::new()];
    lines.push(format!("  In {}.", reference::places(section).replace('`', "")));
    example(&section.example, style, &mut lines);
    lines.join("\n") + "\n"
}

fn entry_page(entry: &Entry, style: Style) -> String {
    let description = entry.description();
    let head = format!("{}  {}", style.bold(entry.name), style.dim(entry.kind.name()));
    let mut lines = vec![head];
    lines.extend(description.map(|of| format!("  {}", of.summary)));
    let mut facts = vec![reference::support(entry)];
    facts.extend(description.map(|of| format!("from {}", reference::plugin(of))));
    facts.extend(entry.block.then(|| "takes a block".to_owned()));
    facts.extend(entry.node.then(|| "needs a machine".to_owned()));
    facts.extend((entry.kind == Kind::Option && entry.stage).then(|| "also in a stage".to_owned()));
    facts.extend(entry.wraps().then(|| "also in options".to_owned()));
    lines.push(format!("  {}", style.dim(&facts.join("; "))));
    if !entry.parameters.is_empty() {
        lines.extend([String::new(), "  Parameters".to_owned()]);
    }
    let width = entry.parameters.iter().map(|of| of.name.len()).max().unwrap_or_default();
    for parameter in &entry.parameters {
        let of = description.and_then(|description| description.parameter(parameter.name));
        let mut notes = vec![parameter.ty.name().to_owned()];
        match of.and_then(|of| of.default) {
            Some(default) => notes.push(format!("default {default}")),
            None if parameter.required => notes.push("required".to_owned()),
            None => {}
        }
        let text = of.map(|of| format!("  {}", of.text)).unwrap_or_default();
        lines.push(format!("    {:width$}  {}{text}", parameter.name, style.dim(&notes.join(", "))));
    }
    if entry.open {
        let text =
            if entry.parameters.is_empty() { "  parameters are not checked" } else { "    others are not checked" };
        lines.push(style.dim(text));
    }
    if let Some(description) = description {
        example(&description.example, style, &mut lines);
        if let Some(differs) = description.differs {
            lines.extend([String::new(), format!("  Different from Jenkins: {differs}")]);
        }
    }
    lines.join("\n") + "\n"
}

fn example(example: &[&str], style: Style, lines: &mut Vec<String>) {
    if !example.is_empty() {
        lines.extend([String::new(), "  Example".to_owned()]);
        lines.extend(example.iter().map(|line| format!("    {}", style.cyan(line))));
    }
}

fn section_json(section: &Section) -> Value {
    let places: Vec<_> =
        section.places.iter().map(|(name, required)| json!({ "in": name, "required": required })).collect();
    json!({
        "kind": "section",
        "name": section.name,
        "summary": section.summary,
        "places": places,
        "example": section.example.join("\n"),
    })
}

fn entry_json(entry: &Entry) -> Value {
    let description = entry.description();
    let parameter = |of: &pipeline::catalogue::Parameter| {
        let text = description.and_then(|description| description.parameter(of.name));
        json!({
            "name": of.name,
            "type": of.ty.name(),
            "required": of.required,
            "default": text.and_then(|text| text.default),
            "text": text.map(|text| text.text),
        })
    };
    json!({
        "kind": entry.kind.name(),
        "name": entry.name,
        "runs": entry.support == Support::Runs,
        "support": reference::support(entry),
        "summary": description.map(|of| of.summary),
        "plugin": description.map(|of| of.plugin),
        "block": entry.block,
        "needsNode": entry.node,
        "open": entry.open,
        "parameters": entry.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "example": description.map(|of| of.example.join("\n")),
        "differs": description.and_then(|of| of.differs),
    })
}
