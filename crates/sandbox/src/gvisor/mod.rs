//! The `gvisor` driver: each sandbox on a kernel in user space, gVisor's `runsc`.
//!
//! ```text
//!   this process ── Plan with a program ──▶ launcher ──▶ jail: runsc, root of its own namespaces and nothing else
//!        │                                                 ├── the sandbox's kernel, in an empty root, no capability, own filter
//!        │                                                 └── its files, below the root that the launcher made
//!        └── stream ─────────────────────────────────────────▶ init, process 1 of that kernel
//! ```
//!
//! The launcher makes the same root, ids, network, limits and cgroups as for a container; within them runsc puts up the walls
//! that it always does. So who breaks out of gVisor finds an unprivileged process in an empty root, and around it the
//! namespaces of a container.
//!
//! Start reading at [`Gvisor`]; `bundle` is what runsc is told.

mod bundle;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use launcher::protocol::{Plan, Program, Role};
use model::ids::SandboxId;
use model::rung::Rung;

use crate::console::Console;
use crate::local::{Local, OfKernel, plan as plan_of};
use crate::{
    Capabilities, Check, CreateError, Driver, DriverError, Ended, Finding, Pending, Probe, RootSpec, Sandbox,
    SandboxSpec, Usage, Walls,
};

pub use self::bundle::Platform;

/// Where packages install it.
const PLACES: [&str; 2] = ["/usr/local/bin/runsc", "/usr/bin/runsc"];
/// What init itself keeps inside, and what it gives a workload with user id 0 at most.
const OF_INIT: [u8; 8] = [0, 1, 3, 4, 5, 6, 7, 8];

/// What runsc needs beside its sandbox: its three processes, and a process and a thread of the host for each of the workload, with
/// one thread more of the kernel's for each that waits.
const OF_KERNEL: OfKernel = OfKernel { memory_bytes: 96 << 20, processes: 96, processes_each: 4 };

/// The driver.
pub struct Gvisor {
    local: Local,
    program: PathBuf,
    platform: Platform,
}

impl Gvisor {
    /// A driver whose kernels are jailed by `local`'s launcher; `None`: gVisor is not installed.
    pub fn find(local: Local) -> Option<Gvisor> {
        let program = PLACES.map(PathBuf::from).into_iter().find(|path| path.exists())?;
        let platform = platform_of(&program);
        Some(Gvisor { local, program, platform })
    }

    /// Whether this host has it.
    pub fn is_installed() -> bool {
        PLACES.iter().any(|path| Path::new(path).exists())
    }

    async fn make(&self, spec: SandboxSpec) -> Result<Sandbox, CreateError> {
        if !matches!(spec.root, RootSpec::Image(_)) {
            return Err(CreateError::Spec { what: "the gvisor driver needs an image".into() });
        }
        if spec.nested {
            let reason = "gVisor lets no program mount in namespaces of its own; containers and machines can".into();
            return Err(CreateError::Unsupported { reason });
        }
        let (plan, netns) = plan_of(spec).await?;
        let (console, its_console) = UnixStream::pair()
            .map_err(|source| CreateError::Kernel { operation: "make a socket pair".into(), source })?;
        let given: Vec<OwnedFd> = vec![its_console.into()];
        let plan = self.jail_plan(plan)?;
        let made = self.local.jail(Ok(plan), OF_KERNEL, netns, given).await;
        let console = Console::of(console);
        made.map(|(sandbox, _)| sandbox).map_err(|error| console.explain(error))
    }

    fn jail_plan(&self, mut plan: Plan) -> Result<Plan, CreateError> {
        let settings = self.local.settings()?;
        let root_capabilities = match plan.capabilities {
            Capabilities::None => 0,
            Capabilities::OwnFiles => settings.file_capabilities.iter().fold(0, |set, number| set | 1 << number),
        };
        let files = bundle::files(&plan, &OF_INIT, root_capabilities);
        let argv = bundle::arguments(self.platform, &plan);
        // It makes namespaces, changes roots and drops its power by itself.
        plan.walls = Walls {
            seccomp: false,
            drop_capabilities: false,
            masks: false,
            no_nested_userns: false,
            rlimits: false,
            ..plan.walls
        };
        plan.program =
            Some(Program { argv, descriptors: 1, role: Role::Kernel { program: self.program.clone(), files } });
        Ok(plan)
    }
}

/// The fastest that this release has.
fn platform_of(program: &Path) -> Platform {
    let flags = Command::new(program).arg("flags").stdin(Stdio::null()).output();
    let known = flags.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    match String::from_utf8_lossy(&known).contains("systrap") {
        true => Platform::Systrap,
        false => Platform::Ptrace,
    }
}

impl Driver for Gvisor {
    fn name(&self) -> &'static str {
        "gvisor"
    }

    fn rung(&self) -> Rung {
        Rung::Gvisor
    }

    fn probe(&self) -> Probe {
        let platform = match self.platform {
            Platform::Systrap => Finding::Good("systrap".into()),
            Platform::Ptrace => Finding::Reduced {
                reason: "this release of runsc has no systrap; ptrace makes system calls several times slower".into(),
                remedy: "a release of runsc since 2023".into(),
            },
        };
        let checks = vec![
            Check { what: "runsc", finding: Finding::Good(self.program.display().to_string()) },
            Check { what: "platform", finding: platform },
            // `bundle::arguments` says why.
            Check {
                what: "network",
                finding: Finding::Reduced {
                    reason: "sockets of a sandbox with a network are the host kernel's, in a namespace of its own"
                        .into(),
                    remedy: "`--network none`, or rung microvm, whose network is its own kernel's".into(),
                },
            },
        ];
        Probe { driver: self.name(), rung: self.rung(), checks }
    }

    fn create(&self, spec: SandboxSpec) -> Pending<'_, Result<Sandbox, CreateError>> {
        Box::pin(self.make(spec))
    }

    fn usage(&self, id: SandboxId) -> Pending<'_, Result<Usage, DriverError>> {
        self.local.usage(id)
    }

    fn destroy(&self, id: SandboxId) -> Pending<'_, Result<Ended, DriverError>> {
        self.local.destroy(id)
    }

    fn sweep(&self) -> Pending<'_, Result<Vec<String>, DriverError>> {
        self.local.sweep()
    }
}
