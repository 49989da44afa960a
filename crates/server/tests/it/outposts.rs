//! Jobs of one run at several agents at the same time.

use model::ids::RequestId;
use model::request::{Reply, Request};
use serde_json::{Value, json};
use wire::agent::{Definition, FromAgent, Lease, ToAgent, VERSION};

use crate::agent::{Agent, Place, everything, line};

const NESTED: &str = "node('linux') { sh 'one'\n try { node('arm') { sh 'two' } } catch (e) { echo \"caught ${e.message}\" }\n sh 'three' }";

/// Does what is asked until that lease is to be given back, and gives it back; which scripts it was given.
pub async fn all_of(agent: &mut Agent, lease: Lease) -> Vec<String> {
    let mut scripts = Vec::new();
    let is_over = |message: &ToAgent| {
        if let ToAgent::Perform { request: Request::Exec { script, .. }, .. } = message {
            scripts.push(script.text.clone());
        }
        matches!(message, ToAgent::Release { lease: of, forget: false } if *of == lease)
    };
    agent.work(is_over).await;
    agent.say(&FromAgent::Released { lease }).await;
    scripts
}

fn is_script(message: &ToAgent, text: &str) -> bool {
    matches!(message, ToAgent::Perform { request: Request::Exec { script, .. }, .. } if script.text == text)
}

fn done() -> Reply {
    Reply::Exited { code: 0, stdout: None, limit: None }
}

pub fn hello(label: &str, held: Vec<Lease>) -> FromAgent {
    FromAgent::Hello { version: VERSION, runs: 1, held, labels: vec![label.to_owned()], offers: everything() }
}

async fn are_there(place: &Place, count: usize) {
    let connected = async || {
        let agents = place.ask("GET", "/api/v1/agents", Value::Null).await;
        agents["agents"].as_array().unwrap().iter().filter(|agent| agent["connected"] == true).count()
    };
    while connected().await != count {
        tokio::task::yield_now().await;
    }
}

/// Two agents, and a run whose second job has just been given something to do at the other one.
struct Both {
    place: Place,
    id: u64,
    linux: Agent,
    lease: Lease,
    linux_key: String,
    arm: Agent,
    job: Lease,
    arm_key: String,
    /// What that is to do.
    asked: RequestId,
}

async fn both() -> Both {
    let place = Place::new().await;
    let (linux_key, arm_key) = (place.enrol("linux").await, place.enrol("arm").await);
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let id = place.trigger().await;
    let lease = linux.take(NESTED).await;
    let mut arm = place.connect(&arm_key).await;
    arm.say(&hello("arm", Vec::new())).await;
    // Not before the other is there.
    are_there(&place, 2).await;
    let mut at_linux = Box::pin(async {
        linux.work(|message| matches!(message, ToAgent::Perform { request: Request::Release { .. }, .. })).await;
        panic!("it was not asked for that");
    });
    let (job, asked) = tokio::select! {
        _ = &mut at_linux => unreachable!(),
        begun = async {
            let job = arm.take(NESTED).await;
            let ToAgent::Perform { id: asked, .. } = arm.work(|message| is_script(message, "two")).await else { unreachable!() };
            (job, asked)
        } => begun,
    };
    drop(at_linux);
    assert!(job.run.0 == id && job.job().is_some() && lease.job().is_none());
    Both { place, id, linux, lease, linux_key, arm, job, arm_key, asked }
}

#[tokio::test]
async fn a_job_is_at_another_agent_than_its_run() {
    let Both { place, id, mut linux, lease, mut arm, job, asked, .. } = both().await;
    let metrics =
        place.request("GET", "/metrics").bearer_auth(place.admin()).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\ncofferdam_jobs_elsewhere 1\n"), "{metrics}");
    // Neither speaks for the other.
    linux.answer(lease, asked, Reply::Exited { code: 7, stdout: None, limit: None }).await;
    linux.say(&FromAgent::Report { lease: job, first: 0, items: vec![line("nobody has said this")] }).await;
    linux.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == job)).await;
    arm.say(&FromAgent::Report { lease: job, first: 0, items: vec![line("of arm")] }).await;
    arm.work(|message| matches!(message, ToAgent::Kept { lease: of, reported: 1 } if *of == job)).await;
    // Again, as after a connection that broke.
    arm.say(&FromAgent::Report { lease: job, first: 0, items: vec![line("of arm"), line("more of arm")] }).await;
    linux.say(&FromAgent::Report { lease, first: 0, items: vec![line("of linux")] }).await;
    arm.answer(job, asked, done()).await;
    let (here, there) = tokio::join!(all_of(&mut linux, lease), all_of(&mut arm, job));
    assert_eq!((here, there), (vec!["three".to_owned()], Vec::new()));
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    let log = place.log(id).await;
    for (said, times) in [("more of arm", 1), ("of arm", 2), ("of linux", 1), ("caught", 0), ("nobody", 0)] {
        assert_eq!(log.matches(said).count(), times, "{said} in {log}");
    }
    assert!(log.contains("goes to another agent, which has label ‘arm’"), "{log}");
}

/// Neither answers for people, for time, or for the other.
#[tokio::test]
async fn agents_answer_what_they_are_asked() {
    let place = Place::new().await;
    let definition = "node('linux') { parallel a: { input 'go?' }, b: { sleep 600 }, c: { sh 'here' }, d: { node('arm') { sh 'there' } } }";
    let mut linux = place.agent_with("linux", 1, &["linux"]).await;
    let id = place.trigger().await;
    let lease = linux.take(definition).await;
    let mut arm = place.agent_with("arm", 1, &["arm"]).await;
    are_there(&place, 2).await;
    let there = async {
        let job = arm.take(definition).await;
        let ToAgent::Perform { id: asked, .. } = arm.work(|message| is_script(message, "there")).await else {
            unreachable!()
        };
        (job, asked)
    };
    let ToAgent::Perform { id: asked, .. } = linux.work(|message| is_script(message, "here")).await else {
        unreachable!()
    };
    // Its engine works on.
    let (job, there) = tokio::select! {
        _ = linux.work(|_| false) => unreachable!(),
        begun = there => begun,
    };
    let decided = Reply::Decided { by: "admin".into(), values: Some(Vec::new()) };
    for request in (1..20).map(RequestId) {
        for reply in [Reply::Done, decided.clone()] {
            if request != there {
                arm.answer(job, request, reply.clone()).await;
            }
            if request != asked {
                linux.answer(lease, request, reply).await;
            }
        }
    }
    // All of it is heard, and none of it counts.
    arm.answer(job, there, done()).await;
    arm.work(|message| matches!(message, ToAgent::AnswerKept { id, .. } if *id == there)).await;
    linux.answer(lease, asked, done()).await;
    linux.work(|message| matches!(message, ToAgent::AnswerKept { id, .. } if *id == asked)).await;
    let questions = place.ask("GET", &format!("/api/v1/runs/{id}/questions"), Value::Null).await;
    assert_eq!(questions["questions"].as_array().map(Vec::len), Some(1), "{questions}");
    assert_eq!(place.run(id).await["status"], "running");
    place.ask("POST", &format!("/api/v1/runs/{id}/abort"), Value::Null).await;
    let _both = tokio::join!(all_of(&mut linux, lease), all_of(&mut arm, job));
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
}

/// What was being done goes on, and what nobody had heard is said again.
#[tokio::test]
async fn a_server_that_comes_back_knows_who_has_which_job() {
    let Both { mut place, id, lease, linux_key, job, arm_key, asked, .. } = both().await;
    let login = json!({ "user": "ci", "password": "correct-horse-battery" });
    let git = json!({ "git": { "url": "https://git.example/app.git", "branch": "main", "login": login } });
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": git })).await;
    place.restart().await;
    // In either order.
    let mut arm = place.connect(&arm_key).await;
    arm.say(&hello("arm", vec![job])).await;
    let is_leased = |message: &ToAgent| matches!(message, ToAgent::Lease { lease: of, .. } if *of == job);
    let ToAgent::Lease { reported, .. } = arm.work(is_leased).await else { unreachable!() };
    // Whoever comes first: what is not to be shown is known before anything is heard.
    let items = vec![line("with correct-horse-battery")];
    arm.say(&FromAgent::Report { lease: job, first: reported, items }).await;
    arm.work(|message| matches!(message, ToAgent::Kept { .. })).await;
    let log = place.log(id).await;
    assert!(log.contains("with ****") && !log.contains("correct-horse"), "{log}");
    // Nobody can hear it yet, so it is not kept.
    arm.answer(job, asked, done()).await;
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", vec![lease])).await;
    let found = Definition { text: NESTED.into(), ..Definition::default() };
    linux.say(&FromAgent::Found { lease, definition: Ok(found) }).await;
    let there = async {
        arm.work(|message| matches!(message, ToAgent::Perform { id, .. } if *id == asked)).await;
        arm.answer(job, asked, done()).await;
        all_of(&mut arm, job).await
    };
    let (here, there) = tokio::join!(all_of(&mut linux, lease), there);
    assert_eq!((here, there), (vec!["three".to_owned()], Vec::new()));
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// It has lost what it had, or does not come back: its job fails, and the run goes on where it is.
#[tokio::test]
async fn an_agent_is_lost_with_its_job_alone() {
    for comes_back in [true, false] {
        let Both { place, id, mut linux, lease, arm, arm_key, .. } = both().await;
        drop(arm);
        let mut again = None;
        if comes_back {
            let mut arm = place.connect(&arm_key).await;
            arm.say(&hello("arm", Vec::new())).await;
            again = Some(arm);
        }
        assert_eq!(all_of(&mut linux, lease).await, ["three"]);
        assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
        assert!(place.log(id).await.contains("caught the agent that had this was lost"));
        drop(again);
    }
}

/// With the run's own agent all is lost that the run has.
#[tokio::test]
async fn a_run_is_lost_with_its_jobs() {
    let Both { place, id, linux, mut arm, job, linux_key, .. } = both().await;
    drop(linux);
    arm.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == job)).await;
    drop(arm);
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let lease = linux.take(NESTED).await;
    assert_eq!(all_of(&mut linux, lease).await, ["three"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert!(place.log(id).await.contains("caught the agent that had this was lost"));
}

/// A job waits for a place as a run does, and its run says why. Who does not want to wait any longer has no place later.
#[tokio::test]
async fn a_job_waits_for_a_place() {
    let Both { place, id, mut linux, lease, mut arm, job, asked, .. } = both().await;
    // Most room is there.
    let mut mips = place.agent_with("mips", 4, &["mips"]).await;
    let waiting = place.trigger().await;
    let moved = mips.take("node('mips') { timeout(time: 1, unit: 'SECONDS') { node('arm') { sh 'never' } } }").await;
    let why = async {
        let why = place.waits_for(waiting, "job-2: ").await;
        assert!(why.contains("place"), "{why}");
    };
    let (scripts, ()) = tokio::join!(all_of(&mut mips, moved), why);
    assert_eq!(scripts, Vec::<String>::new());
    assert_eq!(place.wait_for_end(waiting).await["outcome"], "ABORTED");
    // It is free for the next one, once it is free.
    arm.answer(job, asked, done()).await;
    let (here, _) = tokio::join!(all_of(&mut linux, lease), all_of(&mut arm, job));
    assert_eq!(here, ["three"]);
    place.wait_for_end(id).await;
    drop(mips);
    are_there(&place, 2).await;
    let next = place.trigger().await;
    let lease = linux.take(NESTED).await;
    let there = async {
        let is_leased = |message: &ToAgent| matches!(message, ToAgent::Lease { .. });
        let ToAgent::Lease { lease: job, .. } = arm.work(is_leased).await else { unreachable!() };
        (job.run.0, all_of(&mut arm, job).await)
    };
    let (here, there) = tokio::join!(all_of(&mut linux, lease), there);
    assert_eq!((here, there), (vec!["one".to_owned(), "three".to_owned()], (next, vec!["two".to_owned()])));
    place.wait_for_end(next).await;
}

/// Branches that begin at once go each where it can be, and neither waits for the other.
#[tokio::test]
async fn branches_are_where_they_can_be() {
    let place = Place::new().await;
    let definition = "parallel a: { node('linux') { sh 'one' } }, b: { node('arm') { sh 'two' } }";
    let mut linux = place.agent_with("linux", 1, &["linux"]).await;
    let mut arm = place.agent_with("arm", 1, &["arm"]).await;
    let id = place.trigger().await;
    // Either may have the run itself.
    let (first, second) = tokio::select! {
        lease = linux.take(definition) => ((&mut linux, lease), &mut arm),
        lease = arm.take(definition) => ((&mut arm, lease), &mut linux),
    };
    let ((first, lease), second) = (first, second);
    let there = async {
        let job = second.take(definition).await;
        assert!(job.job().is_some());
        all_of(second, job).await
    };
    let (mut here, there) = tokio::join!(all_of(first, lease), there);
    here.extend(there);
    here.sort();
    assert_eq!(here, ["one", "two"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert_eq!(place.run(id).await["waits"], Value::Null);
}
