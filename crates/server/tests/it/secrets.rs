//! What a run was given in confidence is shown to nobody.

use axum::http::StatusCode;
use model::event::{Event, LogSource};
use model::ids::StepId;
use model::outcome::Outcome;
use serde_json::{Value, json};
use wire::agent::{FromAgent, Item, LogLine, ToAgent};

use crate::agent::{Place, is_exec, line};

const SECRET: &str = "correct-horse-battery";
const OF_LIBRARY: &str = "staple-of-the-library";
const DEPLOYS: &str = "pipeline {
    agent any
    options { skipDefaultCheckout() }
    parameters { password(name: 'TOKEN', defaultValue: '', description: 'of the shop'); string(name: 'WHERE') }
    stages { stage('s') { steps { echo \"with ${params.TOKEN} to ${params.WHERE}\"; sh 'deploy'; error \"no ${params.TOKEN}\" } } }
}";

fn event(event: Event) -> Item {
    Item::Event { at: 1, event }
}

#[tokio::test]
async fn passwords_are_in_no_log_and_no_answer() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let params = json!({ "params": { "TOKEN": SECRET, "WHERE": "the shop" } });
    let run = place.ask("POST", "/api/v1/projects/app/runs", params.clone()).await["id"].as_u64().unwrap();
    let lease = agent.take(DEPLOYS).await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { unreachable!() };
    let items = vec![
        line(&format!("curl -H 'Authorization: {SECRET}' shop")),
        line("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5 is the same"),
        event(Event::StepStarted {
            step: StepId(90),
            stage: None,
            name: "sh".into(),
            label: Some(format!("login {SECRET}")),
        }),
        event(Event::StepFinished {
            step: StepId(90),
            outcome: Outcome::Failure,
            message: Some(format!("{SECRET} is wrong")),
        }),
    ];
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.work(|message| matches!(message, ToAgent::Kept { .. })).await;

    // A server that begins with what is written down knows it too.
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    agent.work(is_exec).await;
    let more = LogLine { at: 2, step: None, stage: None, source: LogSource::Stderr, text: format!("again {SECRET}") };
    agent.say(&FromAgent::Report { lease, first: 4, items: vec![Item::Line(more)] }).await;
    agent.answer(lease, id, model::request::Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    let ended = place.wait_for_end(run).await;
    assert_eq!(ended["outcome"], "FAILURE");
    assert!(ended["message"].as_str().unwrap().contains("no ****"), "{ended}");
    assert_eq!(ended["params"], json!([["TOKEN", "…"], ["WHERE", "the shop"]]));
    let log = place.log(run).await;
    for said in ["with **** to the shop", "curl -H 'Authorization: ****' shop", "**** is the same", "again ****"] {
        assert!(log.contains(said), "{said}: {log}");
    }

    // The next one is known to have a password before it says so: nobody sees it, wherever they look.
    let next = place.ask("POST", "/api/v1/projects/app/runs", params).await;
    assert_eq!(next["params"][0], json!(["TOKEN", "…"]));
    let again = place.ask("POST", &format!("/api/v1/runs/{run}/rerun"), json!({})).await;
    assert_eq!(again["params"][0], json!(["TOKEN", "…"]));
    let all = place.ask("GET", "/api/v1/runs", Value::Null).await;
    let events = place.ask("GET", &format!("/api/v1/runs/{run}/events"), Value::Null).await;
    let audit = place.ask("GET", "/api/v1/audit", Value::Null).await;
    let jenkins = place.jenkins("GET", &format!("/job/app/{}/api/json", next["number"])).await;
    assert_eq!(jenkins.status, StatusCode::OK);
    let action = &jenkins.body["actions"][1]["parameters"];
    assert_eq!(action[0], json!({ "_class": "hudson.model.PasswordParameterValue", "name": "TOKEN" }));
    let person = json!({ "password": "a long enough password", "grants": ["reader"] });
    place.ask("PUT", "/api/v1/people/reader", person).await;
    let reader = place.log_in("reader", "a long enough password").await;
    let (_, page) = place.page(&format!("/runs/{run}"), reader.as_deref()).await;
    assert!(page.contains("with **** to the shop"), "{page}");
    let pages = [all.to_string(), events.to_string(), audit.to_string(), jenkins.body.to_string(), page, log];
    for text in pages {
        assert!(!text.contains(SECRET) && !text.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{text}");
    }

    // What it began with it begins with again.
    let lease = agent.take(DEPLOYS).await;
    let ToAgent::Perform { request, .. } = agent.work(is_exec).await else { unreachable!() };
    assert!(format!("{request:?}").contains(SECRET), "whoever deploys has it");
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("bye")] }).await;
}

#[tokio::test]
async fn what_a_repository_is_fetched_with_is_in_no_log() {
    let place = Place::new().await;
    let login = |password: &str| json!({ "user": "ci", "password": password });
    let source = json!({ "git": { "url": "https://git.example/app.git", "branch": "main", "login": login(SECRET) } });
    let libraries = json!([{ "name": "tools", "url": "https://git.example/tools.git", "login": login(OF_LIBRARY) }]);
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": source, "libraries": libraries })).await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let run = place.trigger().await;
    let lease = agent.take("node { sh 'make' }").await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { unreachable!() };
    let items = [SECRET, OF_LIBRARY].map(|password| line(&format!("https://ci:{password}@git.example"))).to_vec();
    agent.say(&FromAgent::Report { lease, first: 0, items }).await;
    agent.answer(lease, id, model::request::Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    place.wait_for_end(run).await;
    let log = place.log(run).await;
    assert_eq!(log.matches("https://ci:****@git.example").count(), 2, "{log}");
}

#[tokio::test]
async fn what_a_run_asks_shows_no_password() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let params = json!({ "params": { "TOKEN": SECRET } });
    let run = place.ask("POST", "/api/v1/projects/app/runs", params).await["id"].as_u64().unwrap();
    let text = "pipeline { agent none
        parameters { password(name: 'TOKEN', defaultValue: ''); string(name: 'OLD', defaultValue: params.TOKEN ?: '') }
        stages { stage('s') { steps { input message: \"with ${params.TOKEN}?\", parameters: [string(name: 'A', defaultValue: params.TOKEN), password(name: 'PIN')]
            echo 'goes on' } } } }";
    let lease = agent.take(text).await;
    let questions = async || place.ask("GET", &format!("/api/v1/runs/{run}/questions"), Value::Null).await;
    let asked = tokio::select! {
        asked = async {
            loop {
                let asked = questions().await;
                if asked["questions"][0].is_object() {
                    break asked;
                }
                tokio::task::yield_now().await;
            }
        } => asked,
        other = agent.work(|_| false) => panic!("{other:?}"),
    };
    let question = &asked["questions"][0];
    assert_eq!((&question["message"], &question["parameters"][0]["default"]), (&"with ****?".into(), &"****".into()));
    assert_eq!(
        (&question["parameters"][0]["hidden"], &question["parameters"][1]["hidden"]),
        (&false.into(), &true.into())
    );
    let branches = place.ask("GET", "/api/v1/projects/app/branches", Value::Null).await;
    assert!(!branches.to_string().contains(SECRET), "{branches}");
    let said = json!({ "proceed": true, "values": { "A": "in the clear", "PIN": "only-for-you" } });
    place.ask("POST", &format!("/api/v1/runs/{run}/questions/{}", question["number"]), said).await;
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("has only-for-you")] }).await;
    agent.give_back(lease).await;
    place.wait_for_end(run).await;
    let audit = place.ask("GET", "/api/v1/audit", Value::Null).await.to_string();
    assert!(audit.contains("in the clear") && !audit.contains("only-for-you"), "{audit}");
    let log = place.log(run).await;
    assert!(log.contains("has ****"), "{log}");
}

const MASKS: &str =
    "node { wrap([$class: 'MaskPasswordsBuildWrapper', varPasswordPairs: [[password: 'found-out-by-a-script']]]) {
    echo 'it is found-out-by-a-script'; sh 'deploy' } }";

/// Also by a server that begins again: it is known of the run, and written down nowhere else.
#[tokio::test]
async fn what_a_script_masks_is_shown_nowhere() {
    let mut place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let run = place.ask("POST", "/api/v1/projects/app/runs", json!({})).await["id"].as_u64().unwrap();
    let lease = agent.take(MASKS).await;
    agent.work(is_exec).await;
    drop(agent);
    place.restart().await;
    let mut agent = place.agent(&key, &[lease]).await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { unreachable!() };
    agent.say(&FromAgent::Report { lease, first: 0, items: vec![line("curl found-out-by-a-script")] }).await;
    agent.answer(lease, id, model::request::Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    assert_eq!(place.wait_for_end(run).await["outcome"], "SUCCESS");
    let log = place.log(run).await;
    assert!(log.contains("it is ****") && log.contains("curl ****"), "{log}");
    let events = place.ask("GET", &format!("/api/v1/runs/{run}/events"), Value::Null).await;
    assert!(![log, events.to_string()].iter().any(|text| text.contains("found-out-by-a-script")));
}

/// More than a run may have masked ends it, and is no way to have a server keep anything.
#[tokio::test]
async fn a_run_has_few_texts_masked() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    let run = place.ask("POST", "/api/v1/projects/app/runs", json!({})).await["id"].as_u64().unwrap();
    let lease = agent
        .take("maskPasswords(varPasswordPairs: (1..201).collect { [password: \"text-$it\"] }) { echo 'on' }")
        .await;
    agent.give_back(lease).await;
    let ended = place.wait_for_end(run).await;
    assert_eq!(ended["outcome"], "FAILURE");
    assert!(ended["message"].as_str().unwrap().contains("texts masked"), "{ended}");
}
