//! What Java refuses in regular expressions and the engines take: braces that say no number of times, and look-behinds of any length.

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::PatternError;

/// Java's words.
const NO_MAXIMUM: &str = "Look-behind group does not have an obvious maximum length";

/// Whether each brace is escaped, in a set of characters, part of an escape, or says how many times what is before it stands there, and each
/// look-behind has a longest match: without one, each place of a text would be gone back from to its beginning.
pub(super) fn check(source: &str) -> Result<(), PatternError> {
    let mut chars = source.chars().peekable();
    let mut depth = 0usize;
    // Of the open groups, whether each is a look-behind or in one.
    let mut behind = Vec::new();
    // Whether something is there that may be repeated, and whether that is a group, which has no longest match then.
    let (mut atom, mut group) = (false, false);
    while let Some(c) = chars.next() {
        let after_group = std::mem::replace(&mut group, c == ')' && depth == 0);
        match c {
            '\\' => {
                escape(&mut chars);
                atom = true;
            }
            '[' => {
                depth += 1;
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
            }
            ']' if depth > 0 => {
                depth -= 1;
                atom = true;
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
                    chars.next();
                }
                behind.push(is_behind);
                atom = false;
            }
            ')' => {
                behind.pop();
                atom = true;
            }
            // Behind another one it says how that is gone about.
            '*' | '+' if after_group && behind.last() == Some(&true) => return Err(PatternError(NO_MAXIMUM.into())),
            '|' | '*' | '+' | '?' => atom = false,
            '{' => match counts(&mut chars).filter(|_| atom) {
                None => return Err(PatternError("Illegal repetition".into())),
                Some(None) if after_group && behind.last() == Some(&true) => {
                    return Err(PatternError(NO_MAXIMUM.into()));
                }
                Some(_) => atom = false,
            },
            _ => atom = true,
        }
    }
    Ok(())
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
            "(?<=x)a{2}",
            "(?<=x{2,3}|y?z{2}+)a*",
            "(?<=(?!a+)(?=(x)*)b+|[^+]*)x",
            "(?<n>x*)(?<![+*]\\*)",
            "",
        ] {
            assert!(check(source).is_ok(), "{source}");
        }
        let behind = ["(?<=(a)*)", "(?<!x(a|b)+)", "(?<=(?:ab){2,})", "(?<=(?<n>a)+)b"];
        let braces = ["{", "{a=1}", "a{", "a{x}", "a{,3}", "a{3,2}", "(?i){", "x|{2}", "({2})", "a{2", "a*{2}", "${x}"];
        for source in braces.into_iter().chain(behind) {
            assert!(check(source).is_err(), "{source}");
        }
    }
}
