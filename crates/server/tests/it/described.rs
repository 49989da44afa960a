//! What the API says of itself holds: every answer that a test gets is held against it.

use serde_json::{Value, json};

use crate::agent::Place;

/// A description of an API.
pub struct Described(Value);

impl Described {
    pub fn new(document: Value) -> Described {
        Described(document)
    }

    /// The operation of a path that a request was sent to.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            // What follows a run's artifacts is a path of its own.
            let is_rest = template.ends_with("/artifacts/{path}") && given.len() > wanted.len();
            (is_rest || wanted.len() == given.len())
                && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let fitting = self.0["paths"].as_object().unwrap().iter().filter(|(template, _)| fits(template));
        // `/people/{name}` and `/people/me`: what is said in full goes first.
        let best = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        best.1.get(method.to_lowercase())
    }

    /// By which the operation of a request is known.
    pub fn id_of(&self, method: &str, path: &str) -> Option<&str> {
        self.operation(method, path)?["operationId"].as_str()
    }

    /// Of all operations.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let items = self.0["paths"].as_object().unwrap().values();
        items.flat_map(|item| item.as_object().unwrap().values()).filter_map(|of| of["operationId"].as_str())
    }

    fn check_value(&self, of: &str, schema: &Value, value: &Value) {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{of}: {error}"));
        let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{of}: {errors:?}: {value}");
    }

    /// A request, and what came of it.
    pub fn check(&self, method: &str, path: &str, body: &str, status: u16, answer: &str) {
        if !path.starts_with("/api/v1/") {
            return;
        }
        let of = format!("{method} {path}: {status}");
        let Some(operation) = self.operation(method, path) else {
            assert!([404, 405].contains(&status), "{of}: it is not described");
            return;
        };
        let responses = &operation["responses"];
        let code = status.to_string();
        let response = responses.get(&code).filter(|_| status < 400).or_else(|| {
            assert!(status >= 400, "{of}: such an answer is not described: {responses}");
            responses.get("default")
        });
        let content = &response.unwrap()["content"];
        if let Some(schema) = content["application/json"].get("schema") {
            self.check_value(
                &of,
                schema,
                &serde_json::from_str(answer).unwrap_or_else(|error| panic!("{of}: {error}")),
            );
        } else {
            assert!(content.is_object() || answer.is_empty(), "{of}: nobody said that it answers {answer}");
        }
        if let (true, false, Ok(sent)) = (status < 300, body.is_empty() || body == "null", serde_json::from_str(body)) {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{of}: nobody said that it takes {body}");
            self.check_value(&format!("{of}, its body"), schema, &sent);
        }
    }
}

#[tokio::test]
async fn the_api_is_described() {
    let place = Place::new().await;
    let document = place.description().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    let mut names = std::collections::BTreeSet::new();
    for (name, operation) in operations.clone() {
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: {operation}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} says nothing");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
        assert!(operation["responses"]["default"].is_object(), "{name}");
    }
    assert!(operations.count() > 20);
    let ids = document["components"]["schemas"].as_object().unwrap();
    for name in ["Run", "Project", "ProjectConfig", "Person", "Agent", "Refusal"] {
        assert!(ids.contains_key(name), "{name}: {:?}", ids.keys());
    }
    assert_eq!(document["security"], json!([{ "token": [] }]));
}

/// What is wrong with a body is said in the same way as all else.
#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_in_words() {
    let place = Place::new().await;
    let admin = place.admin();
    for (method, path, body, expect) in [
        ("PUT", "/api/v1/projects/x", "{", "line 1"),
        ("PUT", "/api/v1/projects/x", "", "null"),
        ("PUT", "/api/v1/people/x", "[]", "body"),
        ("POST", "/api/v1/tokens", r#"{"nam":"x"}"#, "nam"),
        ("POST", "/api/v1/projects/app/runs", r#"{"params":1}"#, "body"),
    ] {
        let (status, said) = place.as_who(&admin, method, path, body).await;
        assert!(status == 400 && said["error"].as_str().unwrap().contains(expect), "{method} {path} {body}: {said}");
    }
    // One that need not be there may be nothing, whatever it is said to be; and one that is none of JSON is not looked at.
    let request = || place.request("POST", "/api/v1/projects/app/runs").bearer_auth(&admin);
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(request().header("content-type", "application/json")).await, 201);
    assert_eq!(status(request()).await, 201);
    assert_eq!(status(request().header("content-type", "text/plain").body("{}")).await, 415);
}

/// The check is one: it takes neither what is missing, nor another type, nor what nobody has described.
#[tokio::test]
async fn what_is_not_as_described_is_seen() {
    let place = Place::new().await;
    let described = Described::new(place.description().await);
    let run = place.run(place.trigger().await).await;
    let refuses = |method: &str, path: &str, status: u16, answer: Value| {
        let check = std::panic::AssertUnwindSafe(|| described.check(method, path, "", status, &answer.to_string()));
        assert!(std::panic::catch_unwind(check).is_err(), "{method} {path}: {status} {answer}");
    };
    described.check("GET", "/api/v1/runs/1", "", 200, &run.to_string());
    let without = |field: &str, value: Option<Value>| {
        let mut run = run.clone();
        run.as_object_mut().unwrap().remove(field);
        value.into_iter().for_each(|value| run[field] = value);
        run
    };
    refuses("GET", "/api/v1/runs/1", 200, without("number", None));
    refuses("GET", "/api/v1/runs/1", 200, without("number", Some(json!("1"))));
    refuses("GET", "/api/v1/runs/1", 200, without("status", Some(json!("asleep"))));
    refuses("GET", "/api/v1/runs/1", 201, run.clone());
    refuses("GET", "/api/v1/runs/1", 404, json!({ "message": "none" }));
    refuses("GET", "/api/v1/nothing", 200, json!({}));
}
