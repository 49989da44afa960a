//! `cofferdam tests`: what runs have reported of tests.

use reqwest::Method;
use serde_json::Value;
use wire::artifact::encoded;

use super::remote::text;
use crate::args::OutputFormat;
use crate::args::test_results::{FlakyArgs, HistoryArgs, LsArgs, TestsCommand};
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};
use crate::show::for_terminal;

/// Results of a test that are asked for at once.
const PAGE: u32 = 500;

/// `cofferdam tests`.
pub async fn tests(command: &TestsCommand) -> Result<Exit, CommandFailure> {
    match command {
        TestsCommand::Ls(args) => ls(args).await?,
        TestsCommand::History(HistoryArgs { project, class, name, client }) => {
            let path = format!(
                "/api/v1/projects/{}/tests/history?limit={PAGE}&class={}&name={}",
                name_of(project),
                name_of(class),
                name_of(name)
            );
            let results = Client::new(client)?.all(&path, "results").await?;
            each(&results.into(), client.output, |past| {
                let revision = past["revision"].as_str().unwrap_or("-");
                let line =
                    format!("#{:<6} {:<8} {:>8}  {revision}", past["number"], text(past, "status"), seconds(past));
                with_message(line, past)
            });
        }
        TestsCommand::Flaky(FlakyArgs { project, client }) => {
            let path = format!("/api/v1/projects/{}/tests/flaky", name_of(project));
            let answer = Client::new(client)?.ask(Method::GET, &path, None).await?;
            each(&answer["tests"], client.output, |test| {
                let commit = if test["at_one_commit"] == true { ", both at one commit" } else { "" };
                format!(
                    "{} {}  failed {} of {} times, changed {} times{commit}",
                    text(test, "class"),
                    text(test, "name"),
                    test["failed"],
                    test["runs"],
                    test["flips"]
                )
            });
        }
    }
    Ok(Exit::Success)
}

async fn ls(LsArgs { run, all, client: args }: &LsArgs) -> Result<(), CommandFailure> {
    let client = Client::new(args)?;
    let only = if *all { "" } else { "&status=failed" };
    let mut after = 0;
    loop {
        let path = format!("/api/v1/runs/{run}/tests?after={after}{only}");
        let answer = client.ask(Method::GET, &path, None).await?;
        each(&answer["tests"], args.output, |test| {
            let line = format!(
                "{:<8} {:>8}  {} {}",
                text(test, "status"),
                seconds(test),
                text(test, "class"),
                text(test, "name")
            );
            with_message(line, test)
        });
        match answer["next_after"].as_u64() {
            Some(next) if next > after => after = next,
            _ => {
                if args.output == OutputFormat::Text {
                    let counts = &answer["counts"];
                    println!("{} failed, {} skipped, {} passed", counts["failed"], counts["skipped"], counts["passed"]);
                }
                return Ok(());
            }
        }
    }
}

pub(super) fn each(list: &Value, output: OutputFormat, line: impl Fn(&Value) -> String) {
    for one in list.as_array().into_iter().flatten() {
        match output {
            OutputFormat::Json => println!("{one}"),
            OutputFormat::Text => println!("{}", for_terminal(&line(one))),
        }
    }
}

fn with_message(line: String, of: &Value) -> String {
    match of["message"].as_str() {
        Some(message) => format!("{line}: {message}"),
        None => line,
    }
}

fn seconds(of: &Value) -> String {
    format!("{:.3} s", of["ms"].as_u64().unwrap_or_default() as f64 / 1000.0)
}

/// In an address, in one part of its path.
pub(super) fn name_of(name: &str) -> String {
    encoded(name).replace('/', "%2F")
}
