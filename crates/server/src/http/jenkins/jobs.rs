//! Which job is meant, and which of its builds. A project is one, and each of its branches, tags and pull requests is one within it.

use model::outcome::Outcome;
use model::run::job_name;
use store::{Project, Run, RunFilter};
use wire::artifact::encoded;

use super::form::decoded;
use crate::app::App;
use crate::http::auth::User;
use crate::http::error::Refused;

/// Where something of a job is: its name, and what stands behind.
pub(super) struct Asked<'a> {
    pub(super) job: String,
    pub(super) rest: Vec<&'a str>,
}

/// `folder/job/app/12/api/json`: the parts behind `job` are the name's.
pub(super) fn asked(path: &str) -> Asked<'_> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (mut names, mut at) = (Vec::new(), 0);
    if let Some(first) = parts.first() {
        names.push(*first);
        at = 1;
        while let ["job", name, ..] = &parts[at..] {
            names.push(name);
            at += 2;
        }
    }
    Asked { job: names.join("/"), rest: parts[at..].to_vec() }
}

/// What Jenkins calls a job.
pub(in crate::http) struct Job {
    pub(in crate::http) project: Project,
    /// Its branch, tag or pull request; `None`: all that the project has.
    pub(in crate::http) branch: Option<String>,
}

impl Job {
    /// `folder/app`, or `folder/app/feature%2Fx`: of a branch it is not said that there is any.
    pub(in crate::http) async fn named(app: &App, name: &str) -> Result<Option<Job>, Refused> {
        if let Some(project) = app.store.project(name).await? {
            return Ok(Some(Job { project, branch: None }));
        }
        let Some((project, branch)) = name.rsplit_once('/') else { return Ok(None) };
        let branch = unescaped(branch);
        Ok(app.store.project(project).await?.map(|project| Job { project, branch: Some(branch) }))
    }

    /// The same where there is one, for who sees it.
    pub(super) async fn find(app: &App, user: &User, name: &str) -> Result<Job, Refused> {
        let job = Job::named(app, name).await?.filter(|job| user.sees(&job.project.name));
        let job = job.ok_or_else(|| Refused::missing("job"))?;
        match job.branch.is_some() && job.builds(app, 1).await?.is_empty() {
            true => Err(Refused::missing("job")),
            false => Ok(job),
        }
    }

    /// With its project's.
    pub(super) fn name(&self) -> String {
        job_name(&self.project.name, self.branch.as_deref())
    }

    /// The newest first.
    pub(in crate::http) async fn builds(&self, app: &App, limit: u32) -> Result<Vec<Run>, Refused> {
        let (projects, branch) = (Some(vec![self.project.id]), self.branch.clone());
        Ok(app.store.runs(&RunFilter { projects, branch, limit, ..RunFilter::default() }).await?)
    }

    /// `12`, `lastBuild`, `lastSuccessfulBuild` …
    pub(super) async fn build(&self, app: &App, word: &str) -> Result<Run, Refused> {
        let found = match word.parse() {
            Ok(number) => {
                let run = app.store.run_of(&self.project.name, number).await?;
                run.filter(|run| self.branch.is_none() || run.facts.branch() == self.branch.as_deref())
            }
            Err(_) => self.last(app, word).await?,
        };
        found.ok_or_else(|| Refused::missing("build"))
    }

    /// The newest that may be called that, however many others are newer.
    pub(in crate::http) async fn last(&self, app: &App, word: &str) -> Result<Option<Run>, Refused> {
        match (word, ends_of(word)) {
            ("lastBuild", _) => Ok(self.builds(app, 1).await?.into_iter().next()),
            (_, Some(ends)) => Ok(app.store.last_ended(self.project.id, self.branch.as_deref(), ends).await?),
            (_, None) => Ok(None),
        }
    }
}

/// Words for builds, of which the newest is meant.
pub(super) const LAST: [&str; 7] = [
    "lastBuild",
    "lastCompletedBuild",
    "lastSuccessfulBuild",
    "lastStableBuild",
    "lastUnstableBuild",
    "lastFailedBuild",
    "lastUnsuccessfulBuild",
];

/// How builds have ended that may be called that; `None`: how they ended says nothing of it.
fn ends_of(word: &str) -> Option<&'static [Outcome]> {
    let ends: &[Outcome] = match word {
        "lastCompletedBuild" => {
            &[Outcome::Success, Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted]
        }
        "lastSuccessfulBuild" => &[Outcome::Success, Outcome::Unstable],
        "lastStableBuild" => &[Outcome::Success],
        "lastUnstableBuild" => &[Outcome::Unstable],
        "lastFailedBuild" => &[Outcome::Failure],
        "lastUnsuccessfulBuild" => &[Outcome::Unstable, Outcome::Failure, Outcome::NotBuilt, Outcome::Aborted],
        _ => return None,
    };
    Some(ends)
}

/// Whether a build may be called that, if it is the newest such.
pub(super) fn is_last(word: &str, run: &Run) -> bool {
    let has_ended = |ends: &[Outcome]| run.outcome.is_some_and(|outcome| ends.contains(&outcome));
    word == "lastBuild" || ends_of(word).is_some_and(has_ended)
}

/// The address of a job of that name.
pub(super) fn job_url(base: &str, job: &str) -> String {
    let parts = job.split('/').map(|part| format!("job/{}/", encoded(part)));
    format!("{base}/{}", parts.collect::<String>())
}

/// The address of a build, within its branch where it is of one.
pub(super) fn run_url(base: &str, run: &Run) -> String {
    format!("{}{}/", job_url(base, &job_of(run)), run.number)
}

/// Which job it is of.
pub(super) fn job_of(run: &Run) -> String {
    job_name(&run.project_name, run.facts.branch())
}

fn unescaped(part: &str) -> String {
    // A plus is one here, and no space.
    decoded(&part.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_name_and_what_stands_behind() {
        let check = |path: &str, name: &str, rest: &[&str]| {
            let Asked { job, rest: found } = asked(path);
            assert_eq!((job.as_str(), found.as_slice()), (name, rest), "{path}");
        };
        check("app/build", "app", &["build"]);
        check("folder/job/app/12/api/json", "folder/app", &["12", "api", "json"]);
        check("a/job/b/job/c/", "a/b/c", &[]);
        check("", "", &[]);
        check("app/job", "app", &["job"]);
    }

    #[test]
    fn names_of_branches_are_parts_of_addresses() {
        for (branch, name, url) in [
            ("main", "team a/app/main", "http://ci/job/team%20a/job/app/job/main/"),
            (
                "feature/a+b%",
                "team a/app/feature%2Fa+b%25",
                "http://ci/job/team%20a/job/app/job/feature%252Fa%2Bb%2525/",
            ),
        ] {
            assert_eq!(job_name("team a/app", Some(branch)), name);
            assert_eq!(job_url("http://ci", name), url);
            // A router has taken one of the two away.
            assert_eq!(unescaped(name.rsplit('/').next().unwrap()), branch);
        }
    }
}
