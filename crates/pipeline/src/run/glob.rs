//! Ant's path patterns as `when { branch 'release/**' }` uses them: `?` and `*` within one part, `**` for any number of
//! parts. A `/` at its end says nothing: that it means everything below is a rule of Ant's sets of files.
//!
//! Source: `SelectorUtils.matchPath` of Ant.

/// Does `path` match `pattern`? The time is bounded by the product of the two lengths.
pub fn matches(pattern: &str, path: &str, case_sensitive: bool) -> bool {
    if pattern.starts_with('/') != path.starts_with('/') {
        return false;
    }
    let fold = |s: &str| if case_sensitive { s.to_owned() } else { s.to_lowercase() };
    let (pattern, path) = (fold(pattern), fold(path));
    let pattern: Vec<Vec<char>> = parts(&pattern).map(|p| p.chars().collect()).collect();
    let path: Vec<Vec<char>> = parts(&path).map(|p| p.chars().collect()).collect();
    wild(&pattern, &path, |p| p[..] == ['*', '*'], |p, s| part_matches(p, s))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|p| !p.is_empty())
}

fn part_matches(pattern: &[char], text: &[char]) -> bool {
    wild(pattern, text, |p| *p == '*', |p, c| *p == '?' || p == c)
}

/// Matches a list against a pattern with "any number" elements, remembering only the last of those: no backtracking
/// beyond it is ever needed.
fn wild<P, T>(pattern: &[P], text: &[T], is_star: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && is_star(&pattern[p]) {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && one(&pattern[p], &text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(pattern: &str, path: &str, expect: bool) {
        assert_eq!(matches(pattern, path, false), expect, "{pattern} on {path}");
    }

    #[test]
    fn ant_patterns() {
        check("master", "master", true);
        check("MASTER", "master", true);
        check("release-*", "release-1.2", true);
        check("release-*", "release-1/x", false);
        check("release/**", "release/1/x", true);
        check("release/**", "release", true);
        check("release/", "release/1/x", false);
        check("release/", "release", true);
        check("**/*.js", "a.js", true);
        check("**/*.js", "x/y/a.js", true);
        check("**/*.js", "x/y/a.ts", false);
        check("a/**/b/*.c", "a/x/b/y/b/z.c", true);
        check("1?", "12", true);
        check("1?", "1", false);
        check("*regression*", "Some regression here", true);
        check("/a", "a", false);
        assert!(!matches("Main", "main", true));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "*a".repeat(2000) + "b";
        let text = "a".repeat(4000);
        assert!(!matches(&pattern, &text, true));
    }
}
