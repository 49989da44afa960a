//! What becomes of a run that waits for an agent, when its time is over or somebody wants it to end: its engine says what follows, wherever it
//! can be.

use model::request::{Reply, Request};
use serde_json::{Value, json};
use server::{Clock, Simulated};
use wire::agent::{Lease, ToAgent};

use crate::agent::{Agent, Place, is_exec};
use crate::outposts::{all_of, hello};

/// A run that has been at one agent, and waits for the other, which has something to do.
struct Waiting {
    place: Place,
    id: u64,
    linux: Agent,
    linux_key: String,
    arm: Agent,
    /// What that does.
    busy: Lease,
}

async fn waiting(definition: &str) -> Waiting {
    waiting_at(Place::new().await, definition).await
}

async fn waiting_at(place: Place, definition: &str) -> Waiting {
    let other = json!({ "source": { "folder": "/nowhere" }, "label": "arm" });
    place.ask("PUT", "/api/v1/projects/other", other).await;
    let mut arm = place.agent_with("arm", 1, &["arm"]).await;
    place.ask("POST", "/api/v1/projects/other/runs", json!({})).await;
    let busy = arm.take("node { sh 'make' }").await;
    arm.work(is_exec).await;
    let linux_key = place.enrol("linux").await;
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let id = place.trigger().await;
    let lease = linux.take(definition).await;
    linux.work(|message| matches!(message, ToAgent::Release { lease: of, .. } if *of == lease)).await;
    linux.say(&wire::agent::FromAgent::Released { lease }).await;
    Waiting { place, id, linux, linux_key, arm, busy }
}

/// The same of one that nothing ends meanwhile.
async fn waiting_long(definition: &str) -> Waiting {
    let it = waiting(definition).await;
    it.place.waits_for(it.id, "only place that fits is taken").await;
    it
}

async fn abort(place: &Place, id: u64) {
    assert_eq!(place.ask("POST", &format!("/api/v1/runs/{id}/abort"), Value::Null).await["aborted"], true);
}

const TIMEOUT: &str = "node('linux') { sh 'one' }\n\
    try { timeout(time: 1, unit: 'SECONDS') { node('arm') { sh 'two' } } } catch (e) { node('linux') { sh 'after' } }";
const FINALLY: &str =
    "node('linux') { sh 'one' }\ntry { node('arm') { sh 'two' } } finally { node('linux') { sh 'after' } }";

#[tokio::test]
async fn a_timeout_ends_in_the_queue_too() {
    let Waiting { place, id, mut linux, arm, .. } = waiting(TIMEOUT).await;
    let lease = linux.take(TIMEOUT).await;
    assert_eq!(lease.run.0, id);
    assert_eq!(all_of(&mut linux, lease).await, ["after"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    drop(arm);
}

/// It was given to any agent, as one whose time had come, and then it had not.
#[tokio::test]
async fn a_clock_that_goes_back_has_it_wait_on() {
    let clock = Simulated::from(1_800_000_000_000);
    let mut place = Place::on_nothing(None);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
    let definition = "node('linux') { sh 'one' }\ntimeout(10) { node('arm') { sh 'two' } }";
    let Waiting { place, id, mut linux, arm, .. } = waiting_at(place, definition).await;
    place.waits_for(id, "only place that fits is taken").await;
    let other = place.trigger().await;
    let lease = linux.take("node { sh 'make' }").await;
    assert_eq!(lease.run.0, other);
    clock.jump(11 * 60_000);
    place.waits_for(id, "all 2 places at the 2 agents that fit").await;
    clock.jump(-11 * 60_000);
    assert_eq!(all_of(&mut linux, lease).await, ["make"]);
    place.wait_for_end(other).await;
    // The place is free, and none for it.
    place.waits_for(id, "only place that fits is taken").await;
    let run = place.run(id).await;
    assert_eq!((&run["status"], &run["agent"]), (&json!("queued"), &Value::Null));
    drop(arm);
}

/// What is under way takes as long as it takes, whatever somebody sets the clock to.
#[tokio::test]
async fn a_clock_that_jumps_ends_no_timeout() {
    let clock = Simulated::from(1_800_000_000_000);
    let mut place = Place::on_nothing(None);
    place.clock = Clock::Simulated(clock.clone());
    place.start().await;
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": { "folder": "/nowhere" } })).await;
    let key = place.enrol("one").await;
    let id = place.trigger().await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("timeout(10) { node { sh 'one'\n sh 'two' } }\nsleep 1").await;
    let ToAgent::Perform { id: one, .. } = agent.work(is_exec).await else { panic!() };
    clock.jump(60 * 60_000);
    agent.answer(lease, one, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    let ToAgent::Perform { id: two, .. } = agent.work(is_exec).await else { panic!() };
    // Nor is anything longer for one that goes back.
    clock.jump(-120 * 60_000);
    agent.answer(lease, two, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// It is in the store, and not only in the server's memory; and whoever it waits for need not be there.
#[tokio::test]
async fn a_timeout_ends_after_a_restart_too() {
    let Waiting { mut place, id, linux_key, .. } = waiting(TIMEOUT).await;
    place.restart().await;
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let lease = linux.take(TIMEOUT).await;
    assert_eq!(lease.run.0, id);
    assert_eq!(all_of(&mut linux, lease).await, ["after"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

#[tokio::test]
async fn what_is_aborted_in_the_queue_does_what_it_does_at_its_end() {
    let Waiting { place, id, mut linux, arm, .. } = waiting_long(FINALLY).await;
    abort(&place, id).await;
    let lease = linux.take(FINALLY).await;
    assert_eq!(all_of(&mut linux, lease).await, ["after"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
    drop(arm);
}

/// Who asks again wants it to end at once; and where there is nobody to tell, nobody waits for somebody.
#[tokio::test]
async fn what_is_aborted_in_the_queue_again_ends() {
    let Waiting { place, id, mut linux, arm, busy, .. } = waiting_long(FINALLY).await;
    // The other one is taken too.
    let other = place.trigger().await;
    let lease = linux.take("node { sh 'make' }").await;
    assert_eq!(lease.run.0, other);
    linux.work(is_exec).await;
    abort(&place, id).await;
    assert_eq!(place.run(id).await["status"], "queued");
    abort(&place, id).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
    drop((linux, arm, busy));

    let Waiting { place, id, linux, arm, .. } = waiting_long(FINALLY).await;
    drop((linux, arm));
    let connected = async || place.ask("GET", "/api/v1/agents", Value::Null).await["agents"].to_string();
    while connected().await.contains(r#""connected":true"#) {
        tokio::task::yield_now().await;
    }
    abort(&place, id).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
}

/// What comes of time need not be an end: the job waits on for its agent, and the rest of the run goes on.
#[tokio::test]
async fn a_branch_goes_on_while_another_waits() {
    let definition = "parallel a: { node('arm') { sh 'two' } }, b: { sleep 1\n node('linux') { sh 'three' } }";
    let Waiting { place, id, mut linux, mut arm, .. } = waiting(definition).await;
    let lease = linux.take(definition).await;
    assert_eq!(lease.run.0, id);
    let is_script = |message: &ToAgent, text: &str| matches!(message, ToAgent::Perform { request: Request::Exec { script, .. }, .. } if script.text == text);
    let ToAgent::Perform { id: asked, request, .. } = linux.work(|message| is_script(message, "three")).await else {
        unreachable!()
    };
    linux.answer(lease, asked, crate::agent::reply(&request)).await;
    // No job of a run waits for the place of a run.
    let there = async {
        let job = arm.take(definition).await;
        assert!(job.run.0 == id && job.job().is_some());
        all_of(&mut arm, job).await
    };
    let (here, there) = tokio::join!(all_of(&mut linux, lease), there);
    assert_eq!((here, there), (Vec::<String>::new(), vec!["two".to_owned()]));
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert!(place.log(id).await.contains("goes to another agent, which has label ‘arm’"));
}

/// Its agent is lost when it has been told to end: another one does what is done then.
#[tokio::test]
async fn what_is_aborted_is_lost_and_does_what_it_does_at_its_end() {
    let definition = "try { node { sh 'one' } } finally { node { sh 'after' } }";
    let place = Place::new().await;
    let key = place.enrol("linux").await;
    let mut linux = place.connect(&key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let id = place.trigger().await;
    linux.take(definition).await;
    linux.work(is_exec).await;
    abort(&place, id).await;
    linux.work(|message| matches!(message, ToAgent::Cancel { .. })).await;
    drop(linux);
    let mut linux = place.connect(&key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let lease = linux.take(definition).await;
    assert_eq!(all_of(&mut linux, lease).await, ["after"]);
    assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
}

/// The agent that it has come to is lost: what it had fails, and what nobody has had yet is waited for still.
#[tokio::test]
async fn what_nobody_had_is_not_lost() {
    let definition = "parallel a: { node('arm') { sh 'two' } }, b: { sleep 1\n node('linux') { sh 'three' } }";
    let Waiting { place, id, mut linux, linux_key, arm, .. } = waiting(definition).await;
    drop(arm);
    linux.take(definition).await;
    linux.work(is_exec).await;
    drop(linux);
    let mut linux = place.connect(&linux_key).await;
    linux.say(&hello("linux", Vec::new())).await;
    let lease = linux.take(definition).await;
    let mut here = Box::pin(all_of(&mut linux, lease));
    let coming = place.agent_with("arm-2", 1, &["arm"]);
    let mut arm = tokio::select! {
        _ = &mut here => panic!("it waits for an agent"),
        arm = coming => arm,
    };
    let there = async {
        let job = arm.take(definition).await;
        assert!(job.run.0 == id && job.job().is_some());
        all_of(&mut arm, job).await
    };
    let (here, there) = tokio::join!(here, there);
    assert_eq!((here, there), (Vec::<String>::new(), vec!["two".to_owned()]));
    let ended = place.wait_for_end(id).await;
    assert!(ended["message"].as_str().unwrap().contains("the agent that had this was lost"), "{ended}");
}
