//! `compareVersions`.

use std::cmp::Ordering;

use groovy::value::Value;

use super::super::StepCall;
use crate::engine::fault::Fault;

/// `compareVersions v1: '1.10', v2: '1.9'`: -1, 0 or 1.
///
/// Source: `CompareVersionsStep`, and Jenkins' `hudson.util.VersionNumber`.
pub(crate) async fn compare_versions(call: StepCall) -> Result<Value, Fault> {
    let [first, second] =
        [call.args.opt_text("v1")?.unwrap_or_default(), call.args.opt_text("v2")?.unwrap_or_default()];
    let (lack, order) = match (first.is_empty(), second.is_empty()) {
        (true, true) => ("Both parameters are empty.", Ordering::Equal),
        (true, false) => ("v1 is empty.", Ordering::Less),
        (false, true) => ("v2 is empty.", Ordering::Greater),
        (false, false) => return Ok(Value::Int(compare(&first, &second) as i32)),
    };
    if call.args.flag("failIfEmpty", false)? { Err(Fault::abort(lack)) } else { Ok(Value::Int(order as i32)) }
}

/// A part of a version. A hyphen between digits begins a new list.
#[derive(Debug, PartialEq)]
enum Item {
    Number(String),
    Word(String),
    List(Vec<Item>),
    /// `*`: above all that could stand in its place.
    Any,
}

/// Words with an order of their own; the empty one is a release.
const WORDS: [&str; 7] = ["snapshot", "alpha", "beta", "milestone", "rc", "", "sp"];

/// Where a release stands among them.
const RELEASE: usize = 5;

/// A version, and what it is a snapshot of: nothing, the last one, or one of a time and a number.
struct Version {
    items: Vec<Item>,
    snapshot: Option<Option<(String, String)>>,
}

fn compare(first: &str, second: &str) -> Ordering {
    let (first, second) = (parse(first), parse(second));
    lists(&first.items, &second.items).then_with(|| match (first.snapshot, second.snapshot) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Some((time, number))), Some(Some((other, last)))) => {
            time.cmp(&other).then_with(|| digits(&number, &last))
        }
        // The last one is whatever it is.
        (Some(_), Some(_)) => Ordering::Equal,
    })
}

fn parse(text: &str) -> Version {
    let (text, snapshot) = match snapshot(text) {
        Some((before, which)) => (format!("{before}-SNAPSHOT"), Some(which)),
        None => (text.to_owned(), None),
    };
    Version { items: parts(&text.to_lowercase()), snapshot }
}

/// What is before `-SNAPSHOT` or `-20240131.120000-7` at the end, and which one it is. Something in parentheses may follow.
fn snapshot(text: &str) -> Option<(&str, Option<(String, String)>)> {
    let text = match text.rfind(" (") {
        Some(at) if text.ends_with(')') => &text[..at],
        _ => text,
    };
    if let Some(before) = text.strip_suffix("-SNAPSHOT") {
        return Some((before, None));
    }
    let (before, number) = text.rsplit_once('-')?;
    let (before, time) = before.rsplit_once('-')?;
    let (date, clock) = time.split_once('.')?;
    let are_digits = [date, clock, number].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let fits = are_digits && (date.len(), clock.len()) == (8, 6) && !number.is_empty();
    fits.then(|| (before, Some((time.to_owned(), number.to_owned()))))
}

fn parts(text: &str) -> Vec<Item> {
    // The open lists, outermost first.
    let mut open: Vec<Vec<Item>> = vec![Vec::new()];
    let (mut word, mut is_digit) = (String::new(), false);
    let mut signs = text.chars().peekable();
    while let Some(c) = signs.next() {
        let last = open.last_mut().expect("there is one");
        match c {
            '.' => last.push(item(&mut word, is_digit, false)),
            '-' => {
                last.push(item(&mut word, is_digit, false));
                if is_digit {
                    normalize(last);
                    if signs.peek().is_some_and(char::is_ascii_digit) && open.len() < MAX_LISTS {
                        open.push(Vec::new());
                    }
                }
            }
            '*' => {
                word.clear();
                last.push(Item::Any);
            }
            c => {
                let changes = is_digit != c.is_ascii_digit() || c.is_whitespace();
                if changes && !word.is_empty() {
                    last.push(item(&mut word, is_digit, true));
                }
                is_digit = c.is_ascii_digit();
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        open.last_mut().expect("there is one").push(item(&mut word, is_digit, false));
    }
    while open.len() > 1 {
        let mut inner = open.pop().unwrap_or_default();
        normalize(&mut inner);
        open.last_mut().expect("there is one").push(Item::List(inner));
    }
    let mut all = open.remove(0);
    normalize(&mut all);
    all
}

/// How many lists stand in each other; what follows in a longer version stays in the last.
const MAX_LISTS: usize = 50;

/// The part that a text is; nothing is a zero.
fn item(word: &mut String, is_digit: bool, digit_follows: bool) -> Item {
    let text = std::mem::take(word);
    if text.is_empty() {
        return Item::Number(String::new());
    }
    if is_digit {
        return Item::Number(text.trim_start_matches('0').to_owned());
    }
    Item::Word(match (text.as_str(), digit_follows) {
        ("a", true) => "alpha".to_owned(),
        ("b", true) => "beta".to_owned(),
        ("m", true) => "milestone".to_owned(),
        ("ga" | "final", _) => String::new(),
        ("cr" | "ea", _) => "rc".to_owned(),
        _ => text,
    })
}

/// Takes what means nothing from the end of a list.
fn normalize(items: &mut Vec<Item>) {
    while items.pop_if(|last| is_nothing(last)).is_some() {}
}

fn is_nothing(item: &Item) -> bool {
    match item {
        Item::Number(digits) => digits.is_empty(),
        Item::Word(word) => word.is_empty(),
        Item::List(items) => items.is_empty(),
        Item::Any => false,
    }
}

/// Two numbers without zeros before them.
fn digits(first: &str, second: &str) -> Ordering {
    let [first, second] = [first, second].map(|digits| digits.trim_start_matches('0'));
    first.len().cmp(&second.len()).then_with(|| first.cmp(second))
}

fn rank(word: &str) -> (usize, &str) {
    WORDS.iter().position(|known| *known == word).map_or((WORDS.len(), word), |at| (at, ""))
}

fn lists(first: &[Item], second: &[Item]) -> Ordering {
    let pairs = (0..first.len().max(second.len())).map(|at| match (first.get(at), second.get(at)) {
        (Some(a), Some(b)) => items(a, b),
        (Some(a), None) => alone(a),
        (None, Some(b)) => alone(b).reverse(),
        (None, None) => Ordering::Equal,
    });
    pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// An item against nothing.
fn alone(item: &Item) -> Ordering {
    match item {
        Item::Number(digits) => digits.is_empty().cmp(&true).reverse(),
        Item::Word(word) => rank(word).cmp(&(RELEASE, "")),
        Item::List(items) => items.first().map_or(Ordering::Equal, alone),
        Item::Any => Ordering::Greater,
    }
}

fn items(first: &Item, second: &Item) -> Ordering {
    match (first, second) {
        (Item::Number(a), Item::Number(b)) => digits(a, b),
        (Item::Word(a), Item::Word(b)) => rank(a).cmp(&rank(b)),
        (Item::List(a), Item::List(b)) => lists(a, b),
        (Item::Any, Item::Any) | (Item::Number(_), Item::Any) => Ordering::Equal,
        (Item::Any, _) => Ordering::Greater,
        (_, Item::Any) => Ordering::Less,
        // 1.1 > 1-1 > 1-sp
        (Item::Number(_), _) | (Item::List(_), Item::Word(_)) => Ordering::Greater,
        (Item::Word(_), _) | (Item::List(_), Item::Number(_)) => Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: `CompareVersionsStepTest`, and the order of words of `VersionNumber`.
    #[test]
    fn the_order_of_jenkins() {
        let ascending = [
            "1-SNAPSHOT",
            "1-alpha2",
            "1-beta-2",
            "1-m11",
            "1-rc",
            "1",
            "1-sp",
            "1-abc",
            "1-1",
            "1.1",
            "1.2",
            "1.10",
            "2.0.1",
        ];
        for (at, first) in ascending.iter().enumerate() {
            for (other, second) in ascending.iter().enumerate() {
                assert_eq!(compare(first, second), at.cmp(&other), "{first} and {second}");
            }
        }
        for (newer, older) in [
            ("2.0.*", "2.0"),
            ("2.1-SNAPSHOT", "2.0.*"),
            ("2.1", "2.1-SNAPSHOT"),
            ("2.0.*", "2.0.1"),
            ("2.0.1", "2.0.1-SNAPSHOT"),
            ("2.0.1-SNAPSHOT", "2.0.0.99"),
            ("2.0.0.99", "2.0.0"),
            ("2.0.0", "2.0.ea"),
            ("2.0", "2.0.ea"),
            ("20240101000000000000000000", "2"),
            ("1-20240131.120000-11", "1-20240131.120000-7"),
            ("1-20240201.000000-1 (private)", "1-20240131.120000-7"),
        ] {
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} and {older}");
        }
        for (older, newer) in [("1.7", "1.8"), ("1", "1.8"), ("1-20240131.120000-7", "1")] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} and {newer}");
        }
        for (first, second) in [
            ("1", "1.0.0"),
            ("1", "1-ga"),
            ("1.0", "1-0"),
            ("1a1", "1-alpha-1"),
            ("1x", "1X"),
            ("1-SNAPSHOT", "1-20240131.120000-7"),
            ("1-cr", "1-ea"),
        ] {
            assert_eq!(compare(first, second), Ordering::Equal, "{first} and {second}");
        }
        let _ = compare(&"1-".repeat(100_000), &"1-1".repeat(100_000));
    }
}
