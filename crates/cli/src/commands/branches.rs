//! `cofferdam projects branches`: what definitions say of their branches.

use jiff::Timestamp;
use serde_json::Value;

use super::remote::text;
use super::test_results::{each, name_of};
use crate::args::server::ClientArgs;
use crate::client::Client;
use crate::failure::CommandFailure;

pub(super) async fn ls(name: &str, args: &ClientArgs) -> Result<(), CommandFailure> {
    let path = format!("/api/v1/projects/{}/branches", name_of(name));
    let branches = Client::new(args)?.all(&path, "branches").await?;
    each(&branches.into(), args.output, |branch| {
        let said = words(branch);
        let name = text(branch, "name");
        format!("{}  {}", if name.is_empty() { "-" } else { name }, said.join("; "))
    });
    Ok(())
}

/// In words.
fn words(branch: &Value) -> Vec<String> {
    let texts = |name: &str| branch[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut said = Vec::new();
    said.extend(texts("cron").map(|spec| format!("cron {}", spec.trim())));
    let at = branch["next_at"].as_i64().and_then(|at| Timestamp::from_millisecond(at).ok());
    said.extend(at.map(|at| format!("next at {at}")));
    said.extend(texts("poll").map(|spec| format!("polls {}", spec.trim())));
    for after in branch["upstream"].as_array().into_iter().flatten() {
        let projects: Vec<_> = after["projects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        said.push(format!("after {} ({})", projects.join(", "), text(after, "threshold")));
    }
    if branch["abort_previous"] == true {
        said.push("a new run ends those before it".to_owned());
    } else if branch["alone"] == true {
        said.push("one run at a time".to_owned());
    }
    for (name, what) in [
        ("keep_runs", "runs kept"),
        ("keep_days", "days of runs kept"),
        ("keep_artifact_runs", "runs with artifacts kept"),
        ("keep_artifact_days", "days of artifacts kept"),
    ] {
        said.extend(branch[name].as_u64().map(|number| format!("{number} {what}")));
    }
    let parameters: Vec<_> =
        branch["parameters"].as_array().into_iter().flatten().map(|parameter| text(parameter, "name")).collect();
    if !parameters.is_empty() {
        said.push(format!("takes {}", parameters.join(", ")));
    }
    if said.is_empty() {
        said.push("nothing".to_owned());
    }
    said
}
