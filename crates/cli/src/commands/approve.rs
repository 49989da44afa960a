//! `cofferdam approve`: somebody answers for a stranger's run, for the commit and the plan that they have seen.

use model::request::{Question, Reply};
use reqwest::Method;
use secrets::Masker;
use serde_json::{Value, json};

use super::remote::text;
use crate::args::OutputFormat;
use crate::args::server::ApproveArgs;
use crate::ask::Terminal;
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};
use crate::show::for_terminal;

/// Shows the plan, and approves it where somebody says so.
pub async fn run(args: &ApproveArgs) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let plan = match &args.plan {
        Some(plan) => plan.clone(),
        None => {
            let plan = client.ask(Method::GET, &format!("/api/v1/runs/{}/plan", args.run), None).await?;
            let is_text = args.client.output == OutputFormat::Text;
            let digest = text(&plan, "plan").to_owned();
            match Terminal::find(is_text && !args.yes) {
                Some(terminal) => {
                    let question =
                        Question { message: words(&plan).join("\n"), ok: "Approve".to_owned(), ..Question::default() };
                    if !matches!(
                        terminal.ask(&question, &Masker::default()).await,
                        Reply::Decided { values: Some(_), .. }
                    ) {
                        return Err(CommandFailure::usage("not approved"));
                    }
                }
                None => {
                    match is_text {
                        true => words(&plan).iter().for_each(|line| eprintln!("{}", for_terminal(line))),
                        // One document: with `--yes` that of the run.
                        false if !args.yes => println!("{plan}"),
                        false => {}
                    }
                    if !args.yes {
                        return Err(CommandFailure::usage("not approved").with_hint(format!(
                            "`cofferdam approve {} --plan {digest}` approves this, and nothing else",
                            args.run
                        )));
                    }
                }
            }
            digest
        }
    };
    let path = format!("/api/v1/runs/{}/approve", args.run);
    let run = client.ask(Method::POST, &path, Some(&json!({ "plan": plan }))).await?;
    match args.client.output {
        OutputFormat::Json => println!("{run}"),
        OutputFormat::Text => eprintln!("run {} ({} #{})", run["id"], text(&run, "project"), run["number"]),
    }
    Ok(Exit::Success)
}

/// Stages that are shown: what counts is not to scroll away.
const MOST_STAGES: usize = 20;

/// What it would ask for. Strangers wrote the names of stages: no line of theirs looks like one of ours.
fn words(plan: &Value) -> Vec<String> {
    let list = |name: &str| plan[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    let stages = list("stages");
    let mut words: Vec<_> = stages.iter().take(MOST_STAGES).map(|name| format!("stage {name:?}")).collect();
    words.extend((stages.len() > MOST_STAGES).then(|| format!("and {} stages more", stages.len() - MOST_STAGES)));
    words.extend(list("places").iter().map(|place| format!("asks for {}", one_line(place))));
    words.extend(plan["incomplete"].as_str().map(one_line));
    words.push(format!("in sandboxes of the rung {} at least", text(plan, "rung")));
    words.extend(plan["merged_with"].as_str().map(|with| format!("merged with {with}")));
    words.push(format!("commit {}", plan["commit"].as_str().unwrap_or("unknown")));
    words
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
