//! Which run goes where, and why another waits.

use model::event::Event;
use model::ids::JobId;
use model::request::{Failure, FailureKind, Reply, Request};
use model::resources::Resources;
use model::rung::Rung;
use serde_json::{Value, json};
use wire::agent::{Definition, FromAgent, Item, Lease, Offers, ToAgent, VERSION};

use crate::agent::{Agent, Place, everything, is_exec, line};

impl Place {
    async fn put(&self, name: &str, more: Value) {
        let mut config = json!({ "source": { "folder": "/nowhere" } });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("PUT", &format!("/api/v1/projects/{name}"), config).await;
    }

    async fn trigger_of(&self, name: &str) -> u64 {
        self.ask("POST", &format!("/api/v1/projects/{name}/runs"), json!({})).await["id"].as_u64().unwrap()
    }

    pub async fn agent_with(&self, name: &str, runs: u32, labels: &[&str]) -> Agent {
        self.agent_that_offers(name, runs, labels, everything()).await
    }
}

/// Has a run end; its lease.
async fn whole_run(place: &Place, agent: &mut Agent) -> Lease {
    let lease = agent.take("echo 'done'").await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
    lease
}

#[tokio::test]
async fn a_herd_of_one_project_holds_up_no_other() {
    let place = Place::new().await;
    place.put("other", json!({})).await;
    let mut herd = Vec::new();
    for _ in 0..20 {
        herd.push(place.trigger().await);
    }
    let single = place.trigger_of("other").await;
    let mut agent = place.agent_with("one", 1, &[]).await;
    let first = whole_run(&place, &mut agent).await;
    assert_eq!(first.run.0, herd[0], "the oldest of equals");
    let second = whole_run(&place, &mut agent).await;
    assert_eq!(second.run.0, single, "who has had nothing goes before a herd");
    let third = agent.take("echo 'done'").await;
    assert_eq!(third.run.0, herd[1]);
    let why = place.waits(herd[2]).await;
    assert!(why.contains("taken") && why.contains("app"), "{why}");
}

#[tokio::test]
async fn a_label_finds_its_agents() {
    let place = Place::new().await;
    let unfit = json!({ "source": { "folder": "/nowhere" }, "label": "linux &&" });
    assert_eq!(place.as_admin("PUT", "/api/v1/projects/app", &unfit).await.0, 400);
    place.put("app", json!({ "label": "gpu && !arm" })).await;
    let id = place.trigger().await;
    let _plain = place.agent_with("plain", 1, &["linux"]).await;
    place.waits_for(id, "gpu").await;
    let mut fits = place.agent_with("fits", 1, &["gpu"]).await;
    assert_eq!(whole_run(&place, &mut fits).await.run.0, id);
}

#[tokio::test]
async fn limits_of_a_project_hold_and_can_be_changed() {
    let place = Place::new().await;
    place.put("app", json!({ "at_once": 1 })).await;
    let (first, second) = (place.trigger().await, place.trigger().await);
    let mut agent = place.agent_with("one", 4, &[]).await;
    let one = agent.take("node { sh 'make' }").await;
    assert_eq!(one.run.0, first);
    let why = place.waits(second).await;
    assert!(why.contains("at once") || why.contains("limit"), "{why}");
    place.put("app", json!({ "at_once": 2 })).await;
    let is_second = |message: &ToAgent| matches!(message, ToAgent::Lease { lease, .. } if lease.run.0 == second);
    agent.work(is_second).await;
}

/// Which agent has machines is known before a run is given to one, as far as what a run needs is.
#[tokio::test]
async fn a_run_that_needs_an_engine_leaves_an_agent_without() {
    let mut place = Place::new().await;
    let containers = || Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() };
    let mut plain = place.agent_that_offers("plain", 2, &[], containers()).await;
    let id = place.trigger().await;
    let lease = plain.take("echo 'so far'\nnode { sh 'docker build .' }").await;
    assert_eq!(lease.run.0, id);
    // Nothing of it is asked for there.
    plain.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == lease)).await;
    let why = place.waits_for(id, "engine:docker").await;
    assert!(why.contains("rung:microvm"), "{why}");
    // What it needs is known after a restart too, and one that knows nothing of engines gets another run meanwhile.
    place.restart().await;
    let mut plain = place.agent_that_offers("plain-2", 2, &[], containers()).await;
    let other = place.trigger().await;
    assert_eq!(whole_run(&place, &mut plain).await.run.0, other);
    place.waits_for(id, "engine:docker").await;
    // An agent may come by machines while it is there.
    plain.say(&FromAgent::Offers(everything())).await;
    let again = plain.take("echo 'so far'\nnode { sh 'docker build .' }").await;
    assert_eq!((again.run.0, again.epoch), (id, lease.epoch + 2), "one that it left with, and one that it comes with");
    plain.give_back(again).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert_eq!(place.log(id).await.matches("so far").count(), 1, "its journal went with it");
}

fn containers() -> Offers {
    Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() }
}

/// A run is to leave its agent, which says the last of what was done there first.
fn leaves(lease: Lease) -> impl FnMut(&ToAgent) -> bool {
    move |message| matches!(message, ToAgent::Release { lease: of, forget: false } if *of == lease)
}

/// Does what is asked until the run is to be given back; which scripts it was given.
async fn scripts(agent: &mut Agent, lease: Lease) -> Vec<String> {
    let mut scripts = Vec::new();
    let is_over = |message: &ToAgent| {
        if let ToAgent::Perform { request: Request::Exec { script, .. }, .. } = message {
            scripts.push(script.text.clone());
        }
        matches!(message, ToAgent::Release { lease: of, .. } if *of == lease)
    };
    agent.work(is_over).await;
    scripts
}

const TWO_JOBS: &str = "node { sh 'first' }\nnode { docker.image('a').inside('--privileged') { sh 'second' } }";

/// Between two jobs a run may go to where the next one can be: what it has stashed is the server's.
#[tokio::test]
async fn a_run_goes_on_where_its_next_job_can_be() {
    let place = Place::new().await;
    let mut plain = place.agent_that_offers("plain", 1, &[], containers()).await;
    let id = place.trigger().await;
    let lease = plain.take(TWO_JOBS).await;
    let mut machines = place.agent_that_offers("machines", 1, &[], everything()).await;
    plain.work(leaves(lease)).await;
    plain.say(&FromAgent::Report { lease, first: 0, items: vec![line("done there")] }).await;
    plain.work(|message| matches!(message, ToAgent::Kept { reported: 1, .. })).await;
    assert_eq!(place.run(id).await["status"], "running", "it has not said that this is all");
    plain.say(&FromAgent::Released { lease }).await;
    let again = machines.take(TWO_JOBS).await;
    assert_eq!((again.run.0, again.epoch), (id, lease.epoch + 2));
    assert_eq!(scripts(&mut machines, again).await, ["second"]);
    machines.say(&FromAgent::Released { lease: again }).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
    assert!(place.log(id).await.contains("done there"));
}

/// What its jobs that are over have needed is not asked for again.
#[tokio::test]
async fn a_run_goes_to_and_fro() {
    let place = Place::new().await;
    let definition = "node('linux') { sh 'one' }\nnode('arm') { sh 'two' }\nnode('linux') { sh 'three' }";
    let mut linux = place.agent_with("linux", 1, &["linux"]).await;
    let id = place.trigger().await;
    let lease = linux.take(definition).await;
    let mut arm = place.agent_with("arm", 1, &["arm"]).await;
    assert_eq!(scripts(&mut linux, lease).await, ["one"]);
    linux.say(&FromAgent::Released { lease }).await;
    let lease = arm.take(definition).await;
    assert_eq!(scripts(&mut arm, lease).await, ["two"]);
    arm.say(&FromAgent::Released { lease }).await;
    let lease = linux.take(definition).await;
    assert_eq!(scripts(&mut linux, lease).await, ["three"]);
    linux.say(&FromAgent::Released { lease }).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// Where nobody has what its next job needs, a run that has begun hears that, and waits for nobody.
#[tokio::test]
async fn a_run_leaves_for_somebody_and_not_for_nobody() {
    let place = Place::new().await;
    let mut plain = place.agent_that_offers("plain", 1, &[], containers()).await;
    let id = place.trigger().await;
    let lease = plain.take(TWO_JOBS).await;
    let asks = |message: &ToAgent| {
        matches!(message, ToAgent::Perform { request: Request::Allocate { engine: Some(_), .. }, .. })
    };
    let ToAgent::Perform { id: request, .. } = plain.work(asks).await else { panic!("no request") };
    let failure = Failure { kind: FailureKind::Infrastructure, message: "no machines here".into(), hint: None };
    plain.answer(lease, request, Reply::Failed(failure)).await;
    plain.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "FAILURE");
}

/// Nobody hears that all was said: the server is killed, or the agent, or somebody wants the run to end.
#[tokio::test]
async fn a_run_that_was_about_to_leave_leaves() {
    for killed in ["server", "agent", "run"] {
        let mut place = Place::new().await;
        let key = place.enrol("plain").await;
        let hello = |held: Vec<Lease>| FromAgent::Hello {
            version: VERSION,
            runs: 1,
            held,
            labels: Vec::new(),
            offers: containers(),
        };
        let mut plain = place.connect(&key).await;
        plain.say(&hello(Vec::new())).await;
        let id = place.trigger().await;
        let lease = plain.take(TWO_JOBS).await;
        let machines = place.agent_that_offers("machines", 1, &[], everything()).await;
        plain.work(leaves(lease)).await;
        if killed == "run" {
            place.ask("POST", &format!("/api/v1/runs/{id}/abort"), Value::Null).await;
            plain.work(|message| matches!(message, ToAgent::Tell { .. })).await;
            plain.say(&FromAgent::Released { lease }).await;
            // Its engine hears that, wherever.
            let mut machines = machines;
            let (agent, lease) = tokio::select! {
                lease = plain.take(TWO_JOBS) => (&mut plain, lease),
                lease = machines.take(TWO_JOBS) => (&mut machines, lease),
            };
            assert_eq!(scripts(agent, lease).await, Vec::<String>::new());
            agent.say(&FromAgent::Released { lease }).await;
            assert_eq!(place.wait_for_end(id).await["outcome"], "ABORTED");
            continue;
        }
        drop(machines);
        if killed == "server" {
            place.restart().await;
            // It has all of it still, and says what is heard once more.
            let mut plain = place.connect(&key).await;
            plain.say(&hello(vec![lease])).await;
            let found = Definition { text: TWO_JOBS.into(), ..Definition::default() };
            plain.say(&FromAgent::Found { lease, definition: Ok(found) }).await;
            plain.work(leaves(lease)).await;
        }
        // It comes back, and has given all of it back before.
        let mut plain = place.connect(&key).await;
        plain.say(&hello(Vec::new())).await;
        place.waits_for(id, "engine:docker").await;
        let mut machines = place.agent_that_offers("machines-2", 1, &[], everything()).await;
        let again = machines.take(TWO_JOBS).await;
        assert_eq!((again.run.0, scripts(&mut machines, again).await), (id, vec!["second".to_owned()]));
        machines.say(&FromAgent::Released { lease: again }).await;
        assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS", "{killed}");
    }
}

/// Its sandbox is there; elsewhere it would be another run.
#[tokio::test]
async fn a_run_that_has_begun_stays_and_hears_what_is_lacking() {
    let place = Place::new().await;
    let containers = Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() };
    let mut plain = place.agent_that_offers("plain", 1, &[], containers).await;
    let _machines = place.agent_that_offers("machines", 0, &[], everything()).await;
    let id = place.trigger().await;
    let lease = plain.take("node { sh 'make'\nnode { docker.image('a').inside('--privileged') { sh 'make' } } }").await;
    let wants_engine = |message: &ToAgent| {
        matches!(message, ToAgent::Perform { request: Request::Allocate { engine: Some(_), .. }, .. })
    };
    let ToAgent::Perform { id: request, .. } = plain.work(wants_engine).await else { panic!("no request") };
    let failure = Failure { kind: FailureKind::Infrastructure, message: "no machines here".into(), hint: None };
    plain.answer(lease, request, Reply::Failed(failure)).await;
    plain.give_back(lease).await;
    let ended = place.wait_for_end(id).await;
    assert_eq!(ended["outcome"], "FAILURE");
    assert!(ended["message"].as_str().unwrap().contains("no machines here"), "{ended}");
}

/// What a definition asks for as Jenkins' authors do; a label that no agent has is of no meaning here.
#[tokio::test]
async fn a_label_of_a_definition_finds_its_agent() {
    let place = Place::new().await;
    let mut plain = place.agent_with("plain", 2, &["linux"]).await;
    let nobodys = place.trigger().await;
    let lease = plain.take("node('nowhere-else') { sh 'make' }").await;
    plain.give_back(lease).await;
    assert_eq!(place.wait_for_end(nobodys).await["outcome"], "SUCCESS");
    let mut arm = place.agent_with("arm", 1, &["linux", "arm"]).await;
    let id = place.trigger().await;
    let definition = "node('linux && arm') { sh 'make' }";
    // It has more room.
    let lease = plain.take(definition).await;
    plain.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == lease)).await;
    let lease = arm.take(definition).await;
    assert_eq!(lease.run.0, id);
    arm.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// It would wait for an agent that is nowhere: one has the label, another what else the run asks for.
#[tokio::test]
async fn a_label_of_a_definition_goes_with_all_else_that_is_asked_for() {
    let place = Place::new().await;
    place.put("app", json!({ "label": "gpu" })).await;
    let mut gpu = place.agent_with("gpu", 1, &["gpu"]).await;
    let mut arm = place.agent_with("arm", 1, &["arm"]).await;
    let id = place.trigger().await;
    let lease = gpu.take("node('arm') { sh 'make' }").await;
    gpu.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");

    // An engine is here, the label there.
    place.put("app", json!({})).await;
    let containers = Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() };
    let mut sparc = place.agent_that_offers("sparc", 8, &["sparc"], containers).await;
    let id = place.trigger().await;
    let definition = "node('arm || sparc') { sh 'docker build .' }";
    // Of those with the label one has no engine: the other is meant.
    let lease = sparc.take(definition).await;
    sparc.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == lease)).await;
    // Another has an engine, a smaller id and as much room, but not the label.
    let lease = arm.take(definition).await;
    assert_eq!(lease.run.0, id);
    arm.give_back(lease).await;
    assert_eq!(place.wait_for_end(id).await["outcome"], "SUCCESS");
}

/// What an agent has is what it says that it has, and not what somebody has called it.
#[tokio::test]
async fn nobody_is_given_an_engine_by_a_label() {
    let place = Place::new().await;
    let containers = || Offers { rungs: vec![Rung::Process, Rung::Container], ..Offers::default() };
    let labels = ["engine:docker", "rung:microvm"];
    let mut plain = place.agent_that_offers("plain", 1, &labels, containers()).await;
    let id = place.trigger().await;
    let lease = plain.take("node { sh 'docker build .' }").await;
    plain.work(|message| matches!(message, ToAgent::Release { lease: of, forget: true } if *of == lease)).await;
    let why = place.waits_for(id, "engine:docker").await;
    assert!(why.contains("would if it had"), "{why}");
}

#[tokio::test]
async fn a_run_goes_where_its_project_has_its_image() {
    let place = Place::new().await;
    let with = |digest: &str| Offers { images: vec![digest.to_owned()], ..everything() };
    let mut first = place.agent_that_offers("first", 1, &[], with("sha256:one")).await;
    place.trigger().await;
    let lease = first.take("node { sh 'make' }").await;
    first.work(is_exec).await;
    let started = Event::JobStarted {
        job: JobId(1),
        rung: Rung::Container,
        driver: "container".into(),
        why: String::new(),
        image: Some("registry.example/app@sha256:two".into()),
        took_us: Vec::new(),
    };
    let items = vec![Item::Event { at: 1, event: started }];
    first.say(&FromAgent::Report { lease, first: 0, items }).await;
    first.work(|message| matches!(message, ToAgent::Kept { reported: 1, .. })).await;
    // More room is elsewhere, and a smaller id.
    let _roomy = place.agent_that_offers("roomy", 4, &[], with("sha256:one")).await;
    let mut has = place.agent_that_offers("has", 1, &[], with("sha256:two")).await;
    let id = place.trigger().await;
    assert_eq!(has.take("echo 'done'").await.run.0, id);
}

/// A server that is another one knows who has which place.
#[tokio::test]
async fn places_outlive_a_server() {
    let mut place = Place::new().await;
    let (first, second) = (place.trigger().await, place.trigger().await);
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make' }").await;
    assert_eq!(lease.run.0, first);
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(|message| matches!(message, ToAgent::Perform { .. })).await;
    let why = place.waits(second).await;
    assert!(why.contains("taken"), "the only place is: {why}");
    assert_eq!(place.run(second).await["status"], "queued");
}

fn is_lease_of(run: u64) -> impl FnMut(&ToAgent) -> bool {
    move |message| matches!(message, ToAgent::Lease { lease, .. } if lease.run.0 == run)
}

/// Memory is counted like places: a run that wants much of it waits for an agent that has it free, and says so.
#[tokio::test]
async fn a_large_run_waits_for_memory() {
    let place = Place::new().await;
    let large = json!({ "source": { "folder": "/nowhere" }, "memory_mib": 6000, "cpu_millis": 1500 });
    place.ask("PUT", "/api/v1/projects/large", large).await;
    let resources = Resources { memory_mib: 8000, cpu_millis: 4000 };
    let mut agent = place.agent_that_offers("one", 4, &[], Offers { resources, ..everything() }).await;
    let first = place.trigger().await;
    // Which goes on until it is ended, whatever the agent does for others.
    let of_first = agent.take("sleep 100000").await;
    assert_eq!(of_first.run.0, first);
    let trigger = async || place.ask("POST", "/api/v1/projects/large/runs", json!({})).await["id"].as_u64().unwrap();
    let second = trigger().await;
    let leased = agent.work(is_lease_of(second)).await;
    let uses = Resources { memory_mib: 6000, cpu_millis: 1500 };
    assert!(matches!(leased, ToAgent::Lease { resources, .. } if resources == uses), "{leased:?}");
    let third = trigger().await;
    let why = place.waits_for(third, "6000 MiB").await;
    assert!(why.contains("1.5 processors, which no agent that fits has free now (app 1, large 1)"), "{why}");
    // One that says nothing of what it has takes it.
    let mut other = place.agent_that_offers("two", 1, &[], everything()).await;
    other.work(is_lease_of(third)).await;
    // There are places, and all memory is taken.
    let small = place.trigger().await;
    place.waits_for(small, "as much as each place has").await;
    place.ask("POST", &format!("/api/v1/runs/{first}/abort"), json!({})).await;
    agent.give_back(of_first).await;
    agent.work(is_lease_of(small)).await;
    let (status, said) =
        place.as_admin("PUT", "/api/v1/projects/none", &json!({ "source": { "folder": "/x" }, "memory_mib": 1 })).await;
    assert_eq!(status, 400, "{said}");
    let listed = place.ask("GET", "/api/v1/agents", Value::Null).await;
    assert_eq!((&listed["agents"][0]["memory_mib"], &listed["agents"][0]["cpu_millis"]), (&json!(8000), &json!(4000)));
}

#[tokio::test]
async fn what_is_more_urgent_goes_first_among_its_projects_runs() {
    let place = Place::new().await;
    let mut asked = Vec::new();
    for priority in [0, -5, 7] {
        let run = place.ask("POST", "/api/v1/projects/app/runs", json!({ "priority": priority })).await;
        assert_eq!(run["priority"], priority);
        asked.push(run["id"].as_u64().unwrap());
    }
    let mut agent = place.agent_with("one", 1, &[]).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(whole_run(&place, &mut agent).await.run.0);
    }
    assert_eq!(order, [asked[2], asked[0], asked[1]]);
    let again = place.ask("POST", &format!("/api/v1/runs/{}/rerun", asked[2]), json!({})).await;
    assert_eq!(again["priority"], 7);
    let (status, _) = place.as_admin("POST", "/api/v1/projects/app/runs", &json!({ "priority": 101 })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn who_has_waited_too_long_is_ended() {
    let place = Place::new().await;
    // At once, then.
    place.put("app", json!({ "queue_minutes": 0 })).await;
    let run = place.trigger().await;
    let ended = place.wait_for_end(run).await;
    assert_eq!(ended["outcome"], "ABORTED");
    assert!(ended["message"].as_str().unwrap().contains("waited"), "{ended}");
    place.put("app", json!({ "queue_minutes": 60 })).await;
    let run = place.trigger().await;
    let why = place.waits_for(run, "no agent").await;
    assert!(!why.is_empty());
}
