//! What Java refuses in regular expressions and the engines take: braces that say no number of times, repetitions of repetitions, and
//! look-behinds of any length.

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::PatternError;

/// Java's words.
const NO_MAXIMUM: &str = "Look-behind group does not have an obvious maximum length";

/// What an expression asks of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asks {
    /// The number of characters that look-behinds may go back over together at one place, at most; `usize::MAX` is as far as the text is.
    pub(super) behind: usize,
    /// A repetition gives nothing back, `a*+`: where a linear engine sees one of one.
    pub(super) possessive: bool,
}

/// What stands before a sign that repeats.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Atom,
    /// A repetition, which may still be a reluctant or a possessive one.
    Repeated,
    Done,
}

/// Whether each brace is escaped, in a set of characters, part of an escape, or says how many times what is before it stands there, and each
/// look-behind has a longest match as far as Java asks for one.
pub(super) fn check(source: &str) -> Result<Asks, PatternError> {
    let mut chars = source.chars().peekable();
    let mut depth = 0usize;
    // Of the open groups, whether each is a look-behind or in one.
    let mut behind = Vec::new();
    let mut before = Before::Nothing;
    // Whether that is a group, which has no longest match then.
    let mut group = false;
    let (mut reach, mut possessive) = (0usize, false);
    while let Some(c) = chars.next() {
        let after_group = std::mem::replace(&mut group, c == ')' && depth == 0);
        let is_behind = behind.last() == Some(&true);
        if is_behind && depth == 0 {
            reach = if matches!(c, '*' | '+') && before == Before::Atom { usize::MAX } else { reach.saturating_add(1) };
        }
        match c {
            '\\' => {
                escape(&mut chars);
                before = Before::Atom;
            }
            '[' => {
                depth += 1;
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
            }
            ']' if depth > 0 => {
                depth -= 1;
                before = Before::Atom;
            }
            _ if depth > 0 => {}
            '(' => {
                let mut is_behind = behind.last() == Some(&true);
                if chars.next_if_eq(&'?').is_some() {
                    match chars.peek() {
                        // What is looked at ahead is not gone back over.
                        Some('=' | '!') => is_behind = false,
                        _ => is_behind |= chars.next_if_eq(&'<').is_some() && matches!(chars.peek(), Some('=' | '!')),
                    }
                    while chars.next_if(|c| !matches!(c, ':' | '=' | '!' | '>' | ')')).is_some() {}
                    // `(?i)` is no group.
                    if chars.next() == Some(')') {
                        before = Before::Nothing;
                        continue;
                    }
                }
                behind.push(is_behind);
                before = Before::Nothing;
            }
            ')' => {
                behind.pop();
                before = Before::Atom;
            }
            '*' | '+' if after_group && is_behind => return Err(PatternError(NO_MAXIMUM.into())),
            '|' => before = Before::Nothing,
            '*' | '+' | '?' => {
                before = match before {
                    Before::Atom => Before::Repeated,
                    Before::Repeated if c != '*' => {
                        possessive |= c == '+';
                        Before::Done
                    }
                    _ => return Err(PatternError(format!("Dangling meta character '{c}'"))),
                }
            }
            '{' => match counts(&mut chars).filter(|_| before == Before::Atom) {
                None => return Err(PatternError("Illegal repetition".into())),
                Some(None) if after_group && is_behind => return Err(PatternError(NO_MAXIMUM.into())),
                Some(most) => {
                    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
                    if is_behind {
                        // Of a group, all that is in it.
                        reach = if after_group { reach.saturating_mul(most) } else { reach.saturating_add(most) };
                    }
                    before = Before::Repeated;
                }
            },
            _ => before = Before::Atom,
        }
    }
    Ok(Asks { behind: reach, possessive })
}

/// Skips what belongs to a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('Q') => {
            let mut before = ' ';
            for c in chars.by_ref() {
                if before == '\\' && c == 'E' {
                    break;
                }
                before = c;
            }
        }
        Some('p' | 'P' | 'x' | 'N') if chars.peek() == Some(&'{') => {
            chars.find(|c| *c == '}');
        }
        _ => {}
    }
}

/// The most of `2}`, `2,}`, `2,3}` after a brace: there may be none.
fn counts(chars: &mut Peekable<Chars<'_>>) -> Option<Option<u64>> {
    let least = number(chars)?;
    let most = if chars.next_if_eq(&',').is_some() { number(chars) } else { Some(least) };
    (chars.next_if_eq(&'}').is_some() && most.is_none_or(|most| least <= most)).then_some(most)
}

fn number(chars: &mut Peekable<Chars<'_>>) -> Option<u64> {
    let mut found = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        found = Some(found.unwrap_or(0u64).saturating_mul(10).saturating_add(digit.into()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_java_takes_is_taken_and_nothing_else() {
        for source in [
            "a{2}",
            "a{2,}",
            "a{2,3}?",
            "[a-z]{2}",
            "(ab){2}",
            r"\{",
            r"\d{4}",
            r"\p{L}+",
            r"\x{41}{2}",
            "[{]",
            "[^{}]+",
            "[]{]",
            "[a[{]]",
            r"\Q{x}\E{2}",
            "(?<n>a){2}",
            "(?:a|b){2}",
            "(?i)a{2}",
            "a}",
            r"\$\{(\w+)\}",
            ".{3}",
            "a{2}|b{3}",
            "(?=a){1}",
            "a*+b++c?+d{2}+e{3}?f??",
            "^*$?",
            "(?<=x)a{2}",
            "(?<=x{2,3}|y?z{2}+)a*",
            "(?<=(?!a+)(?=(x)*)b+|[^+]*)x",
            "(?<n>x*)(?<![+*]\\*)",
            "(?<=(?i)a)(b)+",
            "",
        ] {
            assert!(check(source).is_ok(), "{source}");
        }
        let behind = ["(?<=(a)*)", "(?<!x(a|b)+)", "(?<=(?:ab){2,})", "(?<=(?<n>a)+)b"];
        let braces = [
            "a**", "a+++", "a???", "a{2}*", "*a", "(+a)", "a|?", "{", "{a=1}", "a{", "a{x}", "a{,3}", "a{3,2}",
            "(?i){", "x|{2}", "({2})", "a{2", "a*{2}", "${x}",
        ];
        for source in braces.into_iter().chain(behind) {
            assert!(check(source).is_err(), "{source}");
        }
    }

    #[test]
    fn possessive_repetitions_are_seen() {
        for source in ["a*+", "a++b", "(a)?+", "[a]{2}+", r"\+++", r"\w{1,}+"] {
            assert!(check(source).expect(source).possessive, "{source}");
        }
        for source in ["a*", r"\*+", "[*+]+", r"\Qa*+\E", "a*?", "a{2}[+]", "a*[+]", "(?:a*)+"] {
            assert!(!check(source).expect(source).possessive, "{source}");
        }
    }

    #[test]
    fn look_behinds_say_how_far_they_go() {
        for (source, most) in
            [("a*b{9}", 0), ("(?<=ab)c*", 4), ("(?<!a.{0,90}b)c", 120), ("(?<=(?:ab){50})c", 600), ("(?<=(?=a*)b)c", 9)]
        {
            let reach = check(source).expect(source).behind;
            assert!(reach <= most && (most == 0 || reach * 3 >= most), "{source} {reach}");
        }
        for source in ["(?<=a*)c", "(?<=a.{2,})c", "(?<=x|[a-z]+)c", "(?<n>(?<!\\d*))"] {
            assert_eq!(check(source).map(|asks| asks.behind), Ok(usize::MAX), "{source}");
        }
    }
}
