//! What each driver did in the conformance suite, as the tests of the drivers have left it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Cases of one reason that are named one by one.
const MOST_NAMED: usize = 4;

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
    let mut cases = Vec::new();
    let mut reasons: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for entry in entries.flatten() {
        let driver = entry.file_name().to_string_lossy().into_owned();
        for line in fs::read_to_string(entry.path())?.lines() {
            let mut fields = line.split('\t');
            let (Some(case), Some(verdict)) = (fields.next(), fields.next()) else { continue };
            if !cases.iter().any(|known| known == case) {
                cases.push(case.to_owned());
            }
            if let Some(reason) = fields.next().filter(|reason| !reason.is_empty()) {
                let of = (driver.clone(), verdict.to_owned(), reason.to_owned());
                reasons.entry(of).or_default().push(case.to_owned());
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
    for ((driver, verdict, reason), cases) in &reasons {
        let which = if cases.len() <= MOST_NAMED { cases.join(", ") } else { format!("{} cases", cases.len()) };
        println!("  {driver}: {which}: {verdict}: {reason}");
    }
    anyhow::ensure!(missing.is_empty(), "not run: {}", missing.join(", "));
    Ok(())
}
