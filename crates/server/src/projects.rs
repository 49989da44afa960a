//! How a project is made or changed, whoever wants that.

use store::{Actor, Project, StoreError};

use crate::app::App;
use crate::config::ProjectConfig;
use crate::scan::{At, Wanted};

/// The longest name of a project, in bytes.
const MAX_NAME: usize = 200;
/// The shortest secret of a hook: shorter ones can be guessed.
const MIN_SECRET: usize = 16;

/// Why a project is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// What is wrong with it.
    #[error("{0}")]
    Unfit(String),
    /// Nothing is.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a project, or changes all of it.
///
/// # Errors
/// It cannot be meant, or not be written down.
pub(crate) async fn put(app: &App, actor: &Actor, name: &str, config: &ProjectConfig) -> Result<Project, NotTaken> {
    check(name, config).map_err(NotTaken::Unfit)?;
    if let Some(upstream) = &config.upstream
        && crate::upstream::is_circle(app, name, upstream).await?
    {
        return Err(NotTaken::Unfit("upstream: the project would follow from itself".to_owned()));
    }
    for person in config.people.keys().filter(|person| *person != "*") {
        // A name that nobody has is anybody's who takes it first.
        if app.store.person(person).await?.is_none() {
            return Err(NotTaken::Unfit(format!("people: there is no {person:?}: `people put` takes somebody in")));
        }
    }
    let json =
        |config: &ProjectConfig| serde_json::to_value(config).map_err(|error| NotTaken::Unfit(error.to_string()));
    let project = app.store.put_project(actor, name, &json(config)?, &json(&config.told())?, app.now()).await?;
    crate::line::changed(app, &project).await?;
    if config.is_looked_at() {
        // Nobody need look.
        let _ = app.scan.send(Wanted { project: name.to_owned(), at: At::All });
    }
    app.house.notify_one();
    Ok(project)
}

/// What can be seen of a project alone.
/// Less memory than this no job can begin with.
const LEAST_MEMORY_MIB: u64 = 6;

fn check(name: &str, config: &ProjectConfig) -> Result<(), String> {
    // A name is part of paths and of variables.
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let parts_fit = name.split('/').all(|part| !part.trim_matches('.').is_empty());
    if name.len() > MAX_NAME || !name.chars().all(fits) || !parts_fit {
        return Err("a name of a project has letters, digits and -_., in parts between slashes".to_owned());
    }
    if config.memory_mib.is_some_and(|mib| mib < LEAST_MEMORY_MIB) || config.cpu_millis == Some(0) {
        return Err(format!("memory_mib is at least {LEAST_MEMORY_MIB}, and cpu_millis more than 0"));
    }
    if config.hook.as_ref().is_some_and(|hook| hook.secret.len() < MIN_SECRET) {
        return Err(format!("the secret of a hook has at least {MIN_SECRET} characters"));
    }
    if config.report.as_ref().is_some_and(|report| report.api().is_none_or(|api| !api.starts_with("http"))) {
        return Err("report: the API of that forge is not known: give its address as `api`".to_owned());
    }
    if let Some(what) = config.unfit() {
        return Err(what.to_owned());
    }
    if let Some(label) = &config.label {
        label.parse::<queue::line::Expression>().map_err(|error| format!("label: {error}"))?;
    }
    if let Some(text) = &config.cron {
        cron::Schedule::parse(text, name).map_err(|error| format!("cron: {error}"))?;
    }
    Ok(())
}
