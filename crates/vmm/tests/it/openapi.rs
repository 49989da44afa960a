//! The published descriptions themselves: where `COFFERDAM_OPENAPI` names a folder with `firecracker.yaml` and
//! `cloud-hypervisor.yaml`, the requests are held against them, and so is what the stand-ins believe. `scripts/test.sh` brings the
//! first; of the second, everybody can have what was generated from it (`generated.rs`).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vmm::cloud_hypervisor::CloudHypervisor;
use vmm::machine::Tap;
use vmm::{Monitor, Request};

use crate::facts::{CLOUD_HYPERVISOR, FIRECRACKER, Facts, Kind, Shape};
use crate::{copy, firecracker, machine, named};

/// Reads YAML, which no crate of ours does.
const READER: &str = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout, default=str)";

/// What came after a description of an older version: which version brought it, a type, and a field of it.
const LATER: &[(&str, &str, Option<&str>)] = &[
    ("1.16", "NetworkInterface", Some("mtu")),
    ("1.16", "SerialDevice", Some("rate_limiter")),
    ("1.16", "SnapshotLoadParams", Some("clock_realtime")),
    ("1.16", "SnapshotLoadParams", Some("vsock_override")),
    ("1.16", "VsockOverride", None),
];

/// A published description.
struct Published {
    document: Value,
    /// Where its types are.
    types: &'static str,
}

impl Published {
    /// `None`: not here, which was said.
    fn read(name: &str, types: &'static str) -> Option<Published> {
        let Some(folder) = std::env::var_os("COFFERDAM_OPENAPI") else {
            println!("skipped: COFFERDAM_OPENAPI names no folder with {name}");
            return None;
        };
        let file = Path::new(&folder).join(name);
        if !file.exists() {
            println!("skipped: not found: {name} in COFFERDAM_OPENAPI");
            return None;
        }
        let read = Command::new("/usr/bin/python3").args(["-c", READER]).arg(file).output();
        match read {
            Ok(output) if output.status.success() => {
                let document = serde_json::from_slice(&output.stdout).expect("JSON");
                Some(Published { document, types })
            }
            Ok(output) if String::from_utf8_lossy(&output.stderr).contains("No module named 'yaml'") => {
                println!("skipped: /usr/bin/python3 has no yaml");
                None
            }
            Ok(output) => panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                println!("skipped: /usr/bin/python3: {error}");
                None
            }
        }
    }

    /// Whether this description is too old for a type, or a field of it.
    fn lacks(&self, name: &str, field: Option<&str>) -> bool {
        let number = |version: &str| {
            let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
        };
        let own = number(self.document["info"]["version"].as_str().expect("a version"));
        LATER.iter().any(|(since, later, of)| *later == name && *of == field && own < number(since))
    }

    fn named(&self, name: &str) -> &Value {
        self.document.pointer(self.types).and_then(|types| types.get(name)).unwrap_or(&Value::Null)
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => self.document.pointer(place.trim_start_matches('#')).expect("a type"),
            None => schema,
        }
    }

    /// The type of a call's content; `Null`: none.
    fn content(&self, method: &str, path: &str) -> Option<&Value> {
        let method = method.to_lowercase();
        let paths = self.document["paths"].as_object()?;
        let same = |known: &str| {
            let (known, path) = (known.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
            known.len() == path.len()
                && known.iter().zip(&path).all(|(known, word)| known == word || known.starts_with('{'))
        };
        let (_, place) = paths.iter().find(|(known, place)| same(known) && place.get(&method).is_some())?;
        let call = &place[&method];
        if let Some(schema) = call.pointer("/requestBody/content/application~1json/schema") {
            return Some(schema);
        }
        let parameters = call["parameters"].as_array();
        let body = parameters.and_then(|all| all.iter().find(|parameter| parameter["in"] == "body"));
        Some(body.map_or(&Value::Null, |body| &body["schema"]))
    }

    /// What of a value is not as the type says; fields that it does not know are wrong.
    fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let named = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
        let schema = self.resolve(schema);
        let wrong = |what: String| Err(format!("{place}: {what}"));
        match (schema["type"].as_str().unwrap_or("object"), value) {
            ("object", Value::Object(fields)) => {
                for required in schema["required"].as_array().into_iter().flatten() {
                    if !fields.contains_key(required.as_str().unwrap_or_default()) {
                        return wrong(format!("no {required}"));
                    }
                }
                for (name, value) in fields {
                    match schema["properties"].get(name) {
                        None if named.is_some_and(|of| self.lacks(of, Some(name))) => {}
                        Some(schema) => self.check(schema, value, &format!("{place}.{name}"))?,
                        None => return wrong(format!("there is no field {name}")),
                    }
                }
                Ok(())
            }
            ("array", Value::Array(values)) => {
                values.iter().try_for_each(|value| self.check(&schema["items"], value, &format!("{place}[]")))
            }
            ("string", Value::String(_)) => match schema["enum"].as_array() {
                Some(words) if !words.contains(value) => wrong(format!("{value} is not of {words:?}")),
                _ => Ok(()),
            },
            ("boolean", Value::Bool(_)) => Ok(()),
            ("integer", Value::Number(number)) => {
                let number = number.as_i64().unwrap_or(i64::MAX);
                let low = schema["minimum"].as_i64().is_none_or(|low| number >= low);
                let high = schema["maximum"].as_i64().is_none_or(|high| number <= high);
                if low && high { Ok(()) } else { wrong(format!("{number} is out of range")) }
            }
            (kind, value) => wrong(format!("{value} is no {kind}")),
        }
    }

    fn check_requests(&self, prefix: &str, requests: &[Request]) {
        for request in requests {
            let path = request.path.strip_prefix(prefix).expect("a path");
            let content = self.content(request.method.word(), path).unwrap_or_else(|| panic!("no call {request:?}"));
            match &request.body {
                None => assert!(content.is_null(), "{request:?} needs content"),
                Some(body) => self.check(content, body, &request.path).expect("as published"),
            }
        }
    }

    /// Whether what a stand-in believes is published, or said not to be.
    fn check_facts(&self, facts: &Facts) {
        for call in &facts.calls {
            let (method, path) = call.call.split_once(' ').expect("method and path");
            let content = self.content(method, path).unwrap_or_else(|| panic!("no call {}", call.call));
            let name = content["$ref"].as_str().and_then(|place| place.rsplit('/').next());
            assert_eq!(name, call.takes.as_deref(), "{}", call.call);
        }
        for (name, fields) in facts.types.iter().filter(|(name, _)| !self.lacks(name, None)) {
            let schema = self.named(name);
            let known: BTreeSet<_> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let believed = fields.iter().filter(|(_, said)| Kind::read(said).required).map(|(field, _)| field.as_str());
            assert!(known.is_subset(&believed.collect()), "{name}: {known:?}");
            for (field, said) in fields.iter().filter(|(field, _)| !self.lacks(name, Some(field))) {
                let kind = Kind::read(said);
                let published = &schema["properties"][field];
                assert_eq!(kind.published, !published.is_null(), "{name}.{field}");
                if kind.published {
                    self.check_shape(&kind.shape, published, &format!("{name}.{field}"));
                }
            }
        }
    }

    fn check_shape(&self, shape: &Shape<'_>, published: &Value, place: &str) {
        let resolved = self.resolve(published);
        let kind = resolved["type"].as_str().unwrap_or("object");
        match shape {
            Shape::Boolean => assert_eq!(kind, "boolean", "{place}"),
            Shape::Text(_) => assert!(kind == "string" && resolved["enum"].is_null(), "{place}"),
            Shape::OneOf(words) => {
                let known: BTreeSet<_> =
                    resolved["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                assert!(words.iter().all(|word| known.contains(word)), "{place}: {known:?}");
            }
            Shape::Integer(low, high) => {
                assert_eq!(kind, "integer", "{place}");
                let (least, most) = (resolved["minimum"].as_i64(), resolved["maximum"].as_i64());
                assert!(least.is_none_or(|least| low.is_some_and(|low| low >= least)), "{place}: from {least:?}");
                assert!(most.is_none_or(|most| high.is_some_and(|high| high <= most)), "{place}: to {most:?}");
            }
            Shape::List(of) => {
                assert_eq!(kind, "array", "{place}");
                self.check_shape(&of.shape, &resolved["items"], place);
            }
            Shape::Type(name) => assert!(std::ptr::eq(resolved, self.named(name)), "{place}"),
        }
    }
}

/// Everything that a monitor is ever asked.
fn everything(monitor: &dyn Monitor, tap: Tap) -> Vec<Request> {
    let machines = [machine(Some(tap.clone())), vmm::Machine { console: false, ..machine(None) }];
    let mut requests = vec![monitor.ready()];
    requests.extend(machines.iter().flat_map(|machine| monitor.boot(machine).unwrap()));
    requests.extend(monitor.pause());
    requests.extend(monitor.save("/proc/self/fd/8".as_ref()).unwrap());
    requests.extend(monitor.load(&copy(Some(tap))).unwrap());
    requests.extend(monitor.load(&copy(None)).unwrap());
    requests.extend(monitor.resume());
    requests.extend(monitor.end());
    requests
}

#[test]
fn firecracker_is_asked_for_what_is_published() {
    let facts = Facts::read(FIRECRACKER);
    let requests = everything(&firecracker(), named("tap0"));
    assert!(requests.iter().all(|request| facts.accepts(request).is_ok()), "{requests:?}");
    let Some(published) = Published::read("firecracker.yaml", "/definitions") else { return };
    println!("{}", published.document["info"]["version"]);
    published.check_requests("", &requests);
    published.check_facts(&facts);
}

#[test]
fn cloud_hypervisor_is_asked_for_what_is_published() {
    let facts = Facts::read(CLOUD_HYPERVISOR);
    let (mut requests, beside) = (Vec::new(), ["net_fds"]);
    for tap in [named("tap0"), Tap::Descriptor] {
        requests.extend(everything(&CloudHypervisor, tap));
    }
    for request in &requests {
        facts.accepts(request).expect("as believed");
    }
    let Some(published) = Published::read("cloud-hypervisor.yaml", "/components/schemas") else { return };
    println!("{}", published.document["info"]["version"]);
    for body in requests.iter_mut().filter_map(|request| request.body.as_mut()) {
        // In its source only.
        body.as_object_mut().expect("an object").retain(|name, _| !beside.contains(&name.as_str()));
    }
    published.check_requests(&facts.prefix, &requests);
    published.check_facts(&facts);
}
