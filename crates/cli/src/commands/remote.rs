//! What a server is asked for: `projects`, `trigger`, `logs`, `cancel`, `rerun`, `queue`, `agents`.

use std::path::Path;

use agent::{KnownLibrary, LibraryOrigin};
use reqwest::Method;
use serde_json::{Value, json};

use super::test_results::name_of;
use crate::args::projects::{ProjectsCommand, PutArgs};
use crate::args::server::{AgentsCommand, AnswerArgs, CancelArgs, LogsArgs, QueueArgs, RerunArgs, TriggerArgs};
use crate::args::{OutputFormat, WhyArgs};
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};
use crate::pods;
use crate::show::Style;
use crate::show::for_terminal;

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Of one state in words.
pub(super) fn state(run: &Value) -> String {
    match run["outcome"].as_str() {
        Some(outcome) => outcome.to_lowercase(),
        None => text(run, "status").to_owned(),
    }
}

/// `cofferdam projects`.
pub async fn projects(command: &ProjectsCommand) -> Result<Exit, CommandFailure> {
    match command {
        ProjectsCommand::Ls { client } => {
            for project in &Client::new(client)?.all("/api/v1/projects", "projects").await? {
                match client.output {
                    OutputFormat::Json => println!("{project}"),
                    OutputFormat::Text => println!("{}  {}", text(project, "name"), project["config"]["source"]),
                }
            }
        }
        ProjectsCommand::Show { name, client } => {
            let path = format!("/api/v1/projects/{}", name_of(name));
            let project = Client::new(client)?.ask(Method::GET, &path, None).await?;
            match client.output {
                OutputFormat::Json => println!("{project}"),
                OutputFormat::Text => println!("{}", for_terminal(&format!("{:#}", project["config"]))),
            }
        }
        ProjectsCommand::Branches { name, client } => super::branches::ls(name, client).await?,
        ProjectsCommand::Put(args) => {
            let PutArgs { name, git, branch, folder, file, protected, client, .. } = args.as_ref();
            let source = match (git, folder) {
                (Some(url), _) => {
                    let password = args.git_password_file.as_ref().map(|file| first_line(file)).transpose()?;
                    let login = password.map(|password| json!({ "user": args.git_user, "password": password }));
                    json!({ "git": { "url": url, "branch": branch, "login": login } })
                }
                (None, Some(folder)) => {
                    let path = folder.canonicalize().map_err(|error| CommandFailure::io("open", folder, &error))?;
                    json!({ "folder": path })
                }
                (None, None) => return Err(CommandFailure::usage("--git or --folder")),
            };
            let mut config = json!({ "source": source, "file": file, "protected": protected });
            config["label"] = json!(args.label);
            config["weight"] = json!(args.weight);
            config["started_by"] = json!(args.started_by);
            config["copied_by"] = json!(args.copied_by);
            config["locks"] = json!(args.locks);
            config["record_deliveries"] = json!(args.record_deliveries);
            config["at_once"] = json!(args.at_once);
            config["memory_mib"] = json!(args.memory.map(|bytes| bytes >> 20));
            config["cpu_millis"] = json!(args.cpus);
            config["alone"] = json!(args.alone);
            config["queue_minutes"] = json!(args.queue_minutes);
            config["approve_strangers"] = json!(args.approve_strangers);
            config["public_badge"] = json!(args.public_badge);
            config["people"] = args.people.iter().map(|(name, role)| (name.clone(), json!(role))).collect();
            config["libraries"] = libraries(args, &config["source"]["git"])?;
            config["tools"] = json!(args.tools);
            config["pod_templates"] = json!(pods::read(&args.pod_templates)?);
            config["merge_requests"] = json!(args.merge);
            config["poll_minutes"] = json!(args.poll);
            config["cron"] = json!(args.cron);
            if !args.upstream.is_empty() {
                config["upstream"] = json!({ "projects": args.upstream, "threshold": args.upstream_threshold.name() });
            }
            config["keep_runs"] = json!(args.keep_runs);
            config["keep_days"] = json!(args.keep_days);
            if let (Some(forge), Some(file)) = (args.hook, &args.hook_secret_file) {
                config["hook"] = json!({ "forge": forge.name(), "secret": first_line(file)? });
            }
            if let Some(forge) = args.report {
                let mut report =
                    json!({ "forge": forge.name(), "api": args.report_api, "repository": args.report_repository });
                if args.report_nothing {
                    report["silent"] = json!(true);
                }
                match (&args.report_token_file, &args.report_app, &args.report_key_file) {
                    (Some(file), ..) => report["token"] = json!(first_line(file)?),
                    (None, Some(id), Some(file)) => {
                        let key = std::fs::read_to_string(file);
                        let key = key.map_err(|error| CommandFailure::io("read", file, &error))?;
                        report["app"] = json!({ "id": id, "installation": args.report_installation, "key": key });
                    }
                    _ => return Err(CommandFailure::usage("--report wants --report-token-file or --report-app")),
                }
                config["report"] = report;
            }
            let path = format!("/api/v1/projects/{}", name.replace('/', "%2F"));
            let project = Client::new(client)?.ask(Method::PUT, &path, Some(&config)).await?;
            match client.output {
                OutputFormat::Json => println!("{project}"),
                OutputFormat::Text => println!("{}", text(&project, "name")),
            }
        }
    }
    Ok(Exit::Success)
}

/// The shared libraries of a project. Who fetches its repository fetches those of the same host too.
fn libraries(args: &PutArgs, repository: &Value) -> Result<Value, CommandFailure> {
    let host = |url: &str| url.split('/').nth(2).map(str::to_owned);
    if let Some(unknown) = args.load_libraries.iter().find(|name| args.libraries.iter().all(|it| it.name != **name)) {
        return Err(CommandFailure::usage(format!("--load-library {unknown}: no --library says where it is")));
    }
    let described = args.libraries.iter().map(|KnownLibrary { name, place, version }| match place {
        LibraryOrigin::Repository(url, _) => {
            let implicit = args.load_libraries.contains(name);
            let mut library = json!({ "name": name, "url": url, "version": version, "implicit": implicit });
            if repository["login"].is_object() && host(url) == host(text(repository, "url")) {
                library["login"] = repository["login"].clone();
            }
            Ok(library)
        }
        LibraryOrigin::Folder(folder) => Err(CommandFailure::usage(format!(
            "--library {name}={}: a server's agents fetch libraries: give the address of its repository",
            folder.display()
        ))),
    });
    described.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// Of a file with a secret.
pub(super) fn first_line(file: &Path) -> Result<String, CommandFailure> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin().lock()),
        _ => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| CommandFailure::io("read", file, &error))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// `cofferdam trigger`.
pub async fn trigger(args: &TriggerArgs, style: Style) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let params: serde_json::Map<_, _> = args.params.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let path = format!("/api/v1/projects/{}/runs", args.project.replace('/', "%2F"));
    let run = client
        .ask(
            Method::POST,
            &path,
            Some(&json!({ "revision": args.revision, "params": params, "priority": args.priority })),
        )
        .await?;
    made(&client, &run, args.follow, args.client.output, style).await
}

/// Says which run was made, and follows it where that is wanted.
async fn made(
    client: &Client,
    run: &Value,
    follows: bool,
    output: OutputFormat,
    style: Style,
) -> Result<Exit, CommandFailure> {
    match output {
        OutputFormat::Json => println!("{run}"),
        OutputFormat::Text => eprintln!("run {} ({} #{})", run["id"], text(run, "project"), run["number"]),
    }
    match run["id"].as_u64().filter(|_| follows) {
        Some(id) => follow(client, id, output, style).await,
        None => Ok(Exit::Success),
    }
}

/// `cofferdam rerun`.
pub async fn rerun(args: &RerunArgs, style: Style) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let again = json!({ "from": args.from, "failed": args.failed });
    let run = client.ask(Method::POST, &format!("/api/v1/runs/{}/rerun", args.run), Some(&again)).await?;
    made(&client, &run, args.follow, args.client.output, style).await
}

/// `cofferdam answer`.
pub async fn answer(args: &AnswerArgs) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let path = format!("/api/v1/runs/{}/questions", args.run);
    let asked = client.ask(Method::GET, &path, None).await?;
    let is_meant = |question: &&Value| args.question.is_none_or(|number| question["number"] == number);
    let questions: Vec<_> = asked["questions"].as_array().into_iter().flatten().filter(is_meant).collect();
    if !args.yes && !args.no {
        for question in questions {
            match args.client.output {
                OutputFormat::Json => println!("{question}"),
                OutputFormat::Text => println!("{}", in_words(question)),
            }
        }
        return Ok(Exit::Success);
    }
    let [question] = questions[..] else {
        let message = match questions.len() {
            0 => "the run asks nothing of the kind".to_owned(),
            several => format!("the run asks {several} things"),
        };
        let hint = format!("`cofferdam answer {}` prints what it asks; --question N", args.run);
        return Err(CommandFailure::usage(message).with_hint(hint));
    };
    let values: serde_json::Map<_, _> =
        args.params.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
    let said = json!({ "proceed": args.yes, "values": values });
    client.send(Method::POST, &format!("{path}/{}", question["number"]), Some(&said)).await?;
    Ok(Exit::Success)
}

/// A question, and what else is to be said.
fn in_words(question: &Value) -> String {
    let mut words = format!("{}  {} [{}]", question["number"], text(question, "message"), text(question, "ok"));
    for parameter in question["parameters"].as_array().into_iter().flatten() {
        let choices: Vec<_> = parameter["choices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let choices = if choices.is_empty() { String::new() } else { format!(" of {}", choices.join(", ")) };
        let default = text(parameter, "default");
        words.push_str(&format!(
            "\n    -p {}={default}{choices}  {}",
            text(parameter, "name"),
            text(parameter, "description")
        ));
    }
    words
}

/// `cofferdam queue`.
pub async fn queue(args: &QueueArgs) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let mut after = Some(0);
    while let Some(page) = after {
        let answer = client.ask(Method::GET, &format!("/api/v1/queue?after={page}"), None).await?;
        for run in answer["queue"].as_array().into_iter().flatten() {
            match args.client.output {
                OutputFormat::Json => println!("{run}"),
                OutputFormat::Text => {
                    println!("{}  {} #{}  {}", run["id"], text(run, "project"), run["number"], text(run, "waits"));
                }
            }
        }
        after = answer["next_after"].as_u64();
    }
    Ok(Exit::Success)
}

/// `cofferdam why --run RUN`: what a run of a server waits for.
pub async fn why(args: &WhyArgs, run: u64) -> Result<Exit, CommandFailure> {
    let client = Client::of(&args.server, args.token.as_deref())?;
    let run = client.ask(Method::GET, &format!("/api/v1/runs/{run}"), None).await?;
    match args.plan.output {
        OutputFormat::Json => println!("{run}"),
        OutputFormat::Text => {
            match run["waits"].as_str() {
                Some(why) => println!("{}", for_terminal(why)),
                None if run["status"] == "running" => println!("it runs, and waits for no agent"),
                None => println!("it has ended: {}", state(&run)),
            }
            println!("trust of its code: {}", text(&run, "trust"));
        }
    }
    Ok(Exit::Success)
}

/// `cofferdam logs`.
pub async fn logs(args: &LogsArgs, style: Style) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    if args.follow {
        return follow(&client, args.run, args.client.output, style).await;
    }
    let mut from = 0;
    loop {
        let (lines, next) = client.log(args.run, from).await?;
        if next == from {
            return Ok(Exit::Success);
        }
        print!("{lines}");
        from = next;
    }
}

/// `cofferdam cancel`.
pub async fn cancel(args: &CancelArgs) -> Result<Exit, CommandFailure> {
    let body = json!({ "reason": args.reason });
    let answer =
        Client::new(&args.client)?.ask(Method::POST, &format!("/api/v1/runs/{}/abort", args.run), Some(&body)).await?;
    match answer["aborted"].as_bool() {
        Some(true) => Ok(Exit::Success),
        _ => Err(CommandFailure::new(Exit::Failed, format!("run {} has ended", args.run))),
    }
}

/// What an agent's sandboxes can be.
fn sandboxes(agent: &Value) -> String {
    let rungs = agent["rungs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let engine = (agent["engine"] == true).then_some("docker-engine");
    rungs.chain(engine).collect::<Vec<_>>().join(",")
}

/// `cofferdam agents`.
pub async fn agents(command: &AgentsCommand) -> Result<Exit, CommandFailure> {
    match command {
        AgentsCommand::Ls { client } => {
            for agent in &Client::new(client)?.all("/api/v1/agents", "agents").await? {
                let is_there = if agent["connected"] == true { "connected" } else { "away" };
                match client.output {
                    OutputFormat::Json => println!("{agent}"),
                    OutputFormat::Text => println!("{}  {is_there}  {}", text(agent, "name"), sandboxes(agent)),
                }
            }
        }
        AgentsCommand::Token { client } => {
            let answer = Client::new(client)?.ask(Method::POST, "/api/v1/agents/tokens", None).await?;
            match client.output {
                OutputFormat::Json => println!("{answer}"),
                OutputFormat::Text => println!("{}", text(&answer, "token")),
            }
        }
        AgentsCommand::Rm { name, client } => {
            let client = Client::new(client)?;
            let agents = client.all("/api/v1/agents", "agents").await?;
            let agent = agents.iter().find(|agent| text(agent, "name") == name);
            let agent = agent.ok_or_else(|| CommandFailure::usage(format!("there is no agent {name}")))?;
            client.send(Method::DELETE, &format!("/api/v1/agents/{}", agent["id"]), None).await?;
        }
    }
    Ok(Exit::Success)
}

async fn follow(client: &Client, run: u64, output: OutputFormat, style: Style) -> Result<Exit, CommandFailure> {
    let ended = client.follow(run, |line| match output {
        OutputFormat::Json => println!("{line}"),
        OutputFormat::Text => println!("{}", text(line, "text")),
    });
    let ended = ended.await?;
    match output {
        OutputFormat::Json => println!("{ended}"),
        OutputFormat::Text => eprintln!("{}", style.bold(&format!("run {run}: {}", state(&ended)))),
    }
    Ok(match ended["outcome"].as_str() {
        Some("SUCCESS") => Exit::Success,
        Some("UNSTABLE") => Exit::Unstable,
        Some("ABORTED") => Exit::Interrupted,
        _ => Exit::Failed,
    })
}
