//! What each driver did in the conformance suite, as the tests of the drivers have left it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Prints drivers across and cases down, then why something is not claimed. Fails where one of `required` is not among them.
pub fn run(root: &Path, required: &[String]) -> anyhow::Result<()> {
    let folder = root.join("target/tmp/conformance");
    let missing: Vec<_> = required.iter().filter(|driver| !folder.join(driver).exists()).cloned().collect();
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("no driver has been through the conformance suite");
        anyhow::ensure!(missing.is_empty(), "not run: {}", missing.join(", "));
        return Ok(());
    };
    let mut drivers: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let (mut cases, mut reasons) = (Vec::new(), BTreeSet::new());
    for entry in entries.flatten() {
        let driver = entry.file_name().to_string_lossy().into_owned();
        for line in fs::read_to_string(entry.path())?.lines() {
            let mut fields = line.split('\t');
            let (Some(case), Some(verdict)) = (fields.next(), fields.next()) else { continue };
            if !cases.iter().any(|known| known == case) {
                cases.push(case.to_owned());
            }
            if let Some(reason) = fields.next().filter(|reason| !reason.is_empty()) {
                reasons.insert(format!("{driver}: {verdict}: {reason}"));
            }
            drivers.entry(driver.clone()).or_default().insert(case.to_owned(), verdict.to_owned());
        }
    }
    let width = cases.iter().map(String::len).max().unwrap_or(0);
    let names: Vec<_> = drivers.keys().collect();
    for (number, name) in names.iter().enumerate() {
        println!("{:width$}  {}{name}", "", "|  ".repeat(number));
    }
    for case in &cases {
        let marks = drivers.values().map(|verdicts| match verdicts.get(case).map(String::as_str) {
            Some("passed") => "+  ",
            Some("not claimed") => "-  ",
            Some(_) => "X  ",
            None => "?  ",
        });
        println!("{case:width$}  {}", marks.collect::<String>().trim_end());
    }
    println!("+ passed, - not claimed, X failed, ? not run");
    reasons.iter().for_each(|reason| println!("  {reason}"));
    anyhow::ensure!(missing.is_empty(), "not run: {}", missing.join(", "));
    Ok(())
}
