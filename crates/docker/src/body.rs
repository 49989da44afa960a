//! What an engine is asked for: the walls and limits of a specification in the words of its API.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
};
use launcher::protocol::INIT;
use sandbox::{Ids, SandboxSpec, Tmpfs, root_capabilities, tmpfs_within_limits};

/// What init itself keeps: to start processes with other ids, to end them, and to work on files on behalf of the host. None of it
/// reaches what it starts, but what [`sandbox::Capabilities`] gives to a workload with user id 0.
pub(crate) const OF_INIT: [&str; 8] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
];
/// Where init is in a root that cannot be written to: below a volume at [`INIT`].
pub(crate) const IN_VOLUME: &str = "init";
/// The kernel ends a sandbox's processes before those of the host where memory is short.
const OOM_SCORE_ADJ: i64 = 300;
/// The least that an engine takes, in thousandths of a processor.
const LEAST_CPU_MILLIS: i64 = 10;

/// What an engine lets us ask for.
pub(crate) struct Terms {
    /// How many processors it has.
    pub(crate) processors: i64,
    /// The network to be in.
    pub(crate) network: Option<String>,
    /// The size of the writable layer can be limited.
    pub(crate) disk_quota: bool,
    pub(crate) labels: HashMap<String, String>,
}

/// A container whose process 1 is init.
pub(crate) fn container(spec: &SandboxSpec, image: &str, user: Ids, terms: Terms) -> ContainerCreateBody {
    let limits = &spec.limits;
    let memory = signed(limits.memory_bytes);
    let host = HostConfig {
        memory: Some(memory),
        // No swap beyond.
        memory_swap: Some(memory),
        nano_cpus: Some(nano_cpus(limits.cpu_millis, terms.processors)),
        pids_limit: Some(limits.processes.into()),
        ulimits: Some(ulimits(spec)),
        oom_score_adj: Some(OOM_SCORE_ADJ),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(OF_INIT.map(str::to_owned).into()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        network_mode: Some(terms.network.unwrap_or_else(|| "none".into())),
        ipc_mode: Some("private".into()),
        privileged: Some(false),
        init: Some(false),
        // With its standard input closed by our end, init ends; and with init, the container.
        auto_remove: Some(true),
        // It would keep the protocol.
        log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
        extra_hosts: Some(hosts(spec).map(|(address, name)| format!("{name}:{address}")).collect()),
        tmpfs: Some(tmpfs(spec, user).into_iter().collect()),
        shm_size: Some(signed(limits.disk_bytes.min(limits.memory_bytes / 4 * 3))),
        readonly_rootfs: Some(spec.read_only_root),
        mounts: spec.read_only_root.then(|| vec![volume(&terms.labels)]),
        storage_opt: terms.disk_quota.then(|| [("size".into(), limits.disk_bytes.to_string())].into()),
        ..HostConfig::default()
    };
    let init = if spec.read_only_root { format!("{INIT}/{IN_VOLUME}") } else { INIT.into() };
    ContainerCreateBody {
        hostname: spec.hostname.clone(),
        stop_signal: Some("SIGKILL".into()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        entrypoint: Some(command(spec, init)),
        host_config: Some(host),
        ..bare(image, terms.labels)
    }
}

/// A container that is looked into, and never started.
pub(crate) fn bare(image: &str, labels: HashMap<String, String>) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.into()),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        entrypoint: Some(vec![INIT.into()]),
        // What the image wants to have looked after would run beside init.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        labels: Some(labels),
        host_config: Some(HostConfig { network_mode: Some("none".into()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    }
}

/// The words that init is started with.
pub(crate) fn command(spec: &SandboxSpec, init: String) -> Vec<String> {
    vec![init, "--stdio".into(), "--root-capabilities".into(), root_capabilities(spec.capabilities).to_string()]
}

pub(crate) fn ulimits(spec: &SandboxSpec) -> Vec<ResourcesUlimits> {
    let limit =
        |name: &str, value: i64| ResourcesUlimits { name: Some(name.into()), soft: Some(value), hard: Some(value) };
    vec![limit("nofile", spec.limits.open_files.into()), limit("core", 0)]
}

/// An engine refuses more than it has.
pub(crate) fn nano_cpus(millis: u32, processors: i64) -> i64 {
    i64::from(millis).clamp(LEAST_CPU_MILLIS, processors.max(1) * 1000) * 1_000_000
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Address and name of every entry of `/etc/hosts`: the sandbox's own name, then what was asked for.
pub(crate) fn hosts(spec: &SandboxSpec) -> impl Iterator<Item = (String, String)> {
    let own = spec.hostname.iter().flat_map(|name| ["127.0.0.1", "::1"].map(|address| (address.into(), name.clone())));
    let asked = spec.hosts.iter().flat_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().unwrap_or_default().to_owned();
        words.map(move |name| (address.clone(), name.to_owned()))
    });
    own.chain(asked)
}

/// File systems in memory, by path: those that were asked for, and what stays writable where the root is not.
pub(crate) fn in_memory(spec: &SandboxSpec) -> Vec<(Tmpfs, bool)> {
    let mut all: Vec<_> = tmpfs_within_limits(spec).into_iter().map(|tmpfs| (tmpfs, false)).collect();
    if spec.read_only_root {
        let workspace = spec.workspace.path.trim_end_matches('/').to_owned();
        let bytes = spec.limits.disk_bytes.min(spec.limits.memory_bytes / 4 * 3).max(4096);
        let beside = format!("{workspace}@tmp");
        for (path, mode, own) in [(workspace, 0o755, true), (beside, 0o755, true), ("/tmp".into(), 0o1777, false)] {
            if !all.iter().any(|(tmpfs, _)| tmpfs.path.trim_end_matches('/') == path) {
                all.push((Tmpfs { path, bytes, mode, exec: true }, own));
            }
        }
    }
    all
}

fn tmpfs(spec: &SandboxSpec, user: Ids) -> Vec<(String, String)> {
    let all = in_memory(spec);
    let inodes = (spec.limits.inodes / all.len().max(1) as u64).max(64);
    let line = |(tmpfs, own): (Tmpfs, bool)| {
        let exec = if tmpfs.exec { "exec" } else { "noexec" };
        let mode = tmpfs.mode & 0o7777;
        let mut options = format!("rw,nosuid,nodev,{exec},size={},nr_inodes={inodes},mode={mode:o}", tmpfs.bytes);
        if own {
            options.push_str(&format!(",uid={},gid={}", user.uid, user.gid));
        }
        (tmpfs.path, options)
    };
    all.into_iter().map(line).collect()
}

/// An engine puts nothing into a root that is read-only but into a volume. It goes with its container.
fn volume(labels: &HashMap<String, String>) -> Mount {
    let options =
        bollard::models::MountVolumeOptions { labels: Some(labels.clone()), no_copy: Some(true), ..Default::default() };
    Mount { target: Some(INIT.into()), typ: Some(MountType::VOLUME), volume_options: Some(options), ..Mount::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms { processors: 2, network: None, disk_quota: false, labels: HashMap::new() }
    }

    fn made(spec: &SandboxSpec) -> (ContainerCreateBody, HostConfig) {
        let body = container(spec, "image@sha256:0", Ids { uid: 7, gid: 8 }, terms());
        let host = body.host_config.clone().unwrap();
        (body, host)
    }

    #[test]
    fn a_container_has_no_more_power_than_init_needs() {
        let (body, host) = made(&SandboxSpec::image(Vec::new()));
        assert_eq!(host.cap_drop, Some(vec!["ALL".into()]));
        assert!(!host.cap_add.unwrap().iter().any(|name| name.contains("ADMIN") || name.contains("RAW")));
        assert_eq!((host.privileged, host.security_opt), (Some(false), Some(vec!["no-new-privileges".into()])));
        assert_eq!((host.binds, host.devices, host.mounts, host.pid_mode), (None, None, None, None));
        assert_eq!(
            (host.network_mode.as_deref(), host.memory, host.memory_swap),
            (Some("none"), Some(4 << 30), Some(4 << 30))
        );
        assert_eq!(body.entrypoint.unwrap(), [INIT, "--stdio", "--root-capabilities", "0"]);
        assert_eq!(body.healthcheck.unwrap().test, Some(vec!["NONE".into()]));
    }

    /// An engine without project quotas makes no container that is to have one.
    #[test]
    fn the_layer_is_limited_where_the_engine_can() {
        let mut spec = SandboxSpec::image(Vec::new());
        spec.limits.disk_bytes = 3 << 30;
        let check = |disk_quota: bool, expect: Option<&str>| {
            let body = container(&spec, "image@sha256:0", Ids { uid: 7, gid: 8 }, Terms { disk_quota, ..terms() });
            let expect = expect.map(|size| HashMap::from([("size".to_owned(), size.to_owned())]));
            assert_eq!(body.host_config.unwrap().storage_opt, expect);
        };
        check(true, Some("3221225472"));
        check(false, None);
    }

    #[test]
    fn a_read_only_root_has_init_in_a_volume_and_a_workspace_in_memory() {
        let spec = SandboxSpec { read_only_root: true, ..SandboxSpec::image(Vec::new()) };
        let (body, host) = made(&spec);
        assert_eq!(body.entrypoint.unwrap()[0], "/.cofferdam-init/init");
        let tmpfs = host.tmpfs.unwrap();
        assert!(tmpfs["/workspace"].ends_with("mode=755,uid=7,gid=8"), "{tmpfs:?}");
        assert!(tmpfs["/tmp"].contains(",exec,") && tmpfs["/tmp"].ends_with("mode=1777"), "{tmpfs:?}");
        assert!(tmpfs.contains_key("/workspace@tmp"));
    }

    #[test]
    fn limits_are_within_what_the_engine_has() {
        assert_eq!(nano_cpus(500, 2), 500_000_000);
        assert_eq!(nano_cpus(64_000, 2), 2_000_000_000);
        assert_eq!(nano_cpus(0, 2), 10_000_000);
        assert_eq!(signed(u64::MAX), i64::MAX);
    }
}
