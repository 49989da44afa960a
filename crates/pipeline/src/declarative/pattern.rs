//! Whether Java would compile a regular expression: the mistakes that people make in one, with Java's words for them.

/// Says why `pattern` is not a regular expression of Java.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut groups = 0usize;
    // What a quantifier would apply to: nothing at the start of an alternative.
    let mut atom = false;
    let mut i = 0;
    while let Some(c) = chars.get(i) {
        match c {
            '\\' => match chars.get(i + 1) {
                None => return Err(report("Unexpected internal error", i + 1, pattern)),
                Some('Q') => {
                    i = quoted_end(&chars, i + 2);
                    atom = true;
                    continue;
                }
                Some(_) => {
                    i += 1;
                    atom = true;
                }
            },
            '[' => {
                i = class_end(&chars, i).ok_or_else(|| unclosed_class(&chars, pattern))?;
                atom = true;
            }
            '(' => {
                groups += 1;
                atom = false;
                if chars.get(i + 1) == Some(&'?') {
                    i += 1;
                }
            }
            ')' => {
                groups = groups
                    .checked_sub(1)
                    .ok_or_else(|| report("Unmatched closing ')'", i.saturating_sub(1), pattern))?;
                atom = true;
            }
            '|' => atom = false,
            '*' | '+' | '?' if !atom => {
                return Err(report(&format!("Dangling meta character '{c}'"), i, pattern));
            }
            '*' | '+' | '?' => {
                // One more may follow, as in `a*?` and `a++`.
                if matches!(chars.get(i + 1), Some('?' | '+')) {
                    i += 1;
                }
                atom = false;
            }
            '^' => atom = false,
            _ => atom = true,
        }
        i += 1;
    }
    if groups > 0 { Err(report("Unclosed group", chars.len(), pattern)) } else { Ok(()) }
}

fn quoted_end(chars: &[char], start: usize) -> usize {
    let mut i = start;
    while i < chars.len() {
        if chars[i] == '\\' && chars.get(i + 1) == Some(&'E') {
            return i + 2;
        }
        i += 1;
    }
    i
}

/// The index of the `]` that closes the class which opens at `start`; classes nest in Java.
fn class_end(chars: &[char], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut i = start;
    let mut first = false;
    while let Some(c) = chars.get(i) {
        match c {
            '\\' => i += 1,
            '[' => {
                depth += 1;
                first = true;
                i += 1;
                if chars.get(i) == Some(&'^') {
                    i += 1;
                }
                continue;
            }
            ']' if !first => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
        first = false;
        i += 1;
    }
    None
}

fn unclosed_class(chars: &[char], pattern: &str) -> String {
    report("Unclosed character class", chars.len().saturating_sub(1), pattern)
}

fn report(what: &str, index: usize, pattern: &str) -> String {
    format!("{what} near index {index}\n{pattern}")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn sound_patterns_pass() {
        for pattern in [
            "",
            ".*",
            "^fix(es)?: .+$",
            "[a-z]{2,3}",
            r"\(x\)",
            "(?i)a|b*?",
            "[]a]",
            "[^]a]",
            r"\Q(*\E",
            "a++",
            "x[[a]b]",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn broken_patterns_are_explained() {
        let check = |p| check(p).unwrap_err();
        assert!(check("(abc").starts_with("Unclosed group near index 4"));
        assert!(check("[abc").starts_with("Unclosed character class near index 3"));
        assert!(check("*a").starts_with("Dangling meta character '*' near index 0"));
        assert!(check("a)").starts_with("Unmatched closing ')'"));
        assert!(check("a|+").starts_with("Dangling meta character '+' near index 2"));
    }
}
