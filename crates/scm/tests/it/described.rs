//! GitHub's own description of its API (`@octokit/openapi`): that what is asked and sent is in it, and that its examples of answers are
//! understood. `COFFERDAM_GITHUB_OPENAPI` names the file.

use scm::{
    Annotation, CheckId, Conclusion, Forge, Get, Method, Progress, Refused, Report, State, annotate_check, ask_branch,
    ask_branches, ask_commit, ask_pull_request, ask_pull_requests, ask_tags, create_check, post, read_branch,
    read_branches, read_check, read_commit, read_pull_request, read_pull_requests, read_tags, update_check,
};
use serde_json::Value;

use crate::COMMIT;
use crate::checks::{check, remarks};

struct Described(Value);

impl Described {
    fn read() -> Option<Described> {
        let Some(file) = std::env::var_os("COFFERDAM_GITHUB_OPENAPI") else {
            println!("skipped: COFFERDAM_GITHUB_OPENAPI names no description of GitHub's API");
            return None;
        };
        Some(Described(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()))
    }

    /// Where a reference leads.
    fn at<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(name) => self.at(self.0.pointer(name.trim_start_matches('#')).unwrap()),
            None => value,
        }
    }

    /// The one operation that such a request is; no query has others than its parameters.
    fn operation(&self, method: &str, url: &str) -> &Value {
        let url = url.strip_prefix("https://api").unwrap();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let fits = |template: &str| {
            let parts = (template.split('/'), path.split('/'));
            parts.0.clone().count() == parts.1.clone().count()
                && parts.0.zip(parts.1).all(|(template, part)| template.starts_with('{') || template == part)
        };
        let paths = self.0["paths"].as_object().unwrap();
        let found: Vec<_> = paths.iter().filter(|(path, _)| fits(path)).map(|(_, methods)| &methods[method]).collect();
        let [operation] = found[..] else { panic!("{method} {path}: {found:?}") };
        let parameters: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|one| self.at(one)).collect();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let parameter = parameters.iter().find(|one| one["name"] == name && one["in"] == "query");
            let schema = &parameter.unwrap_or_else(|| panic!("{path} takes no {name}"))["schema"];
            assert!(
                schema["enum"].as_array().is_none_or(|words| words.iter().any(|word| word == value)),
                "{name}={value}"
            );
        }
        operation
    }

    /// The examples of what a good request is answered.
    fn answers(&self, operation: &Value) -> Vec<Value> {
        let good = ["200", "201"].iter().find_map(|code| operation["responses"].get(code)).unwrap();
        let examples = good["content"]["application/json"]["examples"].as_object().unwrap();
        examples.values().map(|example| self.at(example)["value"].clone()).collect()
    }

    /// Whether a body is what its schema says: no more, and no less.
    fn fits(&self, schema: &Value, body: &Value, at: &str) {
        let schema = self.at(schema);
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(body), "{at}: {body}");
        }
        match body {
            Value::Object(fields) => {
                for required in schema["required"].as_array().into_iter().flatten() {
                    assert!(fields.contains_key(required.as_str().unwrap()), "{at} has no {required}");
                }
                for (name, value) in fields {
                    let field = schema["properties"].get(name).unwrap_or_else(|| panic!("{at} takes no {name}"));
                    self.fits(field, value, &format!("{at}/{name}"));
                }
            }
            Value::Array(items) => {
                assert_eq!(schema["type"], "array", "{at}");
                assert!(
                    schema["maxItems"].as_u64().is_none_or(|most| items.len() as u64 <= most),
                    "{at}: {}",
                    items.len()
                );
                items.iter().for_each(|item| self.fits(&schema["items"], item, at));
            }
            Value::String(text) => {
                assert_eq!(schema["type"], "string", "{at}");
                let count = text.chars().count() as u64;
                assert!(schema["maxLength"].as_u64().is_none_or(|most| count <= most), "{at}: {count}");
            }
            other => assert!(schema["type"] == "integer" && other.is_u64(), "{at}: {other}"),
        }
    }

    fn is_answered<T>(&self, get: &Get, read: impl Fn(&Value) -> Result<T, Refused>) -> Vec<T> {
        let answers = self.answers(self.operation("get", &get.url));
        let read = answers.iter().map(|answer| read(answer).unwrap_or_else(|refused| panic!("{refused}: {answer}")));
        let read: Vec<_> = read.collect();
        assert!(!read.is_empty(), "{}", get.url);
        read
    }
}

#[test]
fn github_answers_as_it_describes() {
    let Some(described) = Described::read() else { return };
    let (forge, api, name) = (Forge::Github, "https://api", "octo/app");
    let one = described
        .is_answered(&ask_pull_request(forge, api, None, name, 1347), |answer| read_pull_request(forge, answer));
    assert!(one.iter().all(|facts| facts.request.number == 1347));
    described.is_answered(&ask_branch(forge, api, None, name, "a/b"), |answer| read_branch(forge, "a/b", answer));
    described
        .is_answered(&ask_commit(forge, api, None, name, "6dcb09b"), |answer| read_commit(forge, "6dcb09b", answer));
    let requests = ask_pull_requests(forge, api, None, name);
    let requests = described.is_answered(&requests, |answer| read_pull_requests(forge, answer));
    assert!(requests.iter().all(|listed| listed.refused.is_empty() && !listed.found.is_empty()), "{requests:?}");
    let branches = described.is_answered(&ask_branches(forge, api, None, name), |answer| read_branches(forge, answer));
    assert!(branches.iter().all(|listed| listed.refused.is_empty() && !listed.found.is_empty()), "{branches:?}");
    let tags = described.is_answered(&ask_tags(forge, api, None, name), |answer| read_tags(forge, answer));
    assert!(tags.iter().all(|listed| listed.refused.is_empty() && !listed.found.is_empty()), "{tags:?}");
}

#[test]
fn github_is_told_what_it_describes() {
    let Some(described) = Described::read() else { return };
    let conclusions = [
        Conclusion::Success,
        Conclusion::Failure,
        Conclusion::Neutral,
        Conclusion::Cancelled,
        Conclusion::Skipped,
        Conclusion::TimedOut,
        Conclusion::ActionRequired,
    ];
    let progress = [Progress::Queued, Progress::InProgress].into_iter().chain(conclusions.map(Progress::Completed));
    let remarks: Vec<Annotation<'_>> = remarks().into_iter().cycle().take(120).collect();
    for progress in progress {
        let run = check(progress, &remarks);
        let id = CheckId(1);
        let mut sent = vec![create_check("https://api", "t", &run), update_check("https://api", "t", id, &run)];
        sent.extend(annotate_check("https://api", "t", id, &run));
        assert_eq!(sent.len(), 4);
        for check in sent {
            let method = if check.method == Method::Post { "post" } else { "patch" };
            let operation = described.operation(method, &check.url);
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            described.fits(schema, &check.body, method);
            for answer in described.answers(operation) {
                assert!(read_check(&answer).is_ok(), "{answer}");
            }
        }
    }
    for state in [State::Queued, State::Running, State::Success, State::Failure, State::Aborted] {
        let report =
            Report { repository: "octo/app", commit: COMMIT, state, name: "n", description: "d", url: "https://ci" };
        let post = post(Forge::Github, "https://api", "t", &report);
        let operation = described.operation("post", &post.url);
        described.fits(&operation["requestBody"]["content"]["application/json"]["schema"], &post.body, "status");
    }
}
