//! `cofferdam runs`: those of a server in a list, or one of them.

use jiff::Timestamp;
use model::event::Event;
use model::stages::{Stage, stages};
use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{state, text};
use super::test_results::{each, name_of};
use crate::args::OutputFormat;
use crate::args::server::RunsArgs;
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};
use crate::show::for_terminal;

/// `cofferdam runs`.
pub async fn runs(args: &RunsArgs) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    match args.run {
        Some(run) if args.events => events(&client, run, args.client.output).await?,
        Some(run) => show(&client, run, args.client.output).await?,
        None => list(&client, args).await?,
    }
    Ok(Exit::Success)
}

async fn list(client: &Client, args: &RunsArgs) -> Result<(), CommandFailure> {
    let filter = |of: &str, name: &Option<String>| name.as_ref().map(|name| format!("&{of}={}", name_of(name)));
    let filters = [filter("project", &args.project), filter("branch", &args.branch)];
    let path = format!("/api/v1/runs?limit={}{}", args.limit, filters.into_iter().flatten().collect::<String>());
    let answer = client.ask(Method::GET, &path, None).await?;
    each(&answer["runs"], args.client.output, |run| {
        let cause = run["causes"][0]["description"].as_str().unwrap_or_default();
        let waits = run["waits"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}{waits}  {cause}  ({})", head(run), text(run, "trust"))
    });
    Ok(())
}

/// Which run it is, and how it stands.
fn head(run: &Value) -> String {
    let name = run["display_name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{:>6}  {} #{}{name}  {}", run["id"], text(run, "project"), run["number"], state(run))
}

async fn happened(client: &Client, run: u64) -> Result<Vec<Value>, CommandFailure> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let mut answer = client.ask(Method::GET, &format!("/api/v1/runs/{run}/events?after={after}"), None).await?;
        let Value::Array(page) = answer["events"].take() else { return Ok(all) };
        let Some(last) = page.last().and_then(|event| event["seq"].as_u64()) else { return Ok(all) };
        after = last;
        all.extend(page);
    }
}

/// When something was, in UTC.
fn moment(of: &Value) -> Option<String> {
    let at = Timestamp::from_millisecond(of.as_i64()?).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

async fn events(client: &Client, run: u64, output: OutputFormat) -> Result<(), CommandFailure> {
    each(&happened(client, run).await?.into(), output, |happened| {
        let mut event = happened["event"].clone();
        let kind = event["event"].take();
        let facts = event.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let facts: Vec<_> = facts.map(|(name, value)| format!("{name}={value}")).collect();
        let at = moment(&happened["at"]).unwrap_or_default();
        format!("{at}  {}  {}", kind.as_str().unwrap_or_default(), facts.join(" "))
    });
    Ok(())
}

async fn show(client: &Client, id: u64, output: OutputFormat) -> Result<(), CommandFailure> {
    let mut run = client.ask(Method::GET, &format!("/api/v1/runs/{id}"), None).await?;
    let mut remarks = client.ask(Method::GET, &format!("/api/v1/runs/{id}/annotations"), None).await?;
    let stages = in_order(stages_of(&happened(client, id).await?), 0);
    if output == OutputFormat::Json {
        run["stages"] = stages.iter().map(|(depth, stage)| as_json(*depth, stage)).collect();
        run["annotations"] = remarks["annotations"].take();
        println!("{run}");
        return Ok(());
    }
    let mut lines = vec![head(&run).trim_start().to_owned()];
    let facts = [
        ("asked for", moment(&run["queued_at"])),
        ("because", run["causes"][0]["description"].as_str().map(str::to_owned)),
        ("branch", run["branch"].as_str().map(str::to_owned)),
        ("revision", run["revision"].as_str().map(str::to_owned)),
        ("commit", run["commit"].as_str().map(str::to_owned)),
        ("trust", run["trust"].as_str().map(str::to_owned)),
        ("waits", run["waits"].as_str().map(str::to_owned)),
        ("started", moment(&run["started_at"])),
        ("ended", moment(&run["ended_at"])),
        ("ended by", run["message"].as_str().map(str::to_owned)),
        ("about", run["description"].as_str().map(str::to_owned)),
    ];
    lines.extend(facts.into_iter().filter_map(|(name, value)| Some(format!("  {name:<10} {}", value?))));
    for param in run["params"].as_array().into_iter().flatten() {
        let (name, value) = (param[0].as_str().unwrap_or_default(), param[1].as_str().unwrap_or_default());
        lines.push(format!("  {:<10} {name}={value}", "parameter"));
    }
    let tests = &run["tests"];
    if ["passed", "failed", "skipped"].iter().any(|count| tests[count] != 0) {
        lines.push(format!(
            "  {:<10} {} passed, {} failed, {} skipped",
            "tests", tests["passed"], tests["failed"], tests["skipped"]
        ));
    }
    if !stages.is_empty() {
        lines.push("stages".to_owned());
        lines.extend(stages.iter().map(|(depth, stage)| format!("{}{}", "  ".repeat(depth + 1), in_words(stage))));
    }
    let remarks = remarks["annotations"].as_array().into_iter().flatten();
    let remarks = remarks.map(|remark| {
        let title = remark["title"].as_str().map(|title| format!("{title}: ")).unwrap_or_default();
        let place = format!("{}:{}", text(remark, "path"), remark["first_line"]);
        format!("  {place}: {}: {title}{}", text(remark, "level"), text(remark, "message"))
    });
    let remarks: Vec<_> = remarks.collect();
    if !remarks.is_empty() {
        lines.push("remarks".to_owned());
        lines.extend(remarks);
    }
    lines.iter().for_each(|line| println!("{}", for_terminal(line)));
    Ok(())
}

fn in_words(stage: &Stage) -> String {
    match (&stage.skipped, stage.ended) {
        (Some(reason), _) => format!("{}  {reason}", stage.name),
        (None, Some((at, outcome))) => {
            let seconds = at.saturating_sub(stage.began) as f64 / 1000.0;
            format!("{}  {}  {seconds:.1} s", stage.name, outcome.name().to_lowercase())
        }
        (None, None) => format!("{}  running", stage.name),
    }
}

fn as_json(depth: usize, stage: &Stage) -> Value {
    let (ended_at, outcome) = stage.ended.unzip();
    json!({
        "name": stage.name, "depth": depth, "began_at": stage.began, "ended_at": ended_at, "outcome": outcome,
        "skipped": stage.skipped,
    })
}

/// What a server has told of them. What is newer than this program says nothing to it.
fn stages_of(happened: &[Value]) -> Vec<Stage> {
    let of_stages = happened.iter().filter(|one| text(&one["event"], "event").starts_with("stage_"));
    let events = of_stages.filter_map(|one| {
        let event = serde_json::from_value::<Event>(one["event"].clone()).ok()?;
        Some((one["at"].as_u64().unwrap_or_default(), event))
    });
    let events: Vec<_> = events.collect();
    stages(events.iter().map(|(at, event)| (*at, event)))
}

/// Each before what is in it, and how many stand around it.
fn in_order(stages: Vec<Stage>, depth: usize) -> Vec<(usize, Stage)> {
    let each = stages.into_iter().flat_map(|mut stage| {
        let within = in_order(std::mem::take(&mut stage.within), depth + 1);
        [vec![(depth, stage)], within].concat()
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_their_parents() {
        let event = |at: u64, event: Value| json!({ "seq": at, "at": at, "event": event });
        let started = |stage: u64, parent: Option<u64>, name: &str| {
            let branch = [2, 3].contains(&stage);
            json!({ "event": "stage_started", "stage": stage, "parent": parent, "name": name, "branch": branch })
        };
        let all = stages_of(&[
            event(1000, started(1, None, "build")),
            event(1000, started(2, Some(1), "a")),
            event(1100, started(3, Some(1), "b")),
            event(1200, started(4, Some(2), "in a")),
            event(2500, json!({ "event": "stage_finished", "stage": 4, "outcome": "FAILURE" })),
            event(2600, started(6, Some(3), "b")),
            event(2600, json!({ "event": "stage_skipped", "stage": 6, "reason": "not now" })),
            event(2600, started(5, None, "deploy")),
            event(2600, json!({ "event": "stage_skipped", "stage": 5, "reason": "not today" })),
        ]);
        let all = in_order(all, 0);
        let shown: Vec<_> =
            all.iter().map(|(depth, stage)| format!("{}{}", " ".repeat(*depth), in_words(stage))).collect();
        assert_eq!(
            shown,
            ["build  running", " a  running", "  in a  failure  1.3 s", " b  not now", "deploy  not today"]
        );
    }
}
