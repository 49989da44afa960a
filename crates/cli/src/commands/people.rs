//! Who may come in at a server: `people`, `tokens`, `audit`.

use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{first_line, text};
use crate::args::OutputFormat;
use crate::args::people::{AuditArgs, PeopleCommand, PersonArgs, TokensCommand};
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};

fn words(value: &Value) -> String {
    let words: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(" ")
}

fn person(person: &Value, output: OutputFormat) {
    let state = if person["disabled"] == true { "  (may not come in)" } else { "" };
    match output {
        OutputFormat::Json => println!("{person}"),
        OutputFormat::Text => println!("{}  {}{state}", text(person, "name"), words(&person["grants"])),
    }
}

/// `cofferdam people`.
pub async fn people(command: &PeopleCommand) -> Result<Exit, CommandFailure> {
    match command {
        PeopleCommand::Ls { client } => {
            let people = Client::new(client)?.all("/api/v1/people", "people").await?;
            people.iter().for_each(|one| person(one, client.output));
        }
        PeopleCommand::Put(args) => put(args).await?,
        PeopleCommand::Password { old_password_file, password_file, client } => {
            let change = json!({ "old": first_line(old_password_file)?, "new": first_line(password_file)? });
            Client::new(client)?.send(Method::POST, "/api/v1/me/password", Some(&change)).await?;
        }
        PeopleCommand::Me { client } => {
            let me = Client::new(client)?.ask(Method::GET, "/api/v1/me", None).await?;
            match client.output {
                OutputFormat::Json => println!("{me}"),
                OutputFormat::Text if me["scopes"].is_null() => {
                    println!("{}  {}", text(&me, "name"), words(&me["grants"]))
                }
                OutputFormat::Text => {
                    println!("{}  {}, at most {}", text(&me, "name"), words(&me["grants"]), words(&me["scopes"]));
                }
            }
        }
    }
    Ok(Exit::Success)
}

async fn put(args: &PersonArgs) -> Result<(), CommandFailure> {
    let mut change = json!({});
    if !args.grants.is_empty() || args.no_grants {
        change["grants"] = json!(args.grants);
    }
    if let Some(file) = &args.password_file {
        change["password"] = json!(first_line(file)?);
    }
    if let Some(subject) = &args.subject {
        change["subject"] = json!(subject);
    }
    if args.disable || args.enable {
        change["disabled"] = json!(args.disable);
    }
    let path = format!("/api/v1/people/{}", args.name);
    let made = Client::new(&args.client)?.ask(Method::PUT, &path, Some(&change)).await?;
    person(&made, args.client.output);
    Ok(())
}

/// `cofferdam tokens`.
pub async fn tokens(command: &TokensCommand) -> Result<Exit, CommandFailure> {
    match command {
        TokensCommand::Ls { all, client } => {
            let path = if *all { "/api/v1/tokens?all=true" } else { "/api/v1/tokens" };
            for token in &Client::new(client)?.all(path, "tokens").await? {
                let scopes = if token["scopes"].is_null() { "as its owner".into() } else { words(&token["scopes"]) };
                match client.output {
                    OutputFormat::Json => println!("{token}"),
                    OutputFormat::Text => {
                        println!("{}  {}  {}  {scopes}", text(token, "id"), text(token, "owner"), text(token, "name"));
                    }
                }
            }
        }
        TokensCommand::Make { name, scopes, days, owner, password_file, client } => {
            let scopes = Some(scopes).filter(|scopes| !scopes.is_empty());
            let wanted = json!({ "name": name, "scopes": scopes, "days": days });
            let asks = match (owner, password_file) {
                (Some(owner), Some(file)) => Client::as_somebody(&client.server, owner, &first_line(file)?)?,
                _ => Client::new(client)?,
            };
            let made = asks.ask(Method::POST, "/api/v1/tokens", Some(&wanted)).await?;
            match client.output {
                OutputFormat::Json => println!("{made}"),
                OutputFormat::Text => println!("{}", text(&made, "token")),
            }
        }
        TokensCommand::Rm { id, client } => {
            Client::new(client)?.send(Method::DELETE, &format!("/api/v1/tokens/{id}"), None).await?;
        }
    }
    Ok(Exit::Success)
}

/// `cofferdam audit`.
pub async fn audit(args: &AuditArgs) -> Result<Exit, CommandFailure> {
    let path = format!("/api/v1/audit?after={}&limit={}", args.after, args.limit);
    let answer = Client::new(&args.client)?.ask(Method::GET, &path, None).await?;
    for row in answer["audit"].as_array().into_iter().flatten() {
        match args.client.output {
            OutputFormat::Json => println!("{row}"),
            OutputFormat::Text => println!(
                "{}  {}  {}  {}  {}  {}",
                row["seq"],
                text(row, "at"),
                text(row, "actor"),
                text(row, "action"),
                text(row, "object"),
                row["detail"]
            ),
        }
    }
    Ok(Exit::Success)
}
