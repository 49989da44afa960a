//! Which crate may use which: the table of ARCHITECTURE.md against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// One finding per dependency that the table does not allow, and per crate that one side lacks.
pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let allowed = parse_table(&text);
    let actual = workspace_dependencies(root)?;
    Ok(compare(&allowed, &actual))
}

fn compare(allowed: &BTreeMap<String, BTreeSet<String>>, actual: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, uses) in actual {
        let Some(may) = allowed.get(name) else {
            findings.push(format!("ARCHITECTURE.md: the crate table has no row for `{name}`"));
            continue;
        };
        if may.contains("all") {
            continue;
        }
        findings.extend(
            uses.difference(may)
                .map(|used| format!("crates/{name}: uses `{used}`, which the crate table does not allow")),
        );
    }
    findings.extend(
        allowed
            .keys()
            .filter(|name| !actual.contains_key(*name))
            .map(|name| format!("ARCHITECTURE.md: `{name}` is no crate")),
    );
    findings
}

/// Rows `| \`name\` | purpose | a, b |` of the table whose header's last cell is "may use".
fn parse_table(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if cells.last() == Some(&"may use") {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && cells.len() == 3 && cells[0].starts_with('`') {
            let uses =
                cells[2].split([',', ' ']).map(|u| u.trim_matches('`')).filter(|u| !matches!(*u, "" | "–" | "-"));
            rows.insert(cells[0].trim_matches('`').to_owned(), uses.map(str::to_owned).collect());
        }
    }
    rows
}

fn workspace_dependencies(root: &Path) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root)
        .output()?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut result = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let uses = dependencies
            .filter(|d| d["kind"].is_null())
            .filter_map(|d| d["name"].as_str())
            .filter(|name| names.contains(name))
            .map(str::to_owned)
            .collect();
        result.insert(package["name"].as_str().unwrap_or_default().to_owned(), uses);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_outside_the_table_is_found() {
        let table = parse_table("| crate | purpose | may use |\n|---|---|---|\n| `a` | x | – |\n| `b` | y | a |\n");
        let actual = |uses: &[&str]| {
            BTreeMap::from([
                ("a".to_owned(), uses.iter().map(|u| (*u).to_owned()).collect()),
                ("b".to_owned(), BTreeSet::from(["a".to_owned()])),
            ])
        };
        assert_eq!(compare(&table, &actual(&[])), Vec::<String>::new());
        assert_eq!(compare(&table, &actual(&["b"])).len(), 1);
    }
}
