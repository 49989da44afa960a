//! The options of `docker run`, by what becomes of them here. Source: Docker's command line reference.

/// Options that take no value and mean what is so anyway: a sandbox is fresh, detached, and removed.
pub(super) const GRANTED_FLAGS: [&str; 11] =
    ["--rm", "--init", "-i", "-t", "-d", "-q", "--interactive", "--tty", "--detach", "--quiet", "--no-healthcheck"];
/// The same with a value.
pub(super) const GRANTED_VALUES: [&str; 6] = ["--name", "--label", "-l", "--pull", "--cap-drop", "--restart"];
/// Options without a value that have no effect here, which is said.
pub(super) const NO_EFFECT_FLAGS: [&str; 3] = ["--oom-kill-disable", "--disable-content-trust", "--sig-proxy"];
/// The same with a value.
pub(super) const NO_EFFECT_VALUES: [&str; 41] = [
    "--annotation",
    "--attach",
    "-a",
    "--blkio-weight",
    "--blkio-weight-device",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-rt-period",
    "--cpu-rt-runtime",
    "--cpu-shares",
    "-c",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--detach-keys",
    "--device-read-bps",
    "--device-read-iops",
    "--device-write-bps",
    "--device-write-iops",
    "--dns-option",
    "--dns-search",
    "--domainname",
    "--expose",
    "--health-cmd",
    "--health-interval",
    "--health-retries",
    "--health-start-period",
    "--health-timeout",
    "--isolation",
    "--kernel-memory",
    "--log-driver",
    "--log-opt",
    "--memory-reservation",
    "--memory-swap",
    "--memory-swappiness",
    "--oom-score-adj",
    "--publish",
    "-p",
    "--shm-size",
    "--stop-signal",
    "--stop-timeout",
    "--storage-opt",
];
/// Options that reach for the host: name, takes a value, what it asks for.
pub(super) const REFUSED: [(&str, bool, &str); 28] = [
    ("--privileged", false, "power over the kernel"),
    ("--device", true, "a device of the host"),
    ("--device-cgroup-rule", true, "a device of the host"),
    ("--gpus", true, "a device of the host"),
    ("--cap-add", true, "a capability"),
    ("--pid", true, "another process namespace"),
    ("--ipc", true, "another IPC namespace"),
    ("--uts", true, "another host name namespace"),
    ("--userns", true, "another user namespace"),
    ("--cgroupns", true, "another cgroup namespace"),
    ("--cgroup-parent", true, "another cgroup"),
    ("--mount", true, "a mount"),
    ("--volumes-from", true, "the files of another container"),
    ("--link", true, "another container"),
    ("--sysctl", true, "a kernel parameter"),
    ("--runtime", true, "another runtime"),
    ("--env-file", true, "a file of the host"),
    ("--cidfile", true, "a file of the host"),
    ("--dns", true, "another resolver"),
    ("--net-alias", true, "a network of containers"),
    ("--network-alias", true, "a network of containers"),
    ("--ip", true, "an address"),
    ("--ip6", true, "an address"),
    ("--link-local-ip", true, "an address"),
    ("--mac-address", true, "an address"),
    ("--label-file", true, "a file of the host"),
    ("--publish-all", false, "ports of the host"),
    ("-P", false, "ports of the host"),
];

/// Devices that are no hardware of a host: every machine's kernel has them.
pub(super) const DEVICES_OF_MACHINES: [&str; 8] = [
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/loop-control",
];

/// Options that are on or off; `--privileged=false` asks for nothing.
pub(super) fn is_switch(name: &str) -> bool {
    let refused = REFUSED.iter().any(|(option, has_value, _)| *option == name && !has_value);
    refused || name == "--read-only" || GRANTED_FLAGS.contains(&name) || NO_EFFECT_FLAGS.contains(&name)
}
