//! What a Swarm's manager is asked for: one service of one task.

use std::collections::HashMap;

use bollard::models::{
    HealthConfig, Limit, Mount, MountTmpfsOptions, MountType, NetworkAttachmentConfig, ResourceObject, ServiceSpec,
    ServiceSpecMode, ServiceSpecModeReplicated, TaskSpec, TaskSpecContainerSpec, TaskSpecContainerSpecConfigs,
    TaskSpecContainerSpecFile1, TaskSpecContainerSpecPrivileges, TaskSpecLogDriver, TaskSpecPlacement,
    TaskSpecResources, TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum,
};
use launcher::protocol::INIT;
use sandbox::SandboxSpec;

use crate::body::{OF_INIT, command, hosts, in_memory, nano_cpus, signed, ulimits};

/// What is decided before a service is asked for.
pub(super) struct Terms {
    pub(super) name: String,
    /// Id and name of the config object that holds the stub.
    pub(super) stub: (String, String),
    pub(super) constraints: Vec<String>,
    pub(super) network: Option<String>,
    /// Of the manager; other nodes may have more.
    pub(super) processors: i64,
    pub(super) labels: HashMap<String, String>,
}

/// A service whose one task starts as the stub, and is never started again.
pub(super) fn service(spec: &SandboxSpec, image: &str, terms: Terms) -> ServiceSpec {
    let limits = &spec.limits;
    let cpus = nano_cpus(limits.cpu_millis, terms.processors);
    let task = TaskSpec {
        container_spec: Some(container(spec, image, &terms)),
        resources: Some(TaskSpecResources {
            limits: Some(Limit {
                nano_cpus: Some(cpus),
                memory_bytes: Some(signed(limits.memory_bytes)),
                pids: Some(limits.processes.into()),
            }),
            // How many jobs a node takes at once is decided by who leases them, not by what they may use at most.
            reservations: Some(ResourceObject::default()),
            ..TaskSpecResources::default()
        }),
        restart_policy: Some(TaskSpecRestartPolicy {
            condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
            max_attempts: Some(0),
            ..TaskSpecRestartPolicy::default()
        }),
        placement: Some(TaskSpecPlacement {
            constraints: Some(terms.constraints.clone()),
            ..TaskSpecPlacement::default()
        }),
        networks: terms.network.as_ref().map(|name| {
            vec![NetworkAttachmentConfig { target: Some(name.clone()), ..NetworkAttachmentConfig::default() }]
        }),
        // It would keep the protocol.
        log_driver: Some(TaskSpecLogDriver { name: Some("none".into()), options: None }),
        ..TaskSpec::default()
    };
    ServiceSpec {
        name: Some(terms.name),
        labels: Some(terms.labels),
        task_template: Some(task),
        mode: Some(ServiceSpecMode {
            replicated: Some(ServiceSpecModeReplicated { replicas: Some(1) }),
            ..ServiceSpecMode::default()
        }),
        ..ServiceSpec::default()
    }
}

fn container(spec: &SandboxSpec, image: &str, terms: &Terms) -> TaskSpecContainerSpec {
    let (id, name) = terms.stub.clone();
    let file = TaskSpecContainerSpecFile1 {
        name: Some(INIT.into()),
        uid: Some("0".into()),
        gid: Some("0".into()),
        mode: Some(0o555),
    };
    let stub = TaskSpecContainerSpecConfigs {
        file: Some(file),
        config_id: Some(id),
        config_name: Some(name),
        ..TaskSpecContainerSpecConfigs::default()
    };
    TaskSpecContainerSpec {
        image: Some(image.into()),
        labels: Some(terms.labels.clone()),
        command: Some(command(spec, INIT.into())),
        hostname: spec.hostname.clone(),
        dir: Some("/".into()),
        user: Some("0:0".into()),
        // Managers before API 1.46 do not know it, and then init alone sees to it, for each program that it starts.
        privileges: Some(TaskSpecContainerSpecPrivileges {
            no_new_privileges: Some(true),
            ..TaskSpecContainerSpecPrivileges::default()
        }),
        open_stdin: Some(true),
        read_only: Some(spec.read_only_root),
        mounts: Some(mounts(spec)),
        stop_signal: Some("SIGKILL".into()),
        stop_grace_period: Some(0),
        health_check: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        hosts: Some(hosts(spec).map(|(address, name)| format!("{address} {name}")).collect()),
        configs: Some(vec![stub]),
        init: Some(false),
        capability_drop: Some(vec!["ALL".into()]),
        capability_add: Some(OF_INIT.map(str::to_owned).into()),
        ulimits: Some(ulimits(spec)),
        ..TaskSpecContainerSpec::default()
    }
}

/// File systems in memory. The API gives them no owner, so those of the workspace are open to everybody inside; and no limit of
/// files.
fn mounts(spec: &SandboxSpec) -> Vec<Mount> {
    let mount = |(tmpfs, own): (sandbox::Tmpfs, bool)| Mount {
        target: Some(tmpfs.path),
        typ: Some(MountType::TMPFS),
        tmpfs_options: Some(MountTmpfsOptions {
            size_bytes: Some(signed(tmpfs.bytes)),
            mode: Some(if own { 0o777 } else { i64::from(tmpfs.mode & 0o7777) }),
            options: None,
        }),
        ..Mount::default()
    };
    in_memory(spec).into_iter().map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_one_task_that_is_not_started_again() {
        let terms = Terms {
            name: "one".into(),
            stub: ("id".into(), "name".into()),
            constraints: vec!["node.labels.builds==yes".into()],
            network: None,
            processors: 2,
            labels: HashMap::new(),
        };
        let made = service(&SandboxSpec::image(Vec::new()), "image@sha256:0", terms);
        assert_eq!(made.mode.unwrap().replicated.unwrap().replicas, Some(1));
        let task = made.task_template.unwrap();
        assert_eq!(task.restart_policy.unwrap().condition, Some(TaskSpecRestartPolicyConditionEnum::NONE));
        assert_eq!(task.placement.unwrap().constraints.unwrap(), ["node.labels.builds==yes"]);
        let container = task.container_spec.unwrap();
        assert_eq!(
            (container.secrets, container.sysctls, container.capability_drop),
            (None, None, Some(vec!["ALL".into()]))
        );
        assert_eq!(container.command.unwrap(), [INIT, "--stdio", "--root-capabilities", "0"]);
    }
}
