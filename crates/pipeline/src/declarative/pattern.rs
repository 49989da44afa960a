//! Whether Java would compile a regular expression: the mistakes that people make in one, with Java's words for them.

/// Says why `pattern` is not a regular expression of Java.
///
/// Source: `java.util.regex.Pattern`.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    let text = Text { chars: pattern.chars().collect(), pattern, has_remarks: has_remarks(pattern) };
    let chars = &text.chars;
    let mut groups = 0usize;
    let mut names = Vec::new();
    // What a quantifier would apply to: nothing at the start of an alternative.
    let mut atom = false;
    let mut i = 0;
    while let Some(c) = chars.get(i) {
        match c {
            '\\' => {
                i = text.escape_end(i)?;
                atom = true;
            }
            '[' => {
                i = text.class_end(i)?;
                atom = true;
            }
            '(' => {
                groups += 1;
                atom = false;
                if chars.get(i + 1) == Some(&'?') {
                    i = text.group_head(i + 2, &mut names)?;
                }
            }
            ')' => {
                groups = groups.checked_sub(1).ok_or_else(|| text.report("Unmatched closing ')'", i.checked_sub(1)))?;
                atom = true;
            }
            '|' => atom = false,
            '*' | '+' | '?' if !atom => {
                return Err(text.report(&format!("Dangling meta character '{c}'"), Some(i)));
            }
            '*' | '+' | '?' => {
                i = text.after_quantifier(i);
                atom = false;
            }
            '{' if !text.has_remarks => {
                i = text.after_quantifier(text.counts_end(i)?);
                atom = false;
            }
            _ => atom = true,
        }
        i += 1;
    }
    if groups > 0 { Err(text.report("Unclosed group", Some(chars.len()))) } else { Ok(()) }
}

/// Whether it may have remarks, in which anything stands: `(?x)`.
fn has_remarks(pattern: &str) -> bool {
    let flags = pattern.split("(?").skip(1);
    flags.into_iter().any(|rest| rest.chars().take_while(char::is_ascii_alphabetic).any(|flag| flag == 'x'))
}

/// A pattern. Its parts begin and end at indices.
struct Text<'a> {
    chars: Vec<char>,
    pattern: &'a str,
    has_remarks: bool,
}

impl Text<'_> {
    /// The last character of what a backslash begins.
    fn escape_end(&self, at: usize) -> Result<usize, String> {
        let chars = &self.chars;
        match (chars.get(at + 1), chars.get(at + 2)) {
            (None, _) => Err(self.report("Unexpected internal error", Some(at + 1))),
            (Some('Q'), _) => {
                let end = (at + 2..chars.len()).find(|i| chars[*i] == '\\' && chars.get(i + 1) == Some(&'E'));
                Ok(end.map_or(chars.len(), |end| end + 1))
            }
            (Some('p' | 'P' | 'x' | 'N'), Some('{')) => {
                Ok((at + 2..chars.len()).find(|i| chars[*i] == '}').unwrap_or(chars.len()))
            }
            _ => Ok(at + 1),
        }
    }

    /// The `]` that closes the class which opens at `start`; classes nest in Java.
    fn class_end(&self, start: usize) -> Result<usize, String> {
        let chars = &self.chars;
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
                        return Ok(i);
                    }
                }
                from => match (chars.get(i + 1), chars.get(i + 2)) {
                    (Some('-'), Some(to)) if !matches!(to, '[' | ']' | '\\' | '&') => {
                        i += 2;
                        if to < from {
                            return Err(self.report("Illegal character range", Some(i)));
                        }
                    }
                    _ => {}
                },
            }
            first = false;
            i += 1;
        }
        Err(self.report("Unclosed character class", Some(chars.len().saturating_sub(1))))
    }

    /// The last character of what stands behind `(?`, up to the content of the group; before the `)` where it has none.
    fn group_head(&self, start: usize, names: &mut Vec<String>) -> Result<usize, String> {
        let letters = |from: usize, is_one: fn(&char) -> bool| {
            self.chars.get(from..).unwrap_or_default().iter().take_while(|c| is_one(c)).collect::<String>()
        };
        match (self.chars.get(start), self.chars.get(start + 1)) {
            (Some(':' | '=' | '!' | '>'), _) => Ok(start),
            (Some('<'), Some('=' | '!')) => Ok(start + 1),
            (Some('<'), Some(first)) if !first.is_ascii_alphabetic() => {
                Err(self.report("capturing group name does not start with a Latin letter", Some(start + 1)))
            }
            (Some('<'), _) => {
                let name = letters(start + 1, char::is_ascii_alphanumeric);
                let end = start + 1 + name.len();
                if self.chars.get(end) != Some(&'>') {
                    return Err(self.report("named capturing group is missing trailing '>'", Some(end)));
                }
                if names.contains(&name) {
                    let what = format!("Named capturing group <{name}> is already defined");
                    return Err(self.report(&what, Some(end)));
                }
                names.push(name);
                Ok(end)
            }
            (Some('$' | '@'), _) => Err(self.report("Unknown group type", Some(start))),
            _ => {
                let end = start + letters(start, |c| "idmsuxU-".contains(*c)).len();
                match self.chars.get(end) {
                    Some(':') => Ok(end),
                    Some(')') => Ok(end - 1),
                    _ => Err(self.report("Unknown inline modifier", Some(end))),
                }
            }
        }
    }

    /// The `}` of how many times what stands before the brace at `start` is there.
    fn counts_end(&self, start: usize) -> Result<usize, String> {
        let (least, mut end) = self.number(start + 1);
        let Some(least) = least else { return Err(self.report("Illegal repetition", start.checked_sub(1))) };
        let mut most = Some(least);
        if self.chars.get(end) == Some(&',') {
            (most, end) = self.number(end + 1);
        }
        match self.chars.get(end) {
            Some('}') if most.is_some_and(|most| most < least) => {
                Err(self.report("Illegal repetition range", Some(end)))
            }
            Some('}') => Ok(end),
            _ => Err(self.report("Unclosed counted closure", Some(end))),
        }
    }

    /// The number that stands there, and where it ends.
    fn number(&self, start: usize) -> (Option<u64>, usize) {
        let digits = self.chars.get(start..).unwrap_or_default().iter().map_while(|c| c.to_digit(10));
        let (value, count) = digits.fold((0u64, 0), |(value, count), digit| {
            (value.saturating_mul(10).saturating_add(digit.into()), count + 1)
        });
        ((count > 0).then_some(value), start + count)
    }

    /// One more may follow a quantifier, as in `a*?` and `a++`.
    fn after_quantifier(&self, end: usize) -> usize {
        end + usize::from(matches!(self.chars.get(end + 1), Some('?' | '+')))
    }

    /// Java's words: where it is, if anywhere, the pattern, and a caret.
    fn report(&self, what: &str, index: Option<usize>) -> String {
        let pattern = self.pattern;
        match index {
            None => format!("{what}\n{pattern}"),
            Some(index) if index >= self.chars.len() => format!("{what} near index {index}\n{pattern}"),
            Some(index) => format!("{what} near index {index}\n{pattern}\n{}^", " ".repeat(index)),
        }
    }
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
            "^*main.*",
            "[a-z&&[^x]]",
            "[a-]",
            r"\p{L}{2,}?x",
            r"\x{41}",
            "(?<n>a)(?<m>b)",
            "(?<=a)(?<!b)(?>c)(?:d)(?=e)(?!f)",
            "(?i-s:a)(?x) b # {",
            r"[{]\{",
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
        assert_eq!(check("{\"user_id\" : 24}"), "Illegal repetition\n{\"user_id\" : 24}");
        assert_eq!(check("a{x}"), "Illegal repetition near index 0\na{x}\n^");
        assert_eq!(check("a{2,1}"), "Illegal repetition range near index 5\na{2,1}\n     ^");
        assert!(check("a{2").starts_with("Unclosed counted closure near index 3"));
        assert_eq!(check("[z-a]"), "Illegal character range near index 3\n[z-a]\n   ^");
        assert!(check("(?<n>a)(?<n>b)").starts_with("Named capturing group <n> is already defined near index 11"));
        assert!(check("(?<1>a)").starts_with("capturing group name does not start with a Latin letter near index 3"));
        assert!(check("(?q)").starts_with("Unknown inline modifier near index 2"));
        assert!(check("a**").starts_with("Dangling meta character '*' near index 2"));
    }
}
