//! What a driver and its launcher say to each other, one datagram each, over a pair of sockets.

use std::path::PathBuf;

pub use model::limits::Tmpfs;
use serde::{Deserialize, Serialize};

/// A read-only layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LayerSource {
    /// One EROFS image in a file.
    Erofs(PathBuf),
    /// A folder. For root: owned by the ids of the image (0 to 65535). For another user: the image's root is the user, and the
    /// image's id N is the user's Nth subordinate id; or, where not the user but its first subordinate id owns the folder,
    /// they begin with the image's root.
    Dir(PathBuf),
}

/// Numbers of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// User id inside the sandbox.
    pub uid: u32,
    /// Group id inside the sandbox.
    pub gid: u32,
}

/// Who a workload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// By numbers.
    Ids(Ids),
    /// `USER[:GROUP]` as in `docker run --user`, each a name in the image's `/etc/passwd` or `/etc/group`, or a number.
    Named(String),
}

impl Default for User {
    fn default() -> Self {
        User::Ids(Ids { uid: 1000, gid: 1000 })
    }
}

/// What of root's power a workload with user id 0 has, over the files and ids of its own sandbox only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capabilities {
    /// No capability at all.
    #[default]
    None,
    /// What package managers need: change owners and modes of files, act as another of the sandbox's users. The list stands in
    /// `data/capabilities.txt`.
    OwnFiles,
}

/// Defences that stand. One is removed by tests of the defences, for a probe proves something only if it fires without its
/// defence, and for a [`Role::Kernel`], which puts up its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch of one defence")]
pub struct Walls {
    /// System call allow-list.
    pub seccomp: bool,
    /// Capabilities and the bounding set are dropped.
    pub drop_capabilities: bool,
    /// A set-user-id program gives nothing.
    pub no_new_privs: bool,
    /// `/proc` masks and read-only parts.
    pub masks: bool,
    /// `user.max_user_namespaces` is 0.
    pub no_nested_userns: bool,
    /// Descriptors that were not meant for the sandbox are closed.
    pub close_descriptors: bool,
    /// A session keyring of its own.
    pub keyring: bool,
    /// A process id namespace of its own.
    pub pid_namespace: bool,
    /// An IPC namespace of its own.
    pub ipc_namespace: bool,
    /// A network namespace of its own.
    pub network_namespace: bool,
    /// Writable mounts carry `nosuid` and `nodev`.
    pub nosuid_nodev: bool,
    /// Mounts do not propagate.
    pub private_propagation: bool,
    /// Resource limits of processes (core files among them).
    pub rlimits: bool,
}

impl Default for Walls {
    fn default() -> Self {
        Walls {
            seccomp: true,
            drop_capabilities: true,
            no_new_privs: true,
            masks: true,
            no_nested_userns: true,
            close_descriptors: true,
            keyring: true,
            pid_namespace: true,
            ipc_namespace: true,
            network_namespace: true,
            nosuid_nodev: true,
            private_propagation: true,
            rlimits: true,
        }
    }
}

/// First message of a driver: what stays the same for all its sandboxes. Lists of policy come from the data files of the
/// `sandbox` crate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Folder for locks and mount points, shared by all launchers of this user on this host.
    pub state_dir: PathBuf,
    /// Seccomp program, 8 bytes an instruction in the order of `sock_filter`, native byte order.
    pub filter: Vec<u8>,
    /// The same for plans that are [`Plan::nested`].
    pub nested_filter: Vec<u8>,
    /// Parts of `/proc` that are hidden or read-only.
    pub masks: Masks,
    /// Devices of `/dev`, by name.
    pub devices: Vec<String>,
    /// What `process` sandboxes see of the host.
    pub tools: Tools,
    /// Numbers of the capabilities of [`Capabilities::OwnFiles`].
    pub file_capabilities: Vec<u8>,
    /// Sandboxes begun before they are asked for.
    pub ahead: u32,
    /// First host id of the ranges for sandboxes (as root); one range of 65536 ids for each sandbox.
    pub first_id: u32,
    /// How many such ranges there are.
    pub id_ranges: u32,
    /// Subordinate ids, for a user other than root.
    pub subordinate: Option<Subordinate>,
    /// The ids of every sandbox are the launcher's own, from 0 on: in a machine that has nothing else.
    pub own_ids: bool,
    /// Use cgroups where the host has them.
    pub cgroups: bool,
    /// Mount EROFS files through loop devices even where the kernel could do without.
    pub loop_devices: bool,
}

/// Parts of `/proc` that are hidden or read-only; paths relative to `/proc`, missing ones are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masks {
    /// Hidden behind `/dev/null` or an empty folder.
    pub hidden: Vec<String>,
    /// Mounted read-only over themselves.
    pub read_only: Vec<String>,
}

/// What a sandbox of the `process` driver sees of the host, read-only; missing paths are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Folders, absolute; symbolic links among them are made again.
    pub folders: Vec<String>,
    /// Files and folders that are copied, absolute.
    pub copies: Vec<String>,
}

/// Ranges of subordinate ids (`/etc/subuid`, `/etc/subgid`) of the user who runs the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subordinate {
    /// First user id.
    pub uid: u32,
    /// First group id.
    pub gid: u32,
    /// How many of both, at most 65536 used.
    pub count: u32,
}

/// A message of the driver. Descriptors that go with it are named in the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First of all. Answered by `Ready` or `Failed` with token 0.
    Start(Box<Settings>),
    /// Make a sandbox, with the stream for its init, the network namespace where the plan says so, and the descriptors of its
    /// program. Answered by `Created` or `Failed`.
    Create {
        /// Name of the sandbox in all messages.
        token: u64,
        /// What.
        plan: Box<Plan>,
    },
    /// End it. Answered by the `Ended` that every sandbox has.
    Destroy {
        /// Which.
        token: u64,
    },
    /// What it uses. Answered by `Usage`; not at all when it has ended.
    Usage {
        /// Which.
        token: u64,
    },
    /// Remove what dead launchers left. Answered by `Swept`.
    Sweep,
}

/// A sandbox to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Layers, lowest first; `None` for the host's tools.
    pub layers: Option<Vec<LayerSource>>,
    /// Who the workload is.
    pub user: User,
    /// Power of user id 0.
    pub capabilities: Capabilities,
    /// Host name.
    pub hostname: String,
    /// Absolute path of the workspace.
    pub workspace: String,
    /// Token of the sandbox whose workspace and ids it shares.
    pub share_with: Option<u64>,
    /// Further file systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// The root is read-only.
    pub read_only_root: bool,
    /// A network namespace is given.
    pub netns: bool,
    /// It lives in the network namespace of the sandbox whose workspace it shares, and has that one's `/etc/resolv.conf`.
    pub joins: bool,
    /// Text of `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Text of `/etc/hosts`.
    pub hosts: String,
    /// What it may use.
    pub limits: model::limits::Limits,
    /// Empty folder of the launcher's own that becomes the writable layer, whose file system caps it; `None`: it lies in memory. Only
    /// a machine's own launcher has one.
    pub writable: Option<PathBuf>,
    /// The workload may make namespaces of its own, and mount in them.
    pub nested: bool,
    /// Defences that stand.
    pub walls: Walls,
    /// Files and folders of the launcher's own that the sandbox sees and may write to. Only a machine's own launcher has any.
    pub binds: Vec<Bind>,
    /// Runs as process 1 instead of init.
    pub program: Option<Program>,
}

/// A file or folder that a sandbox sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Where it is.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: String,
}

/// A program of the host that works for a sandbox behind the walls of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Absolute path inside, and arguments.
    pub argv: Vec<String>,
    /// How many descriptors it gets, from 3 on.
    pub descriptors: u32,
    /// What for.
    pub role: Role,
}

/// What a program does for its sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It is the monitor of a virtual machine, runs as the workload's user, and its standard output and error are the stream.
    Monitor {
        /// The host's file, which lies at [`MONITOR`]; `None`: it is one of the host's tools.
        program: Option<PathBuf>,
        /// It may use the processor's own virtual machines (`/dev/kvm`). Only a launcher of root can give that.
        kvm: bool,
        /// It may open the interfaces of its network namespace by their names (`/dev/net/tun`). As `kvm`.
        tun: bool,
        /// It is given a small folder in memory to make sockets in, as its first descriptor. The driver gets one too.
        folder: bool,
    },
    /// It is a kernel in user space, which starts init itself. Its root is a small one in memory, with the plan's root at
    /// [`SANDBOX_ROOT`], init at [`INIT`] in that, and itself at [`KERNEL`]; it stays root of its own namespaces. Its standard
    /// input is the stream, its standard error the first descriptor that is given.
    Kernel {
        /// The host's file.
        program: PathBuf,
        /// Files of the small root: absolute path and content.
        files: Vec<(String, String)>,
    },
}

/// Where a [`Role::Monitor`] that is no tool of the host lies.
pub const MONITOR: &str = "/monitor";
/// Where a [`Role::Kernel`] finds the root of its sandbox.
pub const SANDBOX_ROOT: &str = "/sandbox";
/// Where it finds its `/tmp`, whatever links an image has there.
pub const SANDBOX_TMP: &str = "/sandbox-tmp";
/// Where a [`Role::Kernel`] finds its own program.
pub const KERNEL: &str = "/kernel";
/// Where init lies in a root that another program starts it in; or the folder that it lies in.
pub const INIT: &str = "/.cofferdam-init";

/// A message of the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It can make sandboxes.
    Ready(Features),
    /// A sandbox is there. With it comes the folder of its monitor, where it has one.
    Created {
        /// Which.
        token: u64,
        /// Who its workload is.
        made: Made,
    },
    /// A sandbox could not be made, and nothing is left of it.
    Failed {
        /// Which; 0 for the launcher itself.
        token: u64,
        /// Why.
        fault: Fault,
    },
    /// What a sandbox uses.
    Usage {
        /// Which.
        token: u64,
        /// What.
        usage: Usage,
    },
    /// Nothing of a sandbox is left.
    Ended {
        /// Which.
        token: u64,
        /// Why it ended.
        end: End,
        /// What it had used.
        usage: Usage,
    },
    /// What was removed.
    Swept(Vec<String>),
    /// A machine's Docker Engine answers.
    EngineReady,
    /// A machine can be saved.
    Parting,
}

/// What a launcher found on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Started by root: own id ranges, EROFS.
    pub privileged: bool,
    /// Cgroup version in use for memory, processes and CPU; or why none.
    pub memory: Result<u8, String>,
    /// As `memory`.
    pub processes: Result<u8, String>,
    /// As `memory`.
    pub cpu: Result<u8, String>,
    /// The kernel has time namespaces.
    pub time_namespace: bool,
}

/// A sandbox as made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Who the workload is.
    pub user: Ids,
    /// Further groups by the image's `/etc/group`, where the user was given without a group.
    pub groups: Vec<u32>,
    /// Home folder by the sandbox's `/etc/passwd`, or `/`.
    pub home: String,
}

/// Why a sandbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was asked for.
    Destroyed,
    /// Its wall clock limit passed.
    Wall,
    /// Its process 1 exited.
    Exited(i32),
    /// Its process 1 was killed.
    Signalled(i32),
}

/// Counters of a sandbox; `None` where the host has no means to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Largest memory in bytes.
    pub memory_peak: Option<u64>,
    /// CPU time in microseconds.
    pub cpu_us: Option<u64>,
    /// Processes killed because of the memory limit.
    pub memory_kills: u64,
    /// Forks refused because of the limit of processes.
    pub refused_forks: u64,
    /// Size and free bytes of the writable layer.
    pub disk: Option<(u64, u64)>,
    /// Size and free bytes of the fullest of the other file systems in memory.
    pub tmpfs: Option<(u64, u64)>,
    /// Size and free inodes of the writable layer.
    pub inodes: Option<(u64, u64)>,
}

/// Something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose fault.
    pub kind: FaultKind,
    /// What was being done to what.
    pub what: String,
    /// Error number of the kernel, or 0.
    pub errno: i32,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// A call failed.
    Kernel,
    /// A layer cannot be used; `what` is its path.
    Layer,
    /// The plan cannot be met.
    Spec,
    /// `what` is no user of the image.
    UnknownUser,
    /// No id range is free.
    NoIds,
    /// The sandbox to share with has ended.
    SharedGone,
}
