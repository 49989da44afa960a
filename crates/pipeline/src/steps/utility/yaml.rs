//! `readYaml`, `writeYaml`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use groovy::value::{Map, MapKind, Value};
use libyaml_safer::{Error, Event, EventData, Parser, ScalarStyle};
use model::request::{Reply, Request};

use super::super::{StepCall, unexpected};
use super::tree::MAX_VALUES;
use super::yaml_scalar::{float, integer, resolve};
use super::{MAX_NESTING, file_or_text, some_text, too_large, written, yaml_write};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Java's name of the exception for what is no YAML.
const YAML_EXCEPTION: &str = "org.yaml.snakeyaml.error.YAMLException";
/// How often collections may be named again, where nothing is said of it.
const MAX_ALIASES: i64 = 50;
/// The most that may be said.
const MOST_ALIASES: i64 = 1000;
/// What is said where neither a file nor a text is asked for.
const NOWHERE: &str = "either file or returnText must be provided to writeYaml";
/// How many directives `%TAG` there may be.
const MAX_DIRECTIVES: usize = 100;
/// What tags of YAML itself begin with: `!!int`.
const OF_YAML: &str = "tag:yaml.org,2002:";
/// A key that brings the entries of other maps.
pub(super) const MERGE: &str = "<<";

/// `readYaml file: 'x.yml'`, `readYaml text: 'a: 1'`: a value, or a list of them where there are several documents.
///
/// Source: `ReadYamlStep`. A collection that is named again is the same value, so that a text makes no more values than it has.
pub(crate) async fn read_yaml(call: StepCall) -> Result<Value, Fault> {
    let most = call.args.opt_int("maxAliasesForCollections")?.filter(|most| *most >= 0).unwrap_or(MAX_ALIASES);
    if most > MOST_ALIASES {
        return Err(Fault::illegal(format!("{most} > {MOST_ALIASES}. Reduce the aliases in your yaml")));
    }
    let limit = call.args.opt_int("codePointLimit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|n| *n > 0);
    some_text(&call)?;
    let (file, text) = file_or_text(&call).await?;
    let text = match (file, text) {
        (Some(file), Some(text)) => format!("{file}\n{text}"),
        (file, text) => file.or(text).unwrap_or_default(),
    };
    if let Some(limit) = limit.filter(|limit| text.chars().count() > *limit) {
        let what = format!("The incoming YAML document exceeds the limit: {limit} code points.");
        return Err(Fault::raised(YAML_EXCEPTION, what));
    }
    let mut documents = parse(&text, most).map_err(|why| Fault::raised(YAML_EXCEPTION, why))?;
    Ok(if documents.len() == 1 { documents.remove(0) } else { Value::list(documents) })
}

/// `writeYaml file: 'x.yml', data: [a: 1]`, `datas: […]` for several documents, or `returnText: true`.
///
/// Source: `WriteYamlStep`.
pub(crate) async fn write_yaml(call: StepCall) -> Result<Value, Fault> {
    destination(&call)?;
    let documents = match (call.args.get("data"), call.args.get("datas").and_then(Value::items)) {
        (Some(_), Some(_)) => {
            return Err(Fault::illegal("only one of data or datas must be provided to writeYaml"));
        }
        (Some(data), None) => vec![data.clone()],
        (None, Some(datas)) => datas,
        (None, None) => return Err(Fault::illegal("data or datas parameter must be provided to writeYaml")),
    };
    let text = yaml_write::documents(&documents).map_err(|refused| match refused {
        yaml_write::Refused::TooLarge => too_large("writeYaml"),
        yaml_write::Refused::Strange(class) => {
            Fault::illegal(format!("data parameter has invalid content (no-basic classes): {class}"))
        }
    })?;
    let file = call.args.opt_text("file")?.filter(|file| !file.trim().is_empty());
    if let Some(file) = file.filter(|_| !call.args.flag("overwrite", false).unwrap_or(false)) {
        let (job, path) = (call.node()?.job, call.path(&file)?);
        match call.ask(Request::FileExists { job, path: path.clone() }).await? {
            // In a plan everything is there.
            Reply::Bool(true) if !call.core.facts.planning => {
                let class = "java.nio.file.FileAlreadyExistsException";
                return Err(Fault::raised(class, format!("{path} already exist.")));
            }
            Reply::Bool(_) => {}
            reply => return Err(unexpected(&reply)),
        }
    }
    written(&call, text, call.args.opt_text("charset")?).await
}

/// Where it goes is looked at first, in words of its own.
fn destination(call: &StepCall) -> Result<(), Fault> {
    let file = call.args.opt_text("file")?;
    if !call.args.flag("returnText", false)? {
        let is_named = file.is_some_and(|file| !file.trim().is_empty());
        return if is_named { Ok(()) } else { Err(Fault::illegal(NOWHERE)) };
    }
    let others = [
        ("file", file.is_some()),
        ("charset", call.args.get("charset").is_some()),
        ("overwrite", call.args.flag("overwrite", false)?),
    ];
    match others.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(Fault::illegal(format!("cannot provide both returnText and {name} to writeYaml"))),
        None => Ok(()),
    }
}

/// A collection that is not complete.
enum Open {
    List {
        items: Vec<Value>,
        anchor: Option<String>,
    },
    /// With the keys that came from other maps.
    Map {
        map: Rc<Map>,
        merged: Rc<Map>,
        key: Option<(Value, bool)>,
        anchor: Option<String>,
    },
}

#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    open: Vec<Open>,
    /// What has a name.
    anchors: BTreeMap<String, Value>,
    aliases: i64,
    count: usize,
    dates_are_texts: bool,
}

/// All documents of a text.
fn parse(text: &str, most_aliases: i64) -> Result<Vec<Value>, String> {
    read(Reader::default(), text, most_aliases)
}

/// All documents of a manifest of Kubernetes, which knows no dates.
pub(crate) fn manifest(text: &str) -> Result<Vec<Value>, String> {
    read(Reader { dates_are_texts: true, ..Reader::default() }, text, MAX_ALIASES)
}

fn read(mut reader: Reader, text: &str, most_aliases: i64) -> Result<Vec<Value>, String> {
    // The scanner looks at all of them again for each.
    if text.lines().filter(|line| line.starts_with("%TAG")).count() > MAX_DIRECTIVES {
        return Err(format!("more than {MAX_DIRECTIVES} directives"));
    }
    // It wants the last line ended, too.
    let whole = if text.ends_with('\n') { Cow::from(text) } else { Cow::from(format!("{text}\n")) };
    let mut parser = Parser::new();
    parser.set_input(whole.as_bytes());
    while let Some(event) = next(&mut parser) {
        let Event { mut data, start_mark, end_mark, .. } = event?;
        if let EventData::Scalar { value, style: ScalarStyle::Literal | ScalarStyle::Folded, .. } = &mut data
            && end_mark.index as usize > text.len()
            && value.ends_with('\n')
        {
            value.pop();
        }
        let at = || format!(" in line {}, column {}", start_mark.line + 1, start_mark.column + 1);
        reader.take(data, most_aliases).map_err(|why| why + &at())?;
    }
    Ok(reader.documents)
}

/// The next event, also of a text that the scanner has no answer to, such as a tag right before a comma.
fn next(parser: &mut Parser<&[u8]>) -> Option<Result<Event, String>> {
    let found = catch_unwind(AssertUnwindSafe(|| parser.next()));
    let unread = |_| Some(Err("found what cannot be read".to_owned()));
    found.map_or_else(unread, |event| event.map(|event| event.map_err(|error| refusal(&error))))
}

/// Why a text is no YAML, and where.
fn refusal(error: &Error) -> String {
    let context = error.context().map(|context| format!(" {context}")).unwrap_or_default();
    let at = error.problem_mark().map(|at| format!(" in line {}, column {}", at.line + 1, at.column + 1));
    format!("{}{context}{}", error.problem(), at.unwrap_or_default())
}

impl Reader {
    fn take(&mut self, event: EventData, most_aliases: i64) -> Result<(), String> {
        match event {
            EventData::DocumentStart { .. } => self.anchors.clear(),
            EventData::Scalar { value: text, style, anchor, tag, .. } => {
                let is_plain = style == ScalarStyle::Plain;
                let is_merge = is_plain && named(tag.as_ref()).is_none() && text == MERGE;
                let value = match scalar(&text, is_plain, named(tag.as_ref()))? {
                    date if self.dates_are_texts && date.date_ms().is_some() => values::text(&text),
                    value => value,
                };
                self.put(value, anchor, is_merge)?;
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                known(named(tag.as_ref()), &["seq", "omap", "pairs"])?;
                self.begin(Open::List { items: Vec::new(), anchor })?;
            }
            EventData::MappingStart { anchor, tag, .. } => {
                known(named(tag.as_ref()), &["map", "set"])?;
                let empty = || Rc::new(Map::new(MapKind::Linked));
                self.begin(Open::Map { map: empty(), merged: empty(), key: None, anchor })?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => match self.open.pop() {
                Some(Open::List { items, anchor }) => self.put(Value::list(items), anchor, false)?,
                Some(Open::Map { map, anchor, .. }) => self.put(Value::Map(map), anchor, false)?,
                None => {}
            },
            EventData::Alias { anchor } => {
                let Some(value) = self.anchors.get(&anchor).cloned() else {
                    return Err(format!("found undefined alias {anchor}"));
                };
                if matches!(value, Value::List(_) | Value::Map(_)) {
                    self.aliases += 1;
                    if self.aliases > most_aliases {
                        return Err(format!(
                            "Number of aliases for non-scalar nodes exceeds the specified max={most_aliases}"
                        ));
                    }
                }
                self.put(value, None, false)?;
            }
            EventData::DocumentEnd { .. } | EventData::StreamStart { .. } | EventData::StreamEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= MAX_NESTING {
            return Err(format!("Nesting Depth exceeded max {MAX_NESTING}"));
        }
        let (Open::List { anchor, .. } | Open::Map { anchor, .. }) = &open;
        // Until it is complete, nothing has its name.
        if let Some(anchor) = anchor {
            self.anchors.remove(anchor);
        }
        self.open.push(open);
        Ok(())
    }

    /// A value is complete.
    fn put(&mut self, value: Value, anchor: Option<String>, is_merge: bool) -> Result<(), String> {
        counted(&mut self.count, 1)?;
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Map { map, merged, key, .. }) => match key.take() {
                None => *key = Some((value, is_merge)),
                Some((_, true)) => merge(map, merged, &value, &mut self.count)?,
                Some((key, false)) => {
                    // Of two the last one stands, where it stands.
                    if merged.remove(&key).is_none() && map.remove(&key).is_some() {
                        counted(&mut self.count, map.len() / 4)?;
                    }
                    map.put(key, value);
                }
            },
        }
        Ok(())
    }
}

/// Takes the entries of one map, or several, that a map does not have itself, and counts all it looks at.
fn merge(map: &Map, merged: &Map, from: &Value, count: &mut usize) -> Result<(), String> {
    let all = match from {
        Value::List(list) => list.snapshot(),
        one => vec![one.clone()],
    };
    for one in all {
        let Value::Map(other) = &one else {
            return Err("expected a mapping or list of mappings for merging".to_owned());
        };
        counted(count, other.len() + 1)?;
        for (key, value) in (0..other.len()).filter_map(|at| other.at(at)) {
            if !map.has(&key) {
                map.put(key.clone(), value);
                merged.put(key, Value::Null);
            }
        }
    }
    Ok(())
}

/// So many values more.
fn counted(count: &mut usize, more: usize) -> Result<(), String> {
    *count += more;
    if *count > MAX_VALUES { Err(format!("more than {MAX_VALUES} values")) } else { Ok(()) }
}

/// A tag that says something, unlike a lonely `!`.
fn named(tag: Option<&String>) -> Option<&str> {
    tag.map(String::as_str).filter(|tag| *tag != "!")
}

fn scalar(text: &str, is_plain: bool, tag: Option<&str>) -> Result<Value, String> {
    let Some(tag) = tag else { return Ok(if is_plain { resolve(text) } else { values::text(text) }) };
    let name = tag.strip_prefix(OF_YAML).ok_or_else(|| no_constructor(tag))?;
    let wrong = || format!("`{text}` is no !!{name}");
    match name {
        "timestamp" => super::yaml_date::read(text).map(Value::date).ok_or_else(wrong),
        "str" | "binary" => Ok(values::text(text)),
        "int" => integer(text).ok_or_else(wrong),
        "float" => float(text).or_else(|| Some(Value::Double(integer(text)?.as_i64()? as f64))).ok_or_else(wrong),
        "bool" => Some(resolve(text)).filter(|value| matches!(value, Value::Bool(_))).ok_or_else(wrong),
        "null" => Ok(Value::Null),
        _ => Err(no_constructor(tag)),
    }
}

fn known(tag: Option<&str>, names: &[&str]) -> Result<(), String> {
    match tag {
        Some(tag) if tag.strip_prefix(OF_YAML).is_none_or(|name| !names.contains(&name)) => Err(no_constructor(tag)),
        _ => Ok(()),
    }
}

fn no_constructor(tag: &str) -> String {
    format!("could not determine a constructor for the tag {tag}")
}

#[cfg(test)]
mod tests {
    use super::super::json::compact;
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        parse(text, MAX_ALIASES).map(|documents| documents.iter().map(compact).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn documents_anchors_and_merges() {
        assert_eq!(
            read("a: [1, 'x', yes, ~]\nb: {c: \"d\\n\"}\n").unwrap(),
            r#"{"a":[1,"x",true,null],"b":{"c":"d\n"}}"#
        );
        assert_eq!(read("---\na: 1\n---\n- 2\n").unwrap(), r#"{"a":1}|[2]"#);
        let merged = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n  z: *b\n";
        assert_eq!(read(merged).unwrap(), r#"{"base":{"x":1,"y":2},"own":{"x":1,"y":3,"z":{"x":1,"y":2}}}"#);
        assert_eq!(
            read("k: !!str 12\nn: ! 12\nt: |\n  one\n  two\n").unwrap(),
            r#"{"k":"12","n":12,"t":"one\ntwo\n"}"#
        );
        assert_eq!(read("").unwrap(), "");
    }

    /// As SnakeYAML 1.33 reads them.
    #[test]
    fn what_is_written_loosely() {
        for (text, expect) in [
            (
                "top:\n  args: [\n    \"a\",\n  ]\n  x: {\n    a: 1,\n  b: 2\n  }\n",
                r#"{"top":{"args":["a"],"x":{"a":1,"b":2}}}"#,
            ),
            ("- a: [\n1,\n2\n]\n- b\n", r#"[{"a":[1,2]},"b"]"#),
            ("top:\n  a: \"line\nb\"\n  c: 'x\ny'\n", r#"{"top":{"a":"line b","c":"x y"}}"#),
            ("a: 1\na: 2\nb: 3\na: 4\n", r#"{"b":3,"a":4}"#),
            ("x: &x {k: 1, l: 2}\ny: {<<: *x, k: 3}", r#"{"x":{"k":1,"l":2},"y":{"k":3,"l":2}}"#),
            ("a: |\n  x", r#"{"a":"x"}"#),
            ("a: |+\n  x\n\n", r#"{"a":"x\n\n"}"#),
            ("a: >\n  x\n  y", r#"{"a":"x y"}"#),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn refusals_say_where() {
        for (text, expect) in [
            ("a: b: c", "mapping values are not allowed in this context in line 1, column 5"),
            (
                "a:\n\t- b",
                "found character that cannot start any token while scanning for the next token in line 2, column 1",
            ),
            ("a: *b", "found undefined alias b in line 1, column 4"),
            ("[!!str, a]", "found what cannot be read"),
            ("a: \u{7}", "control characters are not allowed"),
        ] {
            assert_eq!(read(text).unwrap_err(), expect, "{text}");
        }
    }

    #[test]
    fn what_would_grow_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for n in 1..60 {
            bomb += &format!("a{n}: &a{n} [*a{p}, *a{p}]\n", p = n - 1);
        }
        assert!(read(&bomb).unwrap_err().contains("exceeds the specified max=50"));
        assert!(read(&format!("{}x{}", "[".repeat(300), "]".repeat(300))).is_err());
        assert!(read(&"- ".repeat(100_000)).is_err());
        assert!(read("a: &a [*a]").is_err());
        assert!(read("a: !java.net.URL 'x'").unwrap_err().contains("could not determine a constructor for the tag"));
        assert!(read(&"%TAG !a! b\n".repeat(MAX_DIRECTIVES + 1)).unwrap_err().contains("directives"));
        let twice: String = (0..120_000).map(|n| format!("a{}: 1\n", n % 60_000)).collect();
        assert!(read(&twice).unwrap_err().contains("more than"));
    }

    #[test]
    fn a_merge_ends_where_it_has_looked_at_enough() {
        let base = values::map(
            (0..1000)
                .map(|n| (n.to_string(), Value::Null))
                .collect::<Vec<_>>()
                .iter()
                .map(|(n, v)| (n.as_str(), v.clone())),
        );
        let (map, merged, mut count) = (Map::new(MapKind::Linked), Map::new(MapKind::Linked), 0);
        let why = merge(&map, &merged, &Value::list(vec![base; 10_000]), &mut count).unwrap_err();
        assert!(why.contains("more than") && count <= MAX_VALUES + 1001, "{why}: {count}");
    }
}
