//! What an engine can do, for `doctor`.

use std::time::Duration;

use model::rung::Rung;
use sandbox::{Check, DriverError, Finding, Probe};

use crate::engine::{About, Engine, Filter, name};
use crate::{DockerConfig, Endpoint, SwarmConfig, docker, refusal, swarm};

/// How long an engine may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks afresh, in a runtime of its own: a probe may be asked for with a runtime and without.
fn ask(endpoint: &Endpoint, control_plane: Option<&String>) -> Result<About, String> {
    let (endpoint, control_plane) = (endpoint.clone(), control_plane.cloned());
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, Engine::connect(&endpoint, control_plane.as_deref())).await {
                Ok(Ok(engine)) => Ok(engine.about),
                Ok(Err(error)) => Err(explain(&error)),
                Err(_) => Err(format!("{} does not answer within {} s", name(&endpoint), PATIENCE.as_secs())),
            }
        })
    });
    asking.join().unwrap_or_else(|_| Err("the engine could not be asked".into()))
}

fn explain(error: &DriverError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

pub(crate) fn docker(config: &DockerConfig) -> Probe {
    let checks = match ask(&config.endpoint, config.control_plane.as_ref()) {
        Err(reason) => vec![missing("engine", reason, "a Docker Engine, and the right to use its socket")],
        Ok(about) => {
            let mut checks = of_engine(&about, config.shared_machine);
            checks.push(Check { what: "disk limit", finding: disk(&about, config.disk_quota) });
            checks.push(Check { what: "network", finding: network(config.network.as_ref()) });
            checks
        }
    };
    Probe { driver: docker::NAME, rung: Rung::Container, checks }
}

pub(crate) fn swarm(config: &SwarmConfig) -> Probe {
    let checks = match ask(&config.manager, config.control_plane.as_ref()) {
        Err(reason) => vec![missing("engine", reason, "a manager of a Swarm, and the right to use its socket")],
        Ok(about) => {
            let mut checks = of_engine(&about, config.shared_machine);
            checks.push(match about.manages {
                true => good("swarm", "this engine manages one"),
                false => missing(
                    "swarm",
                    "this engine manages no Swarm".into(),
                    "`docker swarm init`, or a manager's address",
                ),
            });
            let reason =
                "the API has no swap limit for services: on a node with swap a sandbox has as much of it as memory";
            checks.push(reduced("swap", reason, "nodes without swap"));
            checks.push(Check { what: "disk limit", finding: disk(&about, false) });
            checks.push(Check { what: "network", finding: network(config.network.as_ref()) });
            checks
        }
    };
    Probe { driver: swarm::NAME, rung: Rung::Container, checks }
}

fn of_engine(about: &About, shared_machine: bool) -> Vec<Check> {
    let mut checks = vec![good("engine", &about.version)];
    checks.push(match (&about.shared, refusal::of_machine(about, shared_machine)) {
        (_, Err(error)) => {
            missing("machine", error.to_string(), "an engine on a host dedicated to builds, or `--docker-shared`")
        }
        (Some(why), Ok(())) => reduced(
            "machine",
            &format!(
                "the engine is on a machine that is not its own ({why}): who breaks out of a container is root there"
            ),
            "an engine on a host dedicated to builds",
        ),
        (None, Ok(())) => good("machine", &about.machine),
    });
    let (memory, processes) = about.limits;
    for (what, works) in [("memory limit", memory), ("process limit", processes)] {
        checks.push(match works {
            true => good(what, "cgroups of the engine"),
            false => reduced(
                what,
                "the engine's kernel or cgroups do not limit it",
                "the controller in the kernel's options",
            ),
        });
    }
    let what = "system call filter";
    checks.push(match &about.filter {
        Filter::Usual => good(what, "the engine's default"),
        Filter::Other(profile) => {
            let reason =
                format!("the engine's containers have the profile {profile}, and what it lets pass is not looked at");
            Check {
                what,
                finding: Finding::Reduced { reason, remedy: "the engine's own: no `seccomp-profile`".into() },
            }
        }
        Filter::Missing => {
            let remedy = "an engine built with seccomp, and no `seccomp-profile: unconfined`";
            missing(what, "the engine filters no system calls".into(), remedy)
        }
    });
    checks.push(match about.user_namespace {
        true => good("user namespace", "of the engine, one for all its containers"),
        false => reduced(
            "user namespace",
            "the ids of a sandbox are those of the engine's host: who breaks out as root is root there",
            "`userns-remap` in the engine's configuration, or a rootless engine",
        ),
    });
    for warning in &about.warnings {
        checks.push(reduced("warning", warning, "see the engine's documentation"));
    }
    checks
}

fn disk(about: &About, quota: bool) -> Finding {
    match quota {
        true => Finding::Good(format!("quota of {}", about.storage)),
        false => Finding::Reduced {
            reason: format!(
                "no limit of the writable layer ({}): one sandbox can fill the engine's disk",
                about.storage
            ),
            remedy: "the engine's data on XFS mounted with `pquota`, and `--docker-disk-quota`".into(),
        },
    }
}

fn network(name: Option<&String>) -> Finding {
    match name {
        Some(name) => Finding::Good(format!("the engine's network {name}, with the rules that it has")),
        None => Finding::Reduced {
            reason: "sandboxes that ask for a network are refused".into(),
            remedy:
                "a network of the engine whose rules keep builds away from everything private, and `--docker-network`"
                    .into(),
        },
    }
}

fn good(what: &'static str, how: &str) -> Check {
    Check { what, finding: Finding::Good(how.into()) }
}

fn reduced(what: &'static str, reason: &str, remedy: &str) -> Check {
    Check { what, finding: Finding::Reduced { reason: reason.into(), remedy: remedy.into() } }
}

fn missing(what: &'static str, reason: String, remedy: &str) -> Check {
    Check { what, finding: Finding::Missing { reason, remedy: remedy.into() } }
}
