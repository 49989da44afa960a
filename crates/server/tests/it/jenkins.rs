//! What tools for Jenkins ask, and are answered.

use model::request::Reply;
use model::request::{Failure, FailureKind};
use serde_json::{Value, json};
use wire::agent::{Check, Checked, FromAgent, ToAgent};
use wire::engine::Finding;

use crate::agent::{Place, is_exec};

#[tokio::test]
async fn a_build_from_its_trigger_to_its_log() {
    let place = Place::new().await;
    place.ask("PUT", "/api/v1/projects/folder%2Fapp", json!({ "source": { "folder": "/nowhere" } })).await;
    let key = place.enrol("one").await;
    let crumb = place.jenkins("GET", "/crumbIssuer/api/json").await;
    assert_eq!(crumb.body["crumbRequestField"], "Jenkins-Crumb");
    let crumb = place.jenkins("GET", "/crumbIssuer/api/xml").await.text;
    assert!(crumb.contains("<crumbRequestField>Jenkins-Crumb</crumbRequestField>"), "{crumb}");
    let of_scripts = "/crumbIssuer/api/xml?xpath=concat(//crumbRequestField,%22:%22,//crumb)";
    assert_eq!(place.jenkins("GET", of_scripts).await.text, "Jenkins-Crumb:none-needed");
    let says = place.request("GET", "/login").send().await.unwrap();
    assert!(says.headers().contains_key("x-jenkins"), "{says:?}");

    let asked = place.jenkins("POST", "/job/folder/job/app/buildWithParameters?WHO=a+b&token=x").await;
    assert_eq!(asked.status, 201);
    let item = asked.location.expect("where the item is");
    let item = item.split_once("/queue/").map(|(_, rest)| format!("/queue/{rest}api/json")).unwrap();
    // It says why once the line has heard of it, a moment later.
    let mut waits = Value::Null;
    for _ in 0..1000 {
        waits = place.jenkins("GET", &item).await.body;
        if waits["why"].as_str().is_some_and(|why| why.contains("no agent")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let why = waits["why"].as_str().unwrap_or_default();
    assert!(waits["executable"].is_null() && why.contains("no agent"), "{waits}");

    let mut agent = place.agent(&key, &[]).await;
    let lease = agent.take("node { sh 'make'; echo 'said' }").await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { panic!() };
    let executable = place.jenkins("GET", &item).await.body["executable"].clone();
    assert_eq!(executable["number"], 1);
    assert!(executable["url"].as_str().unwrap().ends_with("/job/folder/job/app/1/"), "{executable}");
    let first = place.jenkins("GET", "/job/folder/job/app/1/logText/progressiveText?start=0").await;
    assert!(first.more && first.size > 0, "it is not at its end");
    agent.answer(lease, id, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;

    let rest =
        place.jenkins("GET", &format!("/job/folder/job/app/1/logText/progressiveText?start={}", first.size)).await;
    assert!(!rest.more);
    let whole = place.jenkins("GET", "/job/folder/job/app/lastBuild/consoleText").await.text;
    assert_eq!(format!("{}{}", first.text, rest.text), whole);
    assert!(whole.contains("\nsaid\n"), "{whole}");

    let build = place.jenkins("GET", "/job/folder/job/app/lastSuccessfulBuild/api/json").await.body;
    assert_eq!((&build["result"], &build["building"], &build["number"]), (&"SUCCESS".into(), &false.into(), &1.into()));
    let params = build["actions"].as_array().unwrap().iter().find_map(|action| action["parameters"].as_array());
    assert_eq!(params, Some(&vec![json!({ "name": "WHO", "value": "a b" })]));
    let job = place.jenkins("GET", "/job/folder/job/app/api/json").await.body;
    assert_eq!((&job["color"], &job["lastBuild"]["number"]), (&"blue".into(), &1.into()), "{job}");
    let jobs = place.jenkins("GET", "/api/json").await.body["jobs"].clone();
    assert!(jobs.as_array().unwrap().iter().any(|job| job["name"] == "folder/app"), "{jobs}");
    let cc = place.jenkins("GET", "/cc.xml").await.text;
    assert!(cc.contains("name=\"folder/app\" activity=\"Sleeping\" lastBuildStatus=\"Success\""), "{cc}");
    assert!(place.jenkins("GET", "/buildStatus/icon?job=folder%2Fapp").await.text.contains("passing"));
    let metrics = place.jenkins("GET", "/metrics").await.text;
    for line in [
        "cicd_pipeline_run_active{cicd_pipeline_name=\"folder/app\",cicd_pipeline_run_state=\"executing\"} 0",
        "cicd_worker_count{cicd_worker_state=\"available\"} 1",
        "cofferdam_queue_wait_seconds_count 1",
        "cicd_pipeline_run_duration_seconds_bucket{cicd_pipeline_name=\"folder/app\",cicd_pipeline_result=\"success\",cicd_pipeline_run_state=\"executing\",le=\"+Inf\"} 1",
        "cicd_pipeline_run_duration_seconds_count{cicd_pipeline_name=\"folder/app\",cicd_pipeline_result=\"success\",cicd_pipeline_run_state=\"pending\"} 1",
        "cicd_system_errors_total{cicd_system_component=\"agent\",error_type=\"lost\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "`{line}` is not in:\n{metrics}");
    }
}

#[tokio::test]
async fn a_build_is_stopped_and_what_is_not_there_is_said() {
    let place = Place::new().await;
    place.jenkins("POST", "/job/app/build").await;
    assert_eq!(place.jenkins("POST", "/job/app/1/stop").await.status, 200);
    assert_eq!(place.run(1).await["outcome"], "ABORTED");
    // It has ended where it waited: that it was in no other state is said too.
    let metrics = place.jenkins("GET", "/metrics").await.text;
    let durations = metrics.lines().filter(|line| line.starts_with("cicd_pipeline_run_duration_seconds_count"));
    let label = "cicd_pipeline_name=\"app\",cicd_pipeline_result=\"cancellation\",cicd_pipeline_run_state=\"pending\"";
    assert_eq!(durations.collect::<Vec<_>>(), [format!("cicd_pipeline_run_duration_seconds_count{{{label}}} 1")]);
    for path in
        ["/job/none/api/json", "/job/app/7/api/json", "/job/app/lastStableBuild/api/json", "/job/app/config.xml"]
    {
        assert_eq!(place.jenkins("GET", path).await.status, 404, "{path}");
    }
    let nobody = place.jenkins_as("GET", "/job/app/api/json", "admin:wrong").await;
    assert_eq!(nobody.status, 401);
    assert_eq!(place.jenkins_as("POST", "/job/app/build", "admin:wrong").await.status, 401);
}

/// An agent reads it, in an engine: nothing of it is read here, and nothing is run.
#[tokio::test]
async fn a_definition_is_validated() {
    let place = Place::new().await;
    let token = place.admin();
    let path = "/pipeline-model-converter/validate";
    let send = async |kind: &str, body: String| {
        let request = place.request("POST", path).basic_auth("anybody", Some(&token)).header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let of_curl = |field: &str, text: &str| {
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        ("multipart/form-data; boundary=x", format!("{head}{text}\r\n--x--\r\n"))
    };
    let (kind, body) = of_curl("jenkinsfile", "pipeline { }");
    let (status, said) = send(kind, body.clone()).await;
    assert!(status == 503 && said.contains("no agent"), "{status} {said}");
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    while place.ask("GET", "/api/v1/agents", Value::Null).await["agents"][0]["connected"] != true {}
    let is_check = |message: &ToAgent| matches!(message, ToAgent::Check { .. });
    let finding =
        Finding { is_error: true, start: 0, end: 8, message: "Missing required section \"agent\"".into(), hint: None };
    for (sent, findings, expect) in [
        ((kind, body), Ok(vec![finding]), "Errors encountered validating Jenkinsfile:\nWorkflowScript: 1: Missing"),
        (
            ("application/x-www-form-urlencoded", "jenkinsfile=pipeline+%7B+%7D".to_owned()),
            Ok(vec![]),
            "successfully validated",
        ),
        (
            of_curl("jenkinsfile", "pipeline { }"),
            Err(Failure { kind: FailureKind::Infrastructure, message: "no engine".into(), hint: None }),
            "no engine",
        ),
    ] {
        let answers = async {
            let ToAgent::Check { id, what } = agent.work(is_check).await else { panic!() };
            assert_eq!(what, Check::Text("pipeline { }".into()));
            // What nobody has asked for is heard by nobody.
            agent.say(&FromAgent::Checked { id: id + 7, found: Ok(Checked::Findings(Vec::new())) }).await;
            agent.say(&FromAgent::Checked { id, found: findings.map(Checked::Findings) }).await;
        };
        let ((_, said), ()) = tokio::join!(send(sent.0, sent.1), answers);
        assert!(said.contains(expect), "{said}");
    }
    let (kind, body) = of_curl("other", "pipeline { }");
    assert_eq!(send(kind, body).await.0, 400);
    assert_eq!(send("text/plain", "pipeline { }".into()).await.0, 400);
    let nobody = place.request("POST", path).body("jenkinsfile=x").send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub size: u64,
    pub more: bool,
    pub text: String,
    pub body: Value,
}

impl Place {
    pub async fn jenkins(&self, method: &str, path: &str) -> Answer {
        let token = std::fs::read_to_string(self.folder.path().join("token")).unwrap();
        self.jenkins_as(method, path, &format!("anybody:{}", token.trim())).await
    }

    async fn jenkins_as(&self, method: &str, path: &str, who: &str) -> Answer {
        let (user, password) = who.split_once(':').unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.server.as_ref().unwrap().address);
        let request = http.request(method.parse().unwrap(), url).basic_auth(user, Some(password));
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, more) = (header("location"), header("x-more-data").is_some());
        let size = header("x-text-size").and_then(|size| size.parse().ok()).unwrap_or(0);
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, location, size, more, text, body }
    }
}

/// As a form sends them, and with others beside.
#[tokio::test]
async fn parameters_come_as_json_too() {
    let place = Place::new().await;
    let token = place.admin();
    let build = async |form: &str| {
        let request = place.request("POST", "/job/app/build").basic_auth("anybody", Some(&token));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    let json = "%7B%22parameter%22%3A+%5B%7B%22name%22%3A+%22WHO%22%2C+%22value%22%3A+%22a+b%22%7D%5D%7D";
    assert_eq!(build(&format!("MORE=c&json={json}&Submit=Build")).await, 201);
    let build_1 = place.jenkins("GET", "/job/app/1/api/json").await.body;
    let params = build_1["actions"].as_array().unwrap().iter().find_map(|action| action["parameters"].as_array());
    let expect = json!([{ "name": "MORE", "value": "c" }, { "name": "WHO", "value": "a b" }]);
    assert_eq!(params, expect.as_array());
    assert_eq!(build("json=%7B").await, 400, "nothing is run without what was said");
    assert_eq!(place.jenkins("GET", "/job/app/2/api/json").await.status, 404);
}

/// Where a project says so, everybody sees how it stands, and nothing else.
#[tokio::test]
async fn a_badge_may_be_for_everybody() {
    let place = Place::new().await;
    let source = json!({ "folder": "/nowhere" });
    place.ask("PUT", "/api/v1/projects/open", json!({ "source": source, "public_badge": true })).await;
    let as_nobody = async |path: &str| {
        let answer = place.request("GET", path).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/buildStatus/icon?job=open", "/job/open/badge/icon", "/job/open/lastBuild/badge/icon"] {
        let (status, badge) = as_nobody(path).await;
        assert!(status == 200 && badge.contains("not run"), "{path}: {status} {badge}");
    }
    for path in ["/job/open/api/json", "/buildStatus/icon?job=app", "/job/app/badge/icon"] {
        assert_eq!(as_nobody(path).await.0, 401, "{path}");
    }
    // It is of the project's own branch: what a stranger sends is none of it.
    let key = place.enrol("one").await;
    let mut agent = place.agent(&key, &[]).await;
    for (body, text) in [(json!({}), "echo 'well'"), (json!({ "revision": "topic" }), "error 'bad'")] {
        place.ask("POST", "/api/v1/projects/open/runs", body).await;
        let lease = agent.take(text).await;
        agent.give_back(lease).await;
        place.wait_for_end(lease.run.0).await;
    }
    assert!(as_nobody("/job/open/badge/icon").await.1.contains("passing"));
    // Whether there is such a one nobody learns.
    assert_eq!(as_nobody("/job/none/badge/icon").await, as_nobody("/job/app/badge/icon").await);
    assert_eq!(place.jenkins("GET", "/job/app/badge/icon").await.status, 200);
    assert_eq!(place.jenkins("GET", "/job/none/badge/icon").await.status, 404);
}

/// As in Jenkins' multibranch projects: each branch, tag and pull request is a job in its project.
#[tokio::test]
async fn branches_are_jobs_of_their_own() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let git = json!({ "git": { "url": "https://git.example/app.git", "branch": "main" } });
    let config = json!({ "source": git, "poll_minutes": 60, "public_badge": true });
    place.ask("PUT", "/api/v1/projects/team%2Fapp", config).await;
    let mut agent = place.agent(&key, &[]).await;
    let mut numbers = Vec::new();
    // Not in its branch, it would be the fix of what failed elsewhere.
    for (revision, text) in [
        (Value::Null, "error 'no'"),
        ("feature/a b".into(), "pipeline { agent none; stages { stage('s') { steps { echo \"${JOB_NAME}|${JOB_BASE_NAME}|${BRANCH_NAME}|${BUILD_URL}\" } } }
                post { fixed { echo 'it is fixed' } } }"),
        ("refs/tags/v1".into(), "echo env.JOB_NAME"),
        ("feature/a b".into(), "currentBuild.result = 'UNSTABLE'"),
    ] {
        let body = if revision.is_null() { json!({}) } else { json!({ "revision": revision }) };
        let run = place.ask("POST", "/api/v1/projects/team%2Fapp/runs", body).await;
        let lease = agent.take(text).await;
        agent.give_back(lease).await;
        place.wait_for_end(lease.run.0).await;
        numbers.push((run["id"].as_u64().unwrap(), run["number"].as_u64().unwrap()));
    }
    let ((main, _), (feature, second), (tag, third), (_, last)) = (numbers[0], numbers[1], numbers[2], numbers[3]);
    assert_eq!((second, third, last), (2, 3, 4), "numbers are the project's");
    let log = place.log(feature).await;
    let said = "team/app/feature%2Fa b|feature%2Fa b|feature/a b|";
    assert!(log.contains(said) && log.contains("/job/team/job/app/job/feature%252Fa%20b/2/"), "{log}");
    assert!(!log.contains("it is fixed"), "{log}");
    assert!(place.log(tag).await.contains("team/app/v1"));
    assert!(place.log(main).await.contains("no"));

    let job = "/job/team/job/app/job/feature%252Fa%20b";
    let of = place.jenkins("GET", &format!("{job}/api/json")).await.body;
    assert_eq!(
        (&of["name"], &of["displayName"], &of["color"]),
        (&"feature%2Fa b".into(), &"feature/a b".into(), &"yellow".into())
    );
    let listed: Vec<_> = of["builds"].as_array().unwrap().iter().map(|build| build["number"].clone()).collect();
    assert_eq!(json!([listed, of["lastStableBuild"]["number"], of["lastFailedBuild"]]), json!([[4, 2], 2, null]));
    let url = of["lastBuild"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("{job}/4/")), "{url}");
    let main_job = place.jenkins("GET", "/job/team/job/app/job/main/lastBuild/api/json").await.body;
    assert_eq!((&main_job["number"], &main_job["result"]), (&1.into(), &"FAILURE".into()), "where nobody says which");
    let whole = place.jenkins("GET", "/job/team/job/app/api/json").await.body;
    let jobs: Vec<_> = whole["jobs"].as_array().unwrap().iter().map(|job| job["name"].clone()).collect();
    assert_eq!((json!(jobs), &whole["lastBuild"]["number"]), (json!(["feature%2Fa b", "v1", "main"]), &4.into()));
    for wrong in [
        "/job/team/job/app/job/main/2/api/json",
        "/job/team/job/app/job/other/api/json",
        "/job/team/job/other/job/main/api/json",
    ] {
        assert_eq!(place.jenkins("GET", wrong).await.status, 404, "{wrong}");
    }
    for (of, word) in
        [("/job/team/job/app/job/main", "failing"), (job, "unstable"), ("/job/team/job/app/job/other", "not run")]
    {
        let badge = place.jenkins("GET", &format!("{of}/badge/icon")).await;
        assert!(badge.text.contains(word), "{of}: {}", badge.text);
        // To everybody it is said of the default branch alone: which others there are is not said.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let url = format!("http://{}{of}/badge/icon", place.server.as_ref().unwrap().address);
        let as_nobody = http.get(url).send().await.unwrap().status();
        assert_eq!(as_nobody == 200, of.ends_with("main"), "{of}: {as_nobody}");
    }

    // What is shown of the project is how its own branch stands, whatever else was run since.
    let monitor = place.jenkins("GET", "/cc.xml").await.text;
    assert!(monitor.contains("name=\"team/app\"") && monitor.contains("lastBuildStatus=\"Failure\""), "{monitor}");
    let all = place.jenkins("GET", "/api/json").await.body;
    let own = all["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "team/app").unwrap();
    assert_eq!(own["color"], "red");

    // Wanted there, it is run there.
    let asked = place.jenkins("POST", &format!("{job}/build")).await;
    assert_eq!(asked.status, 201);
    let lease = agent.take("echo 'once more'").await;
    let run = place.run(lease.run.0).await;
    assert_eq!((&run["revision"], &run["number"]), (&"feature/a b".into(), &5.into()));
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
    assert_eq!(place.jenkins("POST", "/job/team/job/app/job/other/build").await.status, 404);
}

/// What is newer hides nothing: neither which build was the last of its kind, nor how the default branch stands.
#[tokio::test]
async fn what_is_newer_hides_nothing() {
    let place = Place::new().await;
    let key = place.enrol("one").await;
    let git = json!({ "git": { "url": "https://git.example/app.git", "branch": "main" } });
    place.ask("PUT", "/api/v1/projects/app", json!({ "source": git, "poll_minutes": 60 })).await;
    let mut agent = place.agent(&key, &[]).await;
    // Nobody says of these that they are of the default branch.
    for text in ["echo 'well'", "error 'bad'"] {
        place.trigger().await;
        let lease = agent.take(text).await;
        agent.give_back(lease).await;
        place.wait_for_end(lease.run.0).await;
    }
    place.trigger().await;
    let lease = agent.take("node { sh 'make' }").await;
    let ToAgent::Perform { id, .. } = agent.work(is_exec).await else { panic!() };
    for _ in 0..101 {
        place.ask("POST", "/api/v1/projects/app/runs", json!({ "revision": "topic" })).await;
    }
    let last = [
        ("lastBuild", Some(104)),
        ("lastCompletedBuild", Some(2)),
        ("lastSuccessfulBuild", Some(1)),
        ("lastStableBuild", Some(1)),
        ("lastFailedBuild", Some(2)),
        ("lastUnsuccessfulBuild", Some(2)),
        ("lastUnstableBuild", None),
    ];
    let job = place.jenkins("GET", "/job/app/api/json").await.body;
    assert_eq!(job["builds"].as_array().unwrap().len(), 100);
    for (word, number) in last {
        assert_eq!(job[word]["number"], json!(number), "{word}");
        let found = place.jenkins("GET", &format!("/job/app/{word}/api/json")).await;
        assert_eq!((found.status, &found.body["number"]), (number.map_or(404, |_| 200), &json!(number)), "{word}");
    }
    let of_topic = place.jenkins("GET", "/job/app/job/topic/lastCompletedBuild/api/json").await;
    assert_eq!(of_topic.status, 404);

    let stands = async |word: &str, color: &str, activity: &str, status: &str| {
        for path in ["/buildStatus/icon?job=app", "/job/app/badge/icon", "/job/app/job/main/badge/icon"] {
            let badge = place.jenkins("GET", path).await.text;
            assert!(badge.contains(word), "{path}: {badge}");
        }
        assert_eq!(place.jenkins("GET", "/api/json").await.body["jobs"][0]["color"], color);
        let monitor = place.jenkins("GET", "/cc.xml").await.text;
        let says = format!("name=\"app\" activity=\"{activity}\" lastBuildStatus=\"{status}\"");
        assert!(monitor.contains(&says), "{monitor}");
    };
    stands("failing", "red", "Building", "Failure").await;
    agent.answer(lease, id, Reply::Exited { code: 0, stdout: None, limit: None }).await;
    agent.give_back(lease).await;
    place.wait_for_end(lease.run.0).await;
    // Of the others one is under way, which says nothing of the project.
    let lease = agent.take("node { sh 'make' }").await;
    assert_eq!((lease.run.0, &place.run(lease.run.0).await["status"]), (4, &"running".into()));
    stands("passing", "blue", "Sleeping", "Success").await;
}
