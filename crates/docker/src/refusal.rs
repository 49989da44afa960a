//! What neither driver does, and why.

use sandbox::{CreateError, NetworkSource, SandboxSpec, Walls};

use crate::engine::About;

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

/// An engine whose containers would stand without a wall that the rung has.
pub(crate) fn of_walls(about: &About) -> Result<(), CreateError> {
    match about.seccomp {
        true => Ok(()),
        false => Err(CreateError::Unsupported {
            reason: "the engine filters no system calls, which is less than rung container; use one that is built with seccomp".into(),
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
