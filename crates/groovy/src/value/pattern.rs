//! Regular expressions: Java's syntax on a linear-time engine, and on a backtracking one with a limit for look-around,
//! back-references and possessive quantifiers.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::braces::{self, Asks};
use super::meter::Charge;
use super::text::Str;

/// Steps of the backtracking engine before it gives up.
const BACKTRACK_MAX: usize = 1_000_000;
/// Characters that look-behinds may go back over in one search, over all places that it is tried at.
const BEHIND_MAX: usize = 2_000_000_000;
/// Characters gone back over for an instruction.
const BEHIND_STEPS: usize = 16;
/// Parts of an expression that may go back over the ends of lines.
const ACROSS_LINES: &[&str] =
    &["[^", "(?s", "\n", "\\n", "\\r", "\\s", "\\v", "\\x", "\\u", "\\R", "\\W", "\\D", "\\H", "\\p", "\\P"];
/// Bytes of a compiled expression.
const COMPILED_MAX: usize = 2 << 20;

/// Byte ranges of the groups of a match, group 0 first.
pub type Groups = Vec<Option<(usize, usize)>>;

/// Why an expression was refused or gave up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

#[derive(Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl Engine {
    fn new(translated: &str, flags: &str, possessive: bool) -> Result<Engine, PatternError> {
        let text = if flags.is_empty() { translated.to_string() } else { format!("(?{flags}){translated}") };
        let linear = || regex::RegexBuilder::new(&text).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build();
        match (!possessive).then(linear) {
            Some(Ok(regex)) => Ok(Engine::Linear(regex)),
            Some(Err(regex::Error::CompiledTooBig(_))) => Err(PatternError("the expression is too large".into())),
            _ => fancy_regex::RegexBuilder::new(&text)
                .backtrack_limit(BACKTRACK_MAX)
                .delegate_size_limit(COMPILED_MAX)
                .build()
                .map(Engine::Backtracking)
                .map_err(|e| PatternError(e.to_string())),
        }
    }

    fn groups(&self, text: &str, from: usize) -> Result<Option<Groups>, PatternError> {
        match self {
            Engine::Linear(r) => {
                let mut places = r.capture_locations();
                let found = r.captures_read_at(&mut places, text, from).is_some();
                let end = if found { places.get(0).map_or(text.len(), |g| g.1) } else { text.len() };
                super::Meter::work(4 + end.saturating_sub(from) / 16);
                Ok(found.then(|| (0..places.len()).map(|i| places.get(i)).collect()))
            }
            Engine::Backtracking(r) => {
                let found = r.captures_from_pos(text, from).map_err(|e| {
                    super::Meter::work(BACKTRACK_MAX);
                    PatternError(e.to_string())
                })?;
                let end = found.as_ref().and_then(|c| c.get(0)).map_or(text.len(), |m| m.end());
                super::Meter::work(16 + end.saturating_sub(from) / 8);
                Ok(found.map(|c| (0..c.len()).map(|i| c.get(i).map(|m| (m.start(), m.end()))).collect()))
            }
        }
    }

    fn names(&self) -> Vec<Option<String>> {
        match self {
            Engine::Linear(r) => r.capture_names().map(|n| n.map(str::to_string)).collect(),
            Engine::Backtracking(r) => r.capture_names().map(|n| n.map(str::to_string)).collect(),
        }
    }
}

/// A compiled expression.
#[derive(Debug)]
pub struct Pattern {
    /// As written.
    pub source: Str,
    /// Java's flag bits.
    pub flags: i32,
    asks: Asks,
    search: Engine,
    whole: OnceCell<Result<Engine, PatternError>>,
    before_break: OnceCell<Result<Engine, PatternError>>,
    _charge: Charge,
}

impl Pattern {
    /// Compiles Java's syntax.
    pub fn new(source: &str, flags: i32) -> Result<Pattern, PatternError> {
        // In these modes braces may be text, or within a remark.
        let asks = if flags & 16 != 0 {
            Asks::default()
        } else if flags & 4 != 0 || source.contains("(?x") {
            let has = |parts: &[&str]| parts.iter().any(|part| source.contains(part));
            Asks {
                behind: if has(&["(?<=", "(?<!"]) { usize::MAX } else { 0 },
                possessive: has(&["*+", "++", "?+", "}+"]),
            }
        } else {
            braces::check(source)?
        };
        let search = Engine::new(&translate(source, flags), &flag_letters(flags), asks.possessive)?;
        let charge = Charge::new(32 * 1024 + source.len() * 256);
        let (whole, before_break) = (OnceCell::new(), OnceCell::new());
        Ok(Pattern { source: Str::new(source), flags, asks, search, whole, before_break, _charge: charge })
    }

    /// The first match at or after byte `from`.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<Groups>, PatternError> {
        if from > text.len() {
            return Ok(None);
        }
        match stem(&self.source, self.flags).filter(|_| text.ends_with('\n')) {
            Some(stem) => self.find_before_break(&stem, text, from),
            None => self.groups(&self.search, text, from),
        }
    }

    /// A dollar sign at the end of an expression also stands before the line break that ends a text: the break is looked for with it, and
    /// an empty group says where the match ends.
    fn find_before_break(&self, stem: &str, text: &str, from: usize) -> Result<Option<Groups>, PatternError> {
        let engine = self.before_break.get_or_init(|| {
            let expression = format!("{stem}()(?:\\r?\\n)?\\z");
            Engine::new(&expression, &flag_letters(self.flags), self.asks.possessive)
        });
        let engine = engine.as_ref().map_err(Clone::clone)?;
        Ok(self.groups(engine, text, from)?.map(|mut groups| {
            if let (Some((at, _)), Some(Some(whole))) = (groups.pop().flatten(), groups.first_mut()) {
                whole.1 = at;
            }
            groups
        }))
    }

    /// Looks with one of the engines, as far as look-behinds have not to go back too often.
    fn groups(&self, engine: &Engine, text: &str, from: usize) -> Result<Option<Groups>, PatternError> {
        if self.asks == Asks::default() {
            return engine.groups(text, from);
        }
        let rest = text.len().saturating_sub(from);
        if rest.saturating_mul(text.len().min(if self.asks.possessive { usize::MAX } else { self.asks.behind }))
            > BEHIND_MAX
        {
            super::Meter::work(rest / 64);
            if rest.saturating_mul(self.reach(text, from, text.len())) > BEHIND_MAX {
                let what = if self.asks.behind > 0 { "Look-behind group" } else { "Possessive repetition" };
                return Err(PatternError(format!("{what} goes too far for a text of this length")));
            }
        }
        let found = engine.groups(text, from)?;
        let end = found.as_ref().and_then(|groups| groups[0]).map_or(text.len(), |(_, end)| end);
        let steps = end.saturating_sub(from).saturating_mul(self.reach(text, from, end));
        super::Meter::work(steps / BEHIND_STEPS);
        Ok(found)
    }

    /// Bytes of a text that look-behinds may go back over at one place from `from` to `end`.
    fn reach(&self, text: &str, from: usize, end: usize) -> usize {
        let is_in_line = self.flags & 32 == 0 && !ACROSS_LINES.iter().any(|part| self.source.contains(part));
        // What is possessive goes ahead, from each place anew.
        let (most, first) =
            if self.asks.possessive && self.asks.behind == 0 { (usize::MAX, from) } else { (self.asks.behind, 0) };
        if most < usize::MAX || !is_in_line {
            return most.min(end - first);
        }
        let start = text[first..from].rfind('\n').map_or(first, |at| first + at + 1);
        text[start..end].split('\n').map(str::len).max().unwrap_or_default()
    }

    /// The match of the whole text.
    pub fn matches(&self, text: &str) -> Result<Option<Groups>, PatternError> {
        let whole = self.whole.get_or_init(|| {
            let inner = translate(&self.source, self.flags);
            Engine::new(
                &format!("\\A(?:{inner}\n)\\z").replace("\n)", ")"),
                &flag_letters(self.flags),
                self.asks.possessive,
            )
        });
        match whole {
            Ok(engine) => self.groups(engine, text, 0),
            Err(e) => Err(e.clone()),
        }
    }

    /// All matches, one after the other. A text may have as many as it has letters: who keeps them counts them.
    pub fn find_all(&self, text: &str) -> impl Iterator<Item = Result<Groups, PatternError>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let groups = match self.find(text, from) {
                Ok(found) => found?,
                Err(e) => {
                    from = text.len() + 1;
                    return Some(Err(e));
                }
            };
            let (start, end) = groups.first().copied().flatten()?;
            from = if end > start { end } else { next_char(text, end) };
            Some(Ok(groups))
        })
    }

    /// Number of a named group.
    pub fn group_number(&self, name: &str) -> Option<usize> {
        self.search.names().iter().position(|n| n.as_deref() == Some(name))
    }

    /// Number of groups without group 0.
    pub fn group_count(&self) -> usize {
        self.search.names().len().saturating_sub(1)
    }
}

pub(crate) fn next_char(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(at + 1, |c| at + c.len_utf8())
}

/// A translated expression that ends with a dollar sign which is no line's end, without that.
fn stem(source: &str, flags: i32) -> Option<String> {
    let sets_lines =
        |part: &str| part.chars().take_while(char::is_ascii_alphabetic).any(|flag| matches!(flag, 'm' | 'x'));
    if flags & (4 | 8 | 16) != 0 || !source.ends_with(['$', 'Z']) || source.split("(?").skip(1).any(sets_lines) {
        return None;
    }
    let translated = translate(source, flags);
    let stem = translated.strip_suffix('$')?;
    let backslashes = stem.chars().rev().take_while(|c| *c == '\\').count();
    backslashes.is_multiple_of(2).then(|| stem.to_owned())
}

fn flag_letters(flags: i32) -> String {
    [(2, 'i'), (4, 'x'), (8, 'm'), (32, 's')].iter().filter(|(bit, _)| flags & bit != 0).map(|(_, c)| *c).collect()
}

/// Java's syntax in the words of the engines: `\Q…\E`, the ASCII classes, `\Z`, `\h`.
fn translate(source: &str, flags: i32) -> String {
    if flags & 16 != 0 {
        return regex::escape(source);
    }
    let mut out = String::with_capacity(source.len() + 16);
    let (mut chars, mut class_depth) = (source.chars().peekable(), 0usize);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let is_set = class_depth > 0 && chars.peek().is_some_and(|c| "dDwWsShHvVpP".contains(*c));
                translate_escape(&mut chars, class_depth > 0, &mut out);
                // No range begins with a set of characters: `[\w-.]`.
                if is_set && chars.next_if_eq(&'-').is_some() {
                    out.push_str("\\-");
                }
            }
            '[' => {
                class_depth += 1;
                out.push(c);
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            ']' if class_depth == 0 => out.push_str("\\]"),
            ']' => {
                class_depth -= 1;
                out.push(c);
            }
            '~' | '-' if class_depth > 0 && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            '$' if class_depth == 0 && flags & 8 == 0 && chars.peek().is_none() => out.push_str("(?:\\n?\\z)"),
            _ => out.push(c),
        }
    }
    // The dollar at the very end also stands before a final line break, which must not be part of the match.
    if let Some(rest) = out.strip_suffix("(?:\\n?\\z)") {
        out = format!("{rest}$");
    }
    out
}

fn translate_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, in_class: bool, out: &mut String) {
    let Some(c) = chars.next() else {
        out.push_str("\\\\");
        return;
    };
    let wrapped = |out: &mut String, body: &str, negated: bool| match (in_class, negated) {
        (true, false) => out.push_str(body),
        (_, true) => out.push_str(&format!("[^{body}]")),
        (false, false) => out.push_str(&format!("[{body}]")),
    };
    match c {
        'Q' => {
            let mut literal = String::new();
            while let Some(c) = chars.next() {
                if c == '\\' && chars.peek() == Some(&'E') {
                    chars.next();
                    break;
                }
                literal.push(c);
            }
            out.push_str(&regex::escape(&literal));
        }
        'd' => wrapped(out, "0-9", false),
        'D' => wrapped(out, "0-9", true),
        'w' => wrapped(out, "a-zA-Z0-9_", false),
        'W' => wrapped(out, "a-zA-Z0-9_", true),
        's' => wrapped(out, "\\x20\\t\\n\\x0B\\f\\r", false),
        'S' => wrapped(out, "\\x20\\t\\n\\x0B\\f\\r", true),
        'h' => wrapped(out, "\\x20\\t\\u{A0}\\u{1680}\\u{180e}\\u{2000}-\\u{200a}\\u{202f}\\u{205f}\\u{3000}", false),
        'H' => wrapped(out, "\\x20\\t\\u{A0}\\u{1680}\\u{180e}\\u{2000}-\\u{200a}\\u{202f}\\u{205f}\\u{3000}", true),
        'v' => wrapped(out, "\\n\\x0B\\f\\r\\u{85}\\u{2028}\\u{2029}", false),
        'V' => wrapped(out, "\\n\\x0B\\f\\r\\u{85}\\u{2028}\\u{2029}", true),
        'R' if !in_class => out.push_str("(?:\\r\\n|[\\n\\x0B\\f\\r\\u{85}\\u{2028}\\u{2029}])"),
        'Z' => out.push('$'),
        'e' => out.push_str("\\x1B"),
        // A line break that is escaped is one.
        _ if c.is_whitespace() => out.push_str(&format!("\\x{{{:x}}}", u32::from(c))),
        '/' | '"' | '\'' | '!' | '@' | '%' | ',' | ';' | ':' | '=' | '<' | '>' | '`' | '_' | '#' => {
            out.push_str(&regex::escape(&c.to_string()))
        }
        'u' => {
            let hex: String = chars.by_ref().take(4).collect();
            out.push_str(&format!("\\u{{{hex}}}"));
        }
        'p' | 'P' if chars.peek() == Some(&'{') => {
            let name: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
            match posix(&name) {
                Some(body) => wrapped(out, body, c == 'P'),
                None => out.push_str(&format!("\\{c}{{{}}}", name.trim_start_matches("Is"))),
            }
        }
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
}

fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => "!-/:-@\\[-`{-~",
        "Graph" => "!-~",
        "Print" => "\\x20-~",
        "Cntrl" => "\\x00-\\x1F\\x7F",
        "Space" => "\\x20\\t\\n\\x0B\\f\\r",
        "Blank" => "\\x20\\t",
        "XDigit" => "0-9a-fA-F",
        "ASCII" => "\\x00-\\x7F",
        _ => return None,
    })
}

/// `java.util.regex.Matcher`
#[derive(Debug)]
pub struct Matcher {
    /// Expression.
    pub pattern: Rc<Pattern>,
    /// Text.
    pub text: Str,
    /// The last match.
    pub groups: RefCell<Option<Groups>>,
    /// Where the next `find` starts; `None` after the end.
    pub next: RefCell<Option<usize>>,
    /// Where `appendReplacement` copies from.
    pub append_at: std::cell::Cell<usize>,
}

impl Matcher {
    /// A matcher before its first match.
    pub fn new(pattern: Rc<Pattern>, text: Str) -> Self {
        let (groups, next) = (RefCell::new(None), RefCell::new(Some(0)));
        Matcher { pattern, text, groups, next, append_at: std::cell::Cell::new(0) }
    }

    /// Java's `find()`.
    pub fn find_next(&self) -> Result<bool, PatternError> {
        let Some(from) = *self.next.borrow() else {
            *self.groups.borrow_mut() = None;
            return Ok(false);
        };
        let found = self.pattern.find(&self.text, from)?;
        let next = match found.as_ref().and_then(|g| g.first().copied().flatten()) {
            Some((start, end)) if end > start => Some(end),
            Some((_, end)) if end < self.text.len() => Some(next_char(&self.text, end)),
            _ => None,
        };
        *self.next.borrow_mut() = next;
        let hit = found.is_some();
        *self.groups.borrow_mut() = found;
        Ok(hit)
    }

    /// Java's `reset()`.
    pub fn reset(&self) {
        *self.groups.borrow_mut() = None;
        *self.next.borrow_mut() = Some(0);
        self.append_at.set(0);
    }

    /// Groovy's truth of a matcher is its `find()`.
    pub(crate) fn matches_anything(&self) -> bool {
        self.find_next().unwrap_or(false)
    }
}
