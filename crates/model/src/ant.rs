//! Patterns of file names as Apache Ant defines them, which Jenkins' file steps take: `**` stands for any number of folders,
//! `*` for any characters of one name, `?` for one; a pattern that ends with `/` goes on with `**`.
//! Source of the rules: the Ant manual, "Directory-based Tasks", and how Jenkins splits lists (at commas only, trimmed).

use crate::request::FileSet;

/// Names that are left out unless somebody asks for them, from the same manual.
const DEFAULT_EXCLUDES: [&str; 29] = [
    "**/*~",
    "**/#*#",
    "**/.#*",
    "**/%*%",
    "**/._*",
    "**/CVS",
    "**/CVS/**",
    "**/.cvsignore",
    "**/SCCS",
    "**/SCCS/**",
    "**/vssver.scc",
    "**/.svn",
    "**/.svn/**",
    "**/.DS_Store",
    "**/.git",
    "**/.git/**",
    "**/.gitattributes",
    "**/.gitignore",
    "**/.gitmodules",
    "**/.hg",
    "**/.hg/**",
    "**/.hgignore",
    "**/.hgsub",
    "**/.hgsubstate",
    "**/.hgtags",
    "**/.bzr",
    "**/.bzr/**",
    "**/.bzrignore",
    "**/.bzrtags",
];

/// One name of a path, as characters.
pub type Name = Vec<char>;

/// A whole pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`
    Deep,
    /// Anything else, with `*` and `?` inside.
    Name(Name),
}

/// Includes and excludes of a [`FileSet`].
#[derive(Clone, Debug)]
pub struct Patterns {
    includes: Vec<Pattern>,
    excludes: Vec<Pattern>,
    case_sensitive: bool,
}

impl Patterns {
    /// The patterns of a set.
    pub fn new(files: &FileSet) -> Patterns {
        let parse = |list: &str| -> Vec<Pattern> {
            let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
            texts.filter_map(|text| Pattern::parse(text, files.case_sensitive)).collect()
        };
        let mut includes = parse(&files.includes);
        if files.includes.split(',').all(|text| text.trim().is_empty()) {
            includes.push(Pattern { segments: vec![Segment::Deep] });
        }
        let mut excludes = parse(&files.excludes);
        if files.default_excludes {
            excludes.extend(DEFAULT_EXCLUDES.iter().filter_map(|text| Pattern::parse(text, files.case_sensitive)));
        }
        Patterns { includes, excludes, case_sensitive: files.case_sensitive }
    }

    /// A name of the file system in the form that the other methods take.
    pub fn name(&self, bytes: &[u8]) -> Name {
        fold(&String::from_utf8_lossy(bytes), self.case_sensitive)
    }

    /// Whether a file of this path belongs to the set.
    pub fn matches(&self, path: &[Name]) -> bool {
        self.includes.iter().any(|pattern| pattern.matches(path))
            && !self.excludes.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether a folder of this path can hold a file of the set.
    pub fn may_hold(&self, path: &[Name]) -> bool {
        let whole_folder_excluded = |pattern: &Pattern| {
            // What ends with `**` and matches a folder matches everything below it.
            pattern.segments.last() == Some(&Segment::Deep) && pattern.matches(path)
        };
        self.includes.iter().any(|pattern| pattern.may_match_below(path))
            && !self.excludes.iter().any(whole_folder_excluded)
    }
}

fn fold(text: &str, case_sensitive: bool) -> Name {
    if case_sensitive { text.chars().collect() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

impl Pattern {
    /// `None` for an absolute pattern: it matches no relative path.
    fn parse(text: &str, case_sensitive: bool) -> Option<Pattern> {
        let text = text.replace('\\', "/");
        if text.starts_with('/') {
            return None;
        }
        let mut segments = Vec::new();
        for name in text.split('/').filter(|name| !name.is_empty()) {
            match name {
                // Several in a row mean the same as one, and would cost time.
                "**" if segments.last() == Some(&Segment::Deep) => {}
                "**" => segments.push(Segment::Deep),
                _ => segments.push(Segment::Name(fold(name, case_sensitive))),
            }
        }
        if text.ends_with('/') && segments.last() != Some(&Segment::Deep) {
            segments.push(Segment::Deep);
        }
        Some(Pattern { segments })
    }

    fn matches(&self, path: &[Name]) -> bool {
        wildcard(&self.segments, path, |segment| *segment == Segment::Deep, Segment::matches)
    }

    /// Whether the pattern could match some longer path that begins with `path`.
    fn may_match_below(&self, path: &[Name]) -> bool {
        for (index, name) in path.iter().enumerate() {
            match self.segments.get(index) {
                Some(Segment::Deep) => return true,
                Some(segment) if segment.matches(name) => {}
                _ => return false,
            }
        }
        self.segments.len() > path.len()
    }
}

impl Segment {
    fn matches(&self, name: &Name) -> bool {
        match self {
            Segment::Deep => true,
            Segment::Name(pattern) => {
                wildcard(pattern, name, |&c| c == '*', |&wanted, &found| wanted == '?' || wanted == found)
            }
        }
    }
}

/// Matches with one kind of wildcard that stands for any number of items, in time `pattern × items` at worst: on a mismatch
/// only the last wildcard takes one item more.
fn wildcard<P, I>(pattern: &[P], items: &[I], is_any: impl Fn(&P) -> bool, fits: impl Fn(&P, &I) -> bool) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while i < items.len() {
        match pattern.get(p) {
            Some(any) if is_any(any) => {
                retry = Some((p, i));
                p += 1;
            }
            Some(one) if fits(one, &items[i]) => {
                p += 1;
                i += 1;
            }
            _ => {
                let Some((wildcard, taken)) = &mut retry else { return false };
                *taken += 1;
                (p, i) = (*wildcard + 1, *taken);
            }
        }
    }
    pattern[p..].iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(includes: &str, excludes: &str) -> FileSet {
        FileSet {
            dir: String::new(),
            includes: includes.into(),
            excludes: excludes.into(),
            default_excludes: false,
            case_sensitive: true,
        }
    }

    fn path(patterns: &Patterns, text: &str) -> Vec<Name> {
        text.split('/').map(|name| patterns.name(name.as_bytes())).collect()
    }

    fn check(includes: &str, yes: &[&str], no: &[&str]) {
        let patterns = Patterns::new(&set(includes, ""));
        for text in yes {
            assert!(patterns.matches(&path(&patterns, text)), "{includes} must match {text}");
            for end in text.match_indices('/').map(|(index, _)| index) {
                assert!(patterns.may_hold(&path(&patterns, &text[..end])), "{includes} below {}", &text[..end]);
            }
        }
        for text in no {
            assert!(!patterns.matches(&path(&patterns, text)), "{includes} must not match {text}");
        }
    }

    #[test]
    fn matches_names_as_ant_does() {
        check("*.java", &["A.java", ".java", "a.b.java"], &["x/A.java", "A.jav", "A.javax"]);
        check("**/*.java", &["A.java", "x/A.java", "x/y/z/A.java"], &["A.txt"]);
        check("**/CVS/*", &["CVS/Repository", "org/apache/CVS/Entries"], &["org/apache/CVS/foo/bar/Entries"]);
        check(
            "org/apache/jakarta/**",
            &["org/apache/jakarta/tools/ant/docs/index.html", "org/apache/jakarta"],
            &["org/apache/xyz.java"],
        );
        check(
            "org/apache/**/CVS/*",
            &["org/apache/CVS/Entries", "org/apache/jakarta/tools/ant/CVS/Entries"],
            &["org/apache/CVS/foo/bar/Entries"],
        );
        check("**/test/**", &["test", "a/test", "test/b", "a/test/b/c"], &["testing/a", "a/tests"]);
        check("?abc/*/*.java", &["xabc/foobar/test.java"], &["abc/f/t.java", "xabc/test.java"]);
        check("target/", &["target/a", "target/x/y"], &["other/target/a"]);
        check("a\\b\\*.txt", &["a/b/c.txt"], &["a/c.txt"]);
        check("**", &["a", "a/b", ".hidden/x"], &[]);
        check("a**b", &["ab", "axxb"], &["a/b", "a/x/b"]);
        check("?", &["a", "ä"], &["ab", ""]);
    }

    #[test]
    fn takes_lists_absolute_and_odd_patterns() {
        check(" *.a , b/*.c,, ", &["x.a", "b/x.c"], &["b/x.a", "x.c"]);
        check("", &["anything", "at/all"], &[]);
        check("/a", &[], &["a", "a/a"]);
        check("with space.txt", &["with space.txt"], &["with", "space.txt"]);
        check("./a", &[], &["a"]);
        check("a//b", &["a/b"], &[]);
    }

    #[test]
    fn excludes_win_and_prune() {
        let patterns = Patterns::new(&set("**/*.txt", "**/skip/**, *.tmp.txt"));
        assert!(patterns.matches(&path(&patterns, "a/b.txt")));
        assert!(!patterns.matches(&path(&patterns, "skip/b.txt")));
        assert!(!patterns.matches(&path(&patterns, "b.tmp.txt")));
        assert!(patterns.matches(&path(&patterns, "x/b.tmp.txt")));
        assert!(!patterns.may_hold(&path(&patterns, "a/skip")));
        assert!(patterns.may_hold(&path(&patterns, "a")));
    }

    #[test]
    fn default_excludes_and_letter_case_can_be_chosen() {
        let mut files = FileSet { default_excludes: true, ..set("**", "") };
        let patterns = Patterns::new(&files);
        for text in [".git/config", "a/.svn/x", "a/b~", ".gitignore", "x/.DS_Store", "#a#"] {
            assert!(!patterns.matches(&path(&patterns, text)), "{text}");
        }
        assert!(patterns.matches(&path(&patterns, ".github/workflows/x")));
        assert!(!patterns.may_hold(&path(&patterns, "a/.git")));
        files = set("SRC/*.Txt", "");
        files.case_sensitive = false;
        let patterns = Patterns::new(&files);
        assert!(patterns.matches(&path(&patterns, "src/A.tXT")));
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let stars = format!("{}b", "*a".repeat(200));
        let patterns = Patterns::new(&set(&stars, ""));
        assert!(!patterns.matches(&path(&patterns, &"a".repeat(5000))));
        let deep = format!("{}x", "**/a/".repeat(100));
        let patterns = Patterns::new(&set(&deep, ""));
        assert!(!patterns.matches(&path(&patterns, &vec!["a"; 1000].join("/"))));
    }
}
