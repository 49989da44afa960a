//! Label expressions, as Jenkins has them: what a run asks of the labels of an agent.
//!
//! ```text
//! expression = implied { "<->" implied }
//! implied    = either [ "->" either ]          (a->b)->c is not a->(b->c), so that neither is meant by a->b->c
//! either     = all { "||" all }
//! all        = not { "&&" not }
//! not        = [ "!" ] atom
//! atom       = "(" expression ")" | name | "quoted name"
//! ```
//!
//! The grammar is that of Jenkins' `LabelExpressionParser.g4`. Jenkins takes what is no expression for a single odd name, for
//! which a run waits for ever; here it is an error that names the place.

mod parse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use parse::{MAX_BYTES, MAX_DEPTH, ParseError, Problem};

/// The labels of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(BTreeSet<Arc<str>>);

impl Labels {
    /// Whether a label is among them. Case counts.
    pub fn has(&self, label: &str) -> bool {
        self.0.contains(label)
    }
}

impl<T: Into<Arc<str>>> FromIterator<T> for Labels {
    fn from_iter<I: IntoIterator<Item = T>>(labels: I) -> Labels {
        Labels(labels.into_iter().map(Into::into).collect())
    }
}

/// What a run asks of the labels of an agent. Prints in its shortest form, which parses to the same again; equal are
/// those that print alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expression(Node);

/// The lists hold two or more each, and none of its own kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    #[default]
    Any,
    Label(Arc<str>),
    Not(Box<Node>),
    All(Vec<Node>),
    Either(Vec<Node>),
    Implies(Box<[Node; 2]>),
    /// From the left: `a<->b<->c` is `(a<->b)<->c`, which holds where an even number of them does not.
    Same(Vec<Node>),
}

/// What stands between the labels of an agent and an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Labels that are missing.
    pub lacks: Vec<Arc<str>>,
    /// Labels that may not be there.
    pub spare: Vec<Arc<str>>,
}

/// Labels to be given (`true`) and to be taken away.
type Changes = BTreeMap<Arc<str>, bool>;

impl Expression {
    /// Fits every agent.
    pub fn any() -> Expression {
        Expression::default()
    }

    /// One label.
    pub fn label(label: impl Into<Arc<str>>) -> Expression {
        Expression(Node::Label(label.into()))
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Expression) -> Expression {
        let parts = |node| match node {
            Node::Any => Vec::new(),
            Node::All(nodes) => nodes,
            node => vec![node],
        };
        let mut nodes = [parts(self.0), parts(other.0)].concat();
        Expression(match nodes.len() {
            0 => Node::Any,
            1 => nodes.remove(0),
            _ => Node::All(nodes),
        })
    }

    /// Whether an agent with such labels will do.
    pub fn evaluate(&self, labels: &Labels) -> bool {
        self.0.evaluate(labels)
    }

    /// A small change of the labels that makes them fit. `None` where none is found: the expression contradicts itself,
    /// or what one part of it needs is what another forbids.
    pub fn difference(&self, labels: &Labels) -> Option<Difference> {
        let changes = self.0.changes(labels, true)?;
        let mut changed = labels.clone();
        let mut difference = Difference::default();
        for (label, add) in changes {
            if add {
                changed.0.insert(Arc::clone(&label));
                difference.lacks.push(label);
            } else {
                changed.0.remove(&label);
                difference.spare.push(label);
            }
        }
        self.evaluate(&changed).then_some(difference)
    }
}

impl Difference {
    /// How many labels differ.
    pub fn size(&self) -> usize {
        self.lacks.len() + self.spare.len()
    }
}

impl Node {
    fn evaluate(&self, labels: &Labels) -> bool {
        match self {
            Node::Any => true,
            Node::Label(label) => labels.has(label),
            Node::Not(node) => !node.evaluate(labels),
            Node::All(nodes) => nodes.iter().all(|node| node.evaluate(labels)),
            Node::Either(nodes) => nodes.iter().any(|node| node.evaluate(labels)),
            Node::Implies(nodes) => !nodes[0].evaluate(labels) || nodes[1].evaluate(labels),
            Node::Same(nodes) => nodes.iter().filter(|node| !node.evaluate(labels)).count() % 2 == 0,
        }
    }

    /// What makes it true, or false: for a choice the shorter way, for a list all of its ways together.
    fn changes(&self, labels: &Labels, wanted: bool) -> Option<Changes> {
        match self {
            Node::Any => wanted.then(Changes::new),
            Node::Label(label) if labels.has(label) == wanted => Some(Changes::new()),
            Node::Label(label) => Some([(Arc::clone(label), wanted)].into()),
            Node::Not(node) => node.changes(labels, !wanted),
            Node::All(nodes) if wanted => together(nodes.iter().map(|node| node.changes(labels, true))),
            Node::All(nodes) => shortest(nodes.iter().map(|node| node.changes(labels, false))),
            Node::Either(nodes) if wanted => shortest(nodes.iter().map(|node| node.changes(labels, true))),
            Node::Either(nodes) => together(nodes.iter().map(|node| node.changes(labels, false))),
            Node::Implies(nodes) => {
                let ways = [nodes[0].changes(labels, !wanted), nodes[1].changes(labels, wanted)].into_iter();
                if wanted { shortest(ways) } else { together(ways) }
            }
            Node::Same(_) if self.evaluate(labels) == wanted => Some(Changes::new()),
            // One of them turned round turns the whole.
            Node::Same(nodes) => shortest(nodes.iter().map(|node| node.changes(labels, !node.evaluate(labels)))),
        }
    }

    /// How tightly it binds what is beside it.
    fn strength(&self) -> u8 {
        match self {
            Node::Same(_) => 0,
            Node::Implies(_) => 1,
            Node::Either(_) => 2,
            Node::All(_) => 3,
            Node::Not(_) => 4,
            Node::Any | Node::Label(_) => 5,
        }
    }

    fn fmt_within(&self, f: &mut fmt::Formatter<'_>, strength: u8) -> fmt::Result {
        match self.strength() < strength {
            true => write!(f, "({self})"),
            false => write!(f, "{self}"),
        }
    }
}

fn shortest(ways: impl Iterator<Item = Option<Changes>>) -> Option<Changes> {
    ways.flatten().min_by_key(Changes::len)
}

fn together(ways: impl Iterator<Item = Option<Changes>>) -> Option<Changes> {
    let mut all = Changes::new();
    for way in ways {
        for (label, add) in way? {
            if *all.entry(label).or_insert(add) != add {
                return None;
            }
        }
    }
    Some(all)
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, between): (&[Node], _) = match self {
            Node::Any => return Ok(()),
            Node::Label(label) => return parse::write_name(f, label),
            Node::Not(node) => {
                f.write_str("!")?;
                // No `!` stands before another.
                return node.fmt_within(f, self.strength() + 1);
            }
            Node::All(nodes) => (nodes, " && "),
            Node::Either(nodes) => (nodes, " || "),
            Node::Implies(nodes) => (nodes.as_slice(), " -> "),
            Node::Same(nodes) => (nodes, " <-> "),
        };
        for (index, node) in nodes.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { between })?;
            node.fmt_within(f, self.strength() + 1)?;
        }
        Ok(())
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    /// What is empty fits every agent, like `label ''`.
    fn from_str(text: &str) -> Result<Expression, ParseError> {
        parse::parse(text).map(Expression)
    }
}
