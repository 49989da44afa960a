//! What people and forges ask for, over HTTP; and that the answers are true.

use axum::body::Body;
use axum::http::Request;
use hmac::{Hmac, KeyInit as _, Mac as _};
use model::ids::RunId;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::life::{Answer, Slot};
use crate::plan::{self, Fault, SECRET};
use crate::world::World;

/// What was asked, and what follows from its answer.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// A run of that project.
    Run(String),
    /// A delivery of a forge.
    Delivery(String),
    /// That a run is approved, with whatever it asks for.
    Approval(RunId),
    /// That a run ends.
    Change(RunId),
    /// The same run again.
    Again(RunId),
    /// To see a run, and whether it had ended when that was asked.
    Look(RunId, bool),
    /// Anything that is there always.
    Page,
}

/// How an answer is waited for.
pub(crate) struct Pending {
    pub(crate) asked: Asked,
    /// Since when.
    pub(crate) since: u64,
    pub(crate) slot: Slot<Answer>,
}

const JSON: &str = "application/json";

impl World {
    /// A request with the first token, sent now.
    pub(crate) fn ask(&mut self, asked: Asked, method: &str, path: &str, body: Option<Value>) -> Result<(), String> {
        self.trace.line(self.now, &format!("{method} {path}"));
        let request = Request::builder().method(method).uri(path).header("content-type", JSON);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(asked, request.body(body).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn send(&mut self, asked: Asked, request: Request<Body>) {
        if let Some(life) = &self.life {
            let slot = life.ask(request);
            self.pending.push(Pending { asked, since: self.now, slot });
        }
    }

    /// Somebody does something.
    pub(crate) fn people(&mut self) -> Result<(), String> {
        if self.life.is_none() {
            return Ok(());
        }
        let Some(project) = self.dice.pick(&self.plan.projects).copied() else { return Ok(()) };
        match self.dice.below(20) {
            0..6 => {
                for _ in 0..self.dice.between(1, 3) {
                    self.trigger(project)?;
                }
                Ok(())
            }
            6..10 => self.deliver(project, None),
            10 => match self.deliveries.last_key_value().map(|((project, id), _)| (project.clone(), *id)) {
                Some((project, id)) => self.deliver(&project, Some(id)),
                None => Ok(()),
            },
            11..13 => {
                let run = self.some_run(|known| !known.has_ended());
                run.map_or(Ok(()), |run| {
                    let path = format!("/api/v1/runs/{}/abort", run.0);
                    self.ask(Asked::Change(run), "POST", &path, Some(json!({ "reason": "somebody wants it" })))
                })
            }
            13..15 => {
                let run = self.some_run(|known| known.has_ended() && known.is_kept());
                run.map_or(Ok(()), |run| {
                    self.ask(Asked::Again(run), "POST", &format!("/api/v1/runs/{}/rerun", run.0), None)
                })
            }
            15..17 => {
                let held = self.ledger.held();
                let run = self.dice.pick(&held).copied();
                run.map_or(Ok(()), |run| self.approve(run))
            }
            17..19 => {
                let run = self.some_run(|known| known.is_kept());
                let Some(run) = run else { return Ok(()) };
                let had_ended = self.ledger.run(run).is_some_and(crate::ledger::Known::has_ended);
                self.ask(Asked::Look(run, had_ended), "GET", &format!("/api/v1/runs/{}", run.0), None)
            }
            _ => {
                let path = ["/api/v1/queue", "/metrics", "/api/v1/agents", "/api/v1/projects", "/api/v1/runs"];
                let path = path[self.dice.below(5) as usize];
                self.ask(Asked::Page, "GET", path, None)
            }
        }
    }

    fn trigger(&mut self, project: &str) -> Result<(), String> {
        let branch = ["main", "main", "fix"][self.dice.below(3) as usize];
        let body = match branch {
            "main" => json!({}),
            branch => json!({ "revision": branch, "params": { "A": "1" } }),
        };
        self.ask(Asked::Run(project.to_owned()), "POST", &format!("/api/v1/projects/{project}/runs"), Some(body))
    }

    pub(crate) fn approve(&mut self, run: RunId) -> Result<(), String> {
        self.ledger.asked.insert(run);
        self.ask(Asked::Approval(run), "POST", &format!("/api/v1/runs/{}/approve", run.0), None)
    }

    pub(crate) fn put_project(&mut self, name: &str) -> Result<(), String> {
        let config = plan::project(name, &mut self.dice);
        self.ask(Asked::Page, "PUT", &format!("/api/v1/projects/{name}"), Some(config))
    }

    /// One of the newest of which that is true.
    fn some_run(&mut self, is_fit: impl Fn(&crate::ledger::Known) -> bool) -> Option<RunId> {
        let newest: Vec<_> =
            self.ledger.newest().filter(|(_, known)| is_fit(known)).map(|(id, _)| id).take(12).collect();
        self.dice.pick(&newest).copied()
    }

    /// A forge tells of a push or of a pull request; `again`: of one that it told of before.
    fn deliver(&mut self, project: &str, again: Option<u64>) -> Result<(), String> {
        let id = again.unwrap_or_else(|| self.dice.next() >> 1);
        let mut dice = crate::dice::Dice::of(id, 7);
        let commit = format!("{:040x}", dice.next());
        let (event, body) = match dice.below(2) {
            0 => ("push", json!({ "ref": "refs/heads/main", "after": commit, "sender": { "login": "ada" } })),
            _ => {
                let fork = dice.below(2);
                let head = json!({ "sha": commit, "ref": "fix", "repo": { "id": 1 + fork } });
                let base = json!({ "ref": "main", "repo": { "id": 1 } });
                let request = json!({ "number": dice.between(1, 4), "head": head, "base": base, "title": "a fix",
                    "user": { "login": "eve" } });
                ("pull_request", json!({ "action": "synchronized", "number": 1, "pull_request": request }))
            }
        };
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map_err(|error| error.to_string())?;
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.trace.line(self.now, &format!("hook of {project}: {event} {id:x}"));
        self.deliveries.entry((project.to_owned(), id)).or_insert(None);
        let request = Request::builder().method("POST").uri(format!("/hooks/{project}")).header("content-type", JSON);
        let request = request.header("x-gitea-event", event).header("x-gitea-delivery", format!("{id:x}"));
        let request = request.header("x-gitea-signature", signature).body(Body::from(body));
        self.send(Asked::Delivery(format!("{project} {id}")), request.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Somebody has an answer, and the ledger has everything that came before it.
    pub(crate) fn answered(&mut self, asked: &Asked, (status, body): Answer) -> Result<(), String> {
        let wrong = || Err(format!("{asked:?}: {status} {body}"));
        match (asked, status) {
            (Asked::Run(_) | Asked::Again(_), 201) => {
                let id = RunId(body["id"].as_u64().unwrap_or(0));
                let project = match asked {
                    Asked::Run(project) => project.clone(),
                    _ => body["project"].as_str().unwrap_or_default().to_owned(),
                };
                let number = body["number"].as_u64().unwrap_or(0);
                self.trace.line(self.now, &format!("  {id} is #{number} of {project}"));
                if self.ledger.run_of(&project, number) == Some(id) { Ok(()) } else { wrong() }
            }
            (Asked::Delivery(key), 202) => {
                let run = RunId(body["run"].as_u64().unwrap_or(0));
                let (project, id) = key.split_once(' ').unwrap_or_default();
                let before = self.deliveries.entry((project.to_owned(), id.parse().unwrap_or(0))).or_default();
                self.trace.line(self.now, &format!("  it is {run}"));
                match before.replace(run) {
                    Some(before) if before != run => Err(format!("what came twice is {before} and {run}")),
                    _ => Ok(()),
                }
            }
            (Asked::Look(run, had_ended), 200) => {
                let has_ended = self.ledger.run(*run).is_some_and(crate::ledger::Known::has_ended);
                // It may end between the look and the answer, for a slow database.
                let is_so = if body["status"] == "done" { has_ended } else { !had_ended };
                if is_so { Ok(()) } else { wrong() }
            }
            // The database was busy for too long, or its disk is full.
            (_, 503) if self.plan.slowness > 0 || self.plan.faults.contains(&Fault::Full) => Ok(()),
            // Forgotten meanwhile, or not waiting for anybody.
            (Asked::Change(run) | Asked::Approval(run) | Asked::Again(run) | Asked::Look(run, _), 404) => {
                let is_kept = self.ledger.run(*run).is_some_and(crate::ledger::Known::is_kept);
                if is_kept { wrong() } else { Ok(()) }
            }
            (Asked::Change(_) | Asked::Approval(_) | Asked::Delivery(_), 409) => Ok(()),
            (Asked::Change(_) | Asked::Approval(_) | Asked::Page, 200) => Ok(()),
            // No agent was there to say what would be approved.
            (Asked::Approval(_), 503) => Ok(()),
            _ => wrong(),
        }
    }
}
