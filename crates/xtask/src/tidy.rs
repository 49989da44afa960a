//! Rules of this repository that no compiler checks. Each finding is a line `place: what`; any finding fails.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Files longer than this need to stand in `tidy-large-files.txt` with their length, which may only shrink.
const MAX_LINES: usize = 500;
/// Words that make a bad name for a module (see the style guide in CONTRIBUTING.md).
const VAGUE_NAMES: [&str; 5] = ["common", "utils", "helpers", "manager", "misc"];

/// Runs every check and prints the findings.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let files = tracked_files(root)?;
    let mut findings = crate::crate_table::check(root)?;
    findings.extend(file_sizes(root, &files)?);
    for file in &files {
        findings.extend(name_finding(file));
        if let Ok(text) = std::fs::read_to_string(root.join(file)) {
            findings.extend(text_findings(file, &text));
        }
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    anyhow::ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    println!("tidy: {} files, no findings", files.len());
    Ok(())
}

fn tracked_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git ls-files")?;
    anyhow::ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split('\0').filter(|f| !f.is_empty() && root.join(f).is_file()).map(str::to_owned).collect())
}

fn file_sizes(root: &Path, files: &[String]) -> anyhow::Result<Vec<String>> {
    let list =
        std::fs::read_to_string(root.join("crates/xtask/tidy-large-files.txt")).context("tidy-large-files.txt")?;
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| f.ends_with(".rs")) {
        let lines = std::fs::read_to_string(root.join(file))?.lines().count();
        let listed = list
            .lines()
            .filter(|l| !l.starts_with('#'))
            .find_map(|l| l.strip_suffix(file.as_str())?.trim().parse().ok());
        let limit: usize = listed.unwrap_or(MAX_LINES);
        if lines > limit {
            findings.push(format!("{file}: {lines} lines, {limit} allowed; find the second room in it"));
        } else if listed.is_some() && lines <= MAX_LINES {
            findings.push(format!("{file}: {lines} lines now; take it out of tidy-large-files.txt"));
        }
    }
    Ok(findings)
}

fn name_finding(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    let vague = file.ends_with(".rs") && VAGUE_NAMES.contains(&stem);
    vague.then(|| format!("{file}: a vague name; say what is inside"))
}

/// Where widths come from what strangers wrote.
const WIDE: [&str; 2] = ["crates/groovy/src/", "crates/pipeline/src/"];

/// `{x:>width$}`, `{x:.places$}`
fn has_width(line: &str) -> bool {
    line.match_indices("$}").any(|(end, _)| {
        let open = line[..end].rfind('{').map(|open| &line[open..end]);
        open.is_some_and(|inside| inside.contains(':') && !inside.contains('$'))
    })
}

fn text_findings(file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let rust = file.ends_with(".rs") && !file.starts_with("crates/xtask/");
    if file.ends_with("src/lib.rs") && !text.starts_with("//!") {
        findings
            .push(format!("{file}: does not open with `//!`: what it is, what it never does, where to start reading"));
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", index + 1);
        if rust && line.contains("#[ignore") {
            findings.push(format!("{place}: an ignored test; say `skipped: because` at run time"));
        }
        if rust && (line.contains("todo!(") || line.contains("unimplemented!(")) {
            findings.push(format!("{place}: unfinished"));
        }
        if rust && WIDE.iter().any(|name| file.starts_with(name)) && has_width(line) {
            findings.push(format!("{place}: a width of a script's panics beyond 65,535: `value::text::padded`"));
        }
        if rust && line.contains("#[allow(") && !line.contains("reason") && !text[..].contains("reason =") {
            findings.push(format!("{place}: an allowance without its reason"));
        }
        if line.ends_with([' ', '\t']) && (rust || file.ends_with(".md") || file.ends_with(".sh")) {
            findings.push(format!("{place}: ends with white space"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vague_names_and_ignored_tests_are_found() {
        assert!(name_finding("crates/a/src/utils.rs").is_some());
        assert!(name_finding("crates/a/src/wall.rs").is_none());
        assert_eq!(text_findings("crates/a/src/x.rs", "#[ignore]\nfn a() {}\n").len(), 1);
        assert_eq!(text_findings("crates/a/src/x.rs", "fn a() {}\n").len(), 0);
        let wide = "format!(\"{n:0count$}\")\n";
        assert_eq!(text_findings("crates/groovy/src/x.rs", wide).len(), 1);
        assert_eq!(text_findings("crates/image/src/x.rs", wide).len(), 0);
    }
}
