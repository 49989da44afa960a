//! Braces in regular expressions: Java refuses those that say no number of times, where the engines take them for text.

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::PatternError;

/// Whether each brace is escaped, in a set of characters, part of an escape, or says how many times what is before it stands there.
pub(super) fn check(source: &str) -> Result<(), PatternError> {
    let mut chars = source.chars().peekable();
    let mut depth = 0usize;
    // Whether something is there that may be repeated.
    let mut atom = false;
    while let Some(c) = chars.next() {
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
                if chars.next_if_eq(&'?').is_some() {
                    while chars.next_if(|c| !matches!(c, ':' | '=' | '!' | '>' | ')')).is_some() {}
                    chars.next();
                }
                atom = false;
            }
            '|' | '*' | '+' | '?' => atom = false,
            '{' if !atom || !counts(&mut chars) => return Err(PatternError("Illegal repetition".into())),
            '{' => atom = false,
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

/// `2}`, `2,}`, `2,3}` after a brace.
fn counts(chars: &mut Peekable<Chars<'_>>) -> bool {
    let Some(least) = number(chars) else { return false };
    let most = if chars.next_if_eq(&',').is_some() { number(chars) } else { None };
    chars.next_if_eq(&'}').is_some() && most.is_none_or(|most| least <= most)
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
            "",
        ] {
            assert!(check(source).is_ok(), "{source}");
        }
        for source in ["{", "{a=1}", "a{", "a{x}", "a{,3}", "a{3,2}", "(?i){", "x|{2}", "({2})", "a{2", "a*{2}", "${x}"]
        {
            assert!(check(source).is_err(), "{source}");
        }
    }
}
