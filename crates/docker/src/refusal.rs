//! What neither driver does, and why.

use sandbox::{CreateError, NetworkSource, SandboxSpec, Walls};

use crate::Endpoint;
use crate::engine::{About, Filter, shared};

/// An engine of this machine or of the control plane's, where nobody said that it is meant.
pub(crate) fn of_machine(about: &About, shared_machine: bool) -> Result<(), CreateError> {
    match &about.shared {
        Some(why) if !shared_machine => Err(CreateError::Unsupported {
            reason: format!(
                "the engine is on a machine that is not its own ({why}), and who breaks out of a container is root there; use the engine of a \
                 host that is dedicated to builds, or say that this one is (`--docker-shared`)"
            ),
        }),
        _ => Ok(()),
    }
}

/// Why an engine is refused for where it is, as far as its address says that: nobody is asked. A driver refuses it for the same reason.
pub fn of_address(endpoint: &Endpoint, shared_machine: bool, control_plane: Option<&str>) -> Option<String> {
    if shared_machine {
        return None;
    }
    let about = About { shared: shared(endpoint, "", control_plane), ..About::default() };
    match of_machine(&about, shared_machine) {
        Err(CreateError::Unsupported { reason }) => Some(reason),
        _ => None,
    }
}

/// An engine whose containers would stand without a wall that the rung has.
pub(crate) fn of_filter(filter: &Filter) -> Result<(), CreateError> {
    match filter {
        Filter::Usual | Filter::Other(_) => Ok(()),
        Filter::Missing => Err(CreateError::Unsupported {
            reason: "the engine filters no system calls, which is less than rung container; use one that is built with seccomp, and whose profile is not `unconfined`".into(),
        }),
    }
}

/// A specification that no engine can meet.
pub(crate) fn of_spec(spec: &SandboxSpec, driver: &str) -> Result<(), CreateError> {
    sandbox::check(spec)?;
    if spec.walls != Walls::default() {
        let reason = format!("the {driver} driver cannot take away one wall alone: an engine makes all of them");
        return Err(CreateError::Unsupported { reason });
    }
    if spec.nested {
        let reason = format!(
            "the {driver} driver gives no namespaces within a container; machines do, and containers of this host"
        );
        return Err(CreateError::Unsupported { reason });
    }
    Ok(())
}

/// The engine's network for a sandbox: none, or the one that the operator named.
pub(crate) fn network(spec: &SandboxSpec, named: Option<&String>, driver: &str) -> Result<Option<String>, CreateError> {
    match (&spec.network, named) {
        (NetworkSource::None, _) => Ok(None),
        (_, Some(name)) => Ok(Some(name.clone())),
        (_, None) => Err(CreateError::Unsupported {
            reason: format!(
                "an engine does not put a container into a network namespace that was made elsewhere, it has networks of its own; \
                 name one for the {driver} driver (`network`), or run without (`--network none`)"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a plan says before anybody is asked is what the driver says when it was.
    #[test]
    fn an_address_says_as_much_as_the_engine_behind_it() {
        let none = std::path::PathBuf::new;
        let tls = |address: &str| Endpoint::Tls {
            address: address.into(),
            authority: none(),
            certificate: none(),
            key: none(),
        };
        let check = |endpoint: Endpoint, refused: bool| {
            let said = of_address(&endpoint, false, None);
            assert_eq!(said.is_some(), refused, "{endpoint:?}");
            let about = About { shared: shared(&endpoint, "its name", None), ..About::default() };
            let asked = of_machine(&about, false).err().map(|error| error.to_string());
            assert!(asked.unwrap_or_default().ends_with(&said.unwrap_or_default()), "{endpoint:?}");
            assert_eq!(of_address(&endpoint, true, None), None);
        };
        check(Endpoint::Unix("/run/docker.sock".into()), true);
        check(tls("127.0.0.1:2376"), true);
        check(tls("192.0.2.1:2376"), false);
    }
}
