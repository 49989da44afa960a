//! The parser of label expressions: one function per production, over tokens that know where they begin.

use std::fmt;
use std::sync::Arc;

use super::Node;

/// Longest expression in bytes. Those of real pipelines are below 200; each waiting run with one of its own costs as much.
pub const MAX_BYTES: usize = 4096;
/// How deep brackets may stand in each other. People get lost at 4; each costs stack.
pub const MAX_DEPTH: u32 = 64;

/// Why something is no label expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label expression `{text}`: {problem} at character {}", self.character())]
pub struct ParseError {
    /// As given; of one that is too long, its beginning.
    pub text: String,
    /// Byte of `text` that it was found at; one behind the last where it ends too early.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl ParseError {
    /// Which character it is at, from 1, as editors count.
    pub fn character(&self) -> usize {
        self.text.char_indices().take_while(|(at, _)| *at < self.at).count() + 1
    }
}

/// What is wrong with a label expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else had to come.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// `a -> b -> c`.
    #[error("`->` cannot follow another without brackets, for (a->b)->c is not a->(b->c),")]
    Chained,
    /// It begins with a quote, and does not end with one.
    #[error("a quoted name does not end; it begins")]
    Unclosed,
    /// Behind a `\`.
    #[error("`\\{0}` stands for nothing")]
    Escape(char),
    /// Half an operator, or a character that a name cannot have without quotes.
    #[error("`{0}` is no operator, and no name without quotes has it,")]
    Stray(char),
    /// More than [`MAX_BYTES`].
    #[error("it has more than {MAX_BYTES} bytes; the first too many is")]
    TooLong,
    /// More than [`MAX_DEPTH`].
    #[error("more than {MAX_DEPTH} brackets stand in each other")]
    TooDeep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    And,
    Or,
    Not,
    Implies,
    Same,
    Open,
    Close,
    Name(Arc<str>),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Token::And => "`&&`",
            Token::Or => "`||`",
            Token::Not => "`!`",
            Token::Implies => "`->`",
            Token::Same => "`<->`",
            Token::Open => "`(`",
            Token::Close => "`)`",
            Token::Name(name) => return write!(f, "the name `{name}`"),
            Token::End => "the end",
        })
    }
}

const OPERATORS: [(&str, Token); 7] = [
    ("&&", Token::And),
    ("||", Token::Or),
    ("!", Token::Not),
    ("->", Token::Implies),
    ("<->", Token::Same),
    ("(", Token::Open),
    (")", Token::Close),
];

const ESCAPES: [(char, char); 8] =
    [('b', '\u{8}'), ('t', '\t'), ('n', '\n'), ('f', '\u{c}'), ('r', '\r'), ('"', '"'), ('\'', '\''), ('\\', '\\')];

/// What Jenkins' lexer keeps out of names; of `-`, see [`name_length`].
fn is_of_names(c: char) -> bool {
    !matches!(c, '&' | '|' | '!' | '<' | '>' | '(' | ')' | '"' | '\'') && !c.is_ascii_whitespace()
}

/// Bytes of the name that a text begins with. A `-` belongs to it, unless it begins an arrow.
fn name_length(text: &str) -> usize {
    let ends = |(at, c): &(usize, char)| !is_of_names(*c) || text[*at..].starts_with("->");
    text.char_indices().find(ends).map_or(text.len(), |(at, _)| at)
}

/// Writes a name so that it is read as one.
pub(super) fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name_length(name) == name.len() {
        return f.write_str(name);
    }
    f.write_str("\"")?;
    for c in name.chars() {
        match ESCAPES.iter().find(|(_, meant)| *meant == c && c != '\'') {
            Some((letter, _)) => write!(f, "\\{letter}")?,
            None => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > MAX_BYTES {
        let at = text.floor_char_boundary(MAX_BYTES);
        return Err(ParseError { text: text[..at].to_owned(), at, problem: Problem::TooLong });
    }
    let fail = |(at, problem)| ParseError { text: text.to_owned(), at, problem };
    let tokens = tokens(text).map_err(fail)?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    if parser.peek() == &Token::End {
        return Ok(Node::Any);
    }
    let node = parser.expression().map_err(fail)?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(fail(parser.unexpected("an operator or the end"))),
    }
}

type Failed = (usize, Problem);

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Failed> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_ascii_whitespace() {
            at += 1;
        } else if let Some((word, token)) = OPERATORS.iter().find(|(word, _)| rest.starts_with(word)) {
            tokens.push((at, token.clone()));
            at += word.len();
        } else if c == '"' {
            let (name, length) = quoted(rest).map_err(|(behind, problem)| (at + behind, problem))?;
            tokens.push((at, Token::Name(name)));
            at += length;
        } else {
            let length = name_length(rest);
            if length == 0 {
                return Err((at, Problem::Stray(c)));
            }
            tokens.push((at, Token::Name(rest[..length].into())));
            at += length;
        }
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

/// The name in quotes that a text begins with, and how many bytes it takes with them.
fn quoted(text: &str) -> Result<(Arc<str>, usize), Failed> {
    let mut name = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((name.into(), at + 1)),
            '\r' | '\n' => break,
            '\\' => {
                let Some((_, letter)) = chars.next() else { break };
                let escape = ESCAPES.iter().find(|(known, _)| *known == letter);
                name.push(escape.ok_or((at, Problem::Escape(letter)))?.1);
            }
            c => name.push(c),
        }
    }
    Err((0, Problem::Unclosed))
}

struct Parser {
    /// The last is [`Token::End`].
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: u32,
}

impl Parser {
    fn at(&self) -> usize {
        self.tokens[self.next].0
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == token;
        // Nobody takes the end.
        self.next += usize::from(is_next);
        is_next
    }

    fn unexpected(&self, expected: &'static str) -> Failed {
        (self.at(), Problem::Unexpected { expected, found: self.peek().to_string() })
    }

    fn expression(&mut self) -> Result<Node, Failed> {
        let nodes = self.list(&Token::Same, Parser::implied)?;
        Ok(joined(nodes, Node::Same))
    }

    fn implied(&mut self) -> Result<Node, Failed> {
        let left = self.either()?;
        if !self.take(&Token::Implies) {
            return Ok(left);
        }
        let right = self.either()?;
        match self.peek() {
            Token::Implies => Err((self.at(), Problem::Chained)),
            _ => Ok(Node::Implies(Box::new([left, right]))),
        }
    }

    fn either(&mut self) -> Result<Node, Failed> {
        let nodes = self.list(&Token::Or, Parser::all)?.into_iter();
        let flat = nodes.flat_map(|node| match node {
            Node::Either(nodes) => nodes,
            node => vec![node],
        });
        Ok(joined(flat.collect(), Node::Either))
    }

    fn all(&mut self) -> Result<Node, Failed> {
        let nodes = self.list(&Token::And, Parser::not)?.into_iter();
        let flat = nodes.flat_map(|node| match node {
            Node::All(nodes) => nodes,
            node => vec![node],
        });
        Ok(joined(flat.collect(), Node::All))
    }

    fn not(&mut self) -> Result<Node, Failed> {
        match self.take(&Token::Not) {
            true => Ok(Node::Not(Box::new(self.atom()?))),
            false => self.atom(),
        }
    }

    fn atom(&mut self) -> Result<Node, Failed> {
        if let Token::Name(name) = self.peek() {
            let name = Arc::clone(name);
            self.next += 1;
            return Ok(Node::Label(name));
        }
        let at = self.at();
        if !self.take(&Token::Open) {
            return Err(self.unexpected("a label or `(`"));
        }
        if self.depth == MAX_DEPTH {
            return Err((at, Problem::TooDeep));
        }
        self.depth += 1;
        let inner = self.expression()?;
        self.depth -= 1;
        match self.take(&Token::Close) {
            true => Ok(inner),
            false => Err(self.unexpected("an operator or `)`")),
        }
    }

    /// One or more, with a token between them.
    fn list(
        &mut self,
        between: &Token,
        part: impl Fn(&mut Parser) -> Result<Node, Failed>,
    ) -> Result<Vec<Node>, Failed> {
        let mut nodes = vec![part(self)?];
        while self.take(between) {
            nodes.push(part(self)?);
        }
        Ok(nodes)
    }
}

/// A list, unless it is of one.
fn joined(mut nodes: Vec<Node>, list: impl Fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => list(nodes),
    }
}
