//! Projects that an operator writes in files.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Place;

const APP: &str = r#"
file = "ci/Jenkinsfile"
priority = 3

[source.git]
url = "https://git.example.org/app"

[hook]
forge = "gitea"
secret = "${file:SECRET}"
"#;

/// A server's place whose files are these; it is not started.
fn with_files(files: &[(&str, &str)]) -> Place {
    let mut place = Place::on_nothing(None);
    let folder = place.folder.path().join("projects");
    fs::create_dir_all(folder.join("team")).unwrap();
    fs::write(place.folder.path().join("secret"), "a secret of the hook\n").unwrap();
    place.projects = Some(folder);
    files.iter().for_each(|(name, text)| write(&place, name, text));
    place
}

/// In one go, as whoever writes them should.
fn write(place: &Place, name: &str, text: &str) {
    let secret = place.folder.path().join("secret").display().to_string();
    let path = place.projects.as_ref().unwrap().join(name);
    fs::write(path.with_extension("part"), text.replace("SECRET", &secret)).unwrap();
    fs::rename(path.with_extension("part"), path).unwrap();
}

/// They are read again every two seconds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not so: {what}");
}

/// What a project is now.
async fn config(place: &Place, name: &str) -> Value {
    place.as_admin("GET", &format!("/api/v1/projects/{name}"), &Value::Null).await.1["config"].clone()
}

#[tokio::test]
async fn files_say_what_projects_there_are() {
    let other = r#"{ "source": { "folder": "/nowhere" }, "upstream": { "projects": ["team/app"] } }"#;
    let mut place = with_files(&[("team/app.toml", APP), ("other.json", other)]);
    place.start().await;
    let app = async || config(&place, "team%2Fapp").await;
    let told = app().await;
    assert_eq!((&told["file"], &told["priority"]), (&json!("ci/Jenkinsfile"), &json!(3)));
    assert_eq!(told["hook"]["secret"], "…", "nobody is shown it");
    let put = place.as_admin("PUT", "/api/v1/projects/team%2Fapp", &json!({ "source": { "folder": "/x" } })).await;
    assert!(put.0 == 409 && put.1["error"].as_str().unwrap().contains("team/app.toml"), "{put:?}");
    let audit = place.ask("GET", "/api/v1/audit", Value::Null).await;
    let made = audit["audit"].as_array().unwrap().iter().find(|row| row["object"] == "team/app").unwrap();
    assert!(made["actor"].as_str().unwrap().ends_with("team/app.toml"), "{made}");

    // What changes is read again; what is wrong then changes nothing, and what is mended counts.
    write(&place, "team/app.toml", &APP.replace("priority = 3", "priority = 4"));
    until("it has changed", async || app().await["priority"] == 4).await;
    write(&place, "team/app.toml", "priority = ");
    write(&place, "other.json", &other.replace("/nowhere", "/elsewhere"));
    // One that is wrong holds up no other.
    until("the other has changed", async || config(&place, "other").await["source"]["folder"] == "/elsewhere").await;
    assert_eq!(app().await["priority"], 4, "it is as it was");
    write(&place, "team/app.toml", &APP.replace("priority = 3", "priority = 5"));
    until("it was mended", async || app().await["priority"] == 5).await;

    // What a file stands for may change without it.
    let api = |secret: &'static str| {
        format!("{APP}\n[source.git.login]\nuser = \"{secret}\"\npassword = \"${{file:SECRET}}\"\n")
    };
    write(&place, "team/app.toml", &api("somebody"));
    until("it logs in", async || app().await["source"]["git"]["login"]["user"] == "somebody").await;
    let changes = async || {
        let audit = place.ask("GET", "/api/v1/audit?limit=1000", Value::Null).await;
        let of_app = |row: &&Value| row["object"] == "team/app" && row["action"] == "project.change";
        audit["audit"].as_array().unwrap().iter().filter(of_app).count()
    };
    let before = changes().await;
    fs::write(place.folder.path().join("secret"), "another secret of the hook").unwrap();
    until("that counts", async || changes().await > before).await;
    assert_eq!(changes().await, before + 1);

    // A project whose file is gone is there, and the API's.
    fs::remove_file(place.projects.as_ref().unwrap().join("team/app.toml")).unwrap();
    let mine = json!({ "source": { "folder": "/x" } });
    let put = async || place.as_admin("PUT", "/api/v1/projects/team%2Fapp", &mine).await.0;
    until("it is the API's", async || put().await == 200).await;
}

#[tokio::test]
async fn a_server_does_not_start_with_files_that_are_wrong() {
    let unfit = APP.replace("${file:SECRET}", "short");
    for (name, text, expect) in [
        ("app.toml", "file = ", "line 1"),
        ("app.toml", "file = 'x'", "source"),
        ("app.toml", &format!("sauce = 1\n{APP}"), "sauce"),
        ("app.json", "{", "line 1"),
        ("team/app.toml", &unfit, "at least"),
        ("app.toml", &APP.replace("SECRET", "/no/such/file"), "/no/such/file"),
        ("an app.toml", APP, "a name of a project"),
    ] {
        let mut place = with_files(&[(name, text)]);
        let said = place.try_start().await.unwrap_err().to_string();
        assert!(said.contains(name) && said.contains(expect), "{name}: {said}");
    }
    let mut place = with_files(&[]);
    place.projects = Some("/no/such/folder".into());
    assert!(place.try_start().await.unwrap_err().to_string().contains("/no/such/folder"));
}
