//! `compareVersions`.

use std::cmp::Ordering;

use groovy::value::Value;

use super::super::StepCall;
use crate::engine::fault::Fault;

/// `compareVersions v1: '1.10', v2: '1.9'`: -1, 0 or 1.
///
/// Source: `CompareVersionsStepExecution` and Maven's `ComparableVersion`.
pub(crate) async fn compare_versions(call: StepCall) -> Result<Value, Fault> {
    let fail = call.args.flag("failIfEmpty", false)?;
    let version = |name: &str| match call.args.opt_text(name)?.filter(|text| !text.is_empty()) {
        None if fail => Err(Fault::illegal(format!("{name} is empty."))),
        text => Ok(text.unwrap_or_default()),
    };
    let (first, second) = (version("v1")?, version("v2")?);
    Ok(Value::Int(compare(&first, &second) as i32))
}

/// A part of a version. A hyphen, and the border between digits and letters, begin a new list.
#[derive(Debug, PartialEq)]
enum Item {
    Number(String),
    Word(String),
    List(Vec<Item>),
}

/// Words with an order of their own; the empty one is a release.
const WORDS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];

/// Where a release stands among them.
const RELEASE: usize = 5;

fn compare(first: &str, second: &str) -> Ordering {
    lists(&parse(first), &parse(second))
}

fn parse(text: &str) -> Vec<Item> {
    let text = text.to_lowercase();
    // The open lists, outermost first.
    let mut open: Vec<Vec<Item>> = vec![Vec::new()];
    let mut word = String::new();
    for c in text.chars() {
        let last = open.last_mut().expect("there is one");
        match c {
            '.' => last.push(item(&mut word, false)),
            '-' => {
                last.push(item(&mut word, false));
                begin(&mut open);
            }
            c => {
                let changes = word.chars().last().is_some_and(|before| before.is_ascii_digit() != c.is_ascii_digit());
                if changes {
                    last.push(item(&mut word, c.is_ascii_digit()));
                    begin(&mut open);
                }
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        open.last_mut().expect("there is one").push(item(&mut word, false));
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

fn begin(open: &mut Vec<Vec<Item>>) {
    if open.len() < MAX_LISTS {
        open.push(Vec::new());
    }
}

fn item(word: &mut String, digit_follows: bool) -> Item {
    let text = std::mem::take(word);
    if text.is_empty() {
        return Item::Number(String::new());
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Item::Number(text.trim_start_matches('0').to_owned());
    }
    Item::Word(match (text.as_str(), digit_follows) {
        ("a", true) => "alpha".to_owned(),
        ("b", true) => "beta".to_owned(),
        ("m", true) => "milestone".to_owned(),
        ("ga" | "final" | "release", _) => String::new(),
        ("cr", _) => "rc".to_owned(),
        _ => text,
    })
}

/// Takes what means nothing from the end of each list.
fn normalize(items: &mut Vec<Item>) {
    for at in (0..items.len()).rev() {
        match &items[at] {
            last if is_nothing(last) => drop(items.remove(at)),
            Item::List(_) => {}
            _ => break,
        }
    }
}

fn is_nothing(item: &Item) -> bool {
    match item {
        Item::Number(digits) => digits.is_empty(),
        Item::Word(word) => word.is_empty(),
        Item::List(items) => items.is_empty(),
    }
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
        Item::List(items) => items.iter().map(alone).find(|order| order.is_ne()).unwrap_or(Ordering::Equal),
    }
}

fn items(first: &Item, second: &Item) -> Ordering {
    match (first, second) {
        (Item::Number(a), Item::Number(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Item::Word(a), Item::Word(b)) => rank(a).cmp(&rank(b)),
        (Item::List(a), Item::List(b)) => lists(a, b),
        // 1.1 > 1-1 > 1-sp
        (Item::Number(_), _) | (Item::List(_), Item::Word(_)) => Ordering::Greater,
        (Item::Word(_), _) | (Item::List(_), Item::Number(_)) => Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_maven() {
        let ascending = [
            "1-alpha2snapshot",
            "1-alpha2",
            "1-beta-2",
            "1-m11",
            "1-rc",
            "1-SNAPSHOT",
            "1",
            "1-sp",
            "1-abc",
            "1-1",
            "1.1",
            "1.2",
            "1.10",
            "2.0.1",
            "20240101000000000000000000",
        ];
        for (at, first) in ascending.iter().enumerate() {
            for (other, second) in ascending.iter().enumerate() {
                assert_eq!(compare(first, second), at.cmp(&other), "{first} and {second}");
            }
        }
        for (first, second) in
            [("1", "1.0.0"), ("1", "1-ga"), ("1.0", "1-0"), ("1a1", "1-alpha-1"), ("1x", "1X"), ("", "0")]
        {
            assert_eq!(compare(first, second), Ordering::Equal, "{first} and {second}");
        }
        let _ = compare(&"1-".repeat(100_000), &"1-".repeat(100_000));
    }
}
