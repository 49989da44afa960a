//! What every driver must do, as tests that any driver can be put through: `docs` of [`crate::Driver`] sentence by sentence.
//!
//! A [`Subject`] says what the driver claims; a case that needs more is [`Verdict::NotClaimed`], which a driver for a real
//! rung has no excuse for. The image of the specification needs `/bin/sh` with the usual small tools (busybox will do).

mod at;
mod life;
mod limits;
mod work;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use crate::{Driver, SandboxSpec};

/// Longest time for one case where nothing is said; a driver that takes longer has failed it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A driver under test.
pub struct Subject<'a> {
    /// The driver.
    pub driver: &'a dyn Driver,
    /// Makes the specification that the cases vary.
    pub spec: &'a (dyn Fn() -> SandboxSpec + Sync),
    /// What is claimed.
    pub claims: Claims,
    /// Longest time for one case: [`PATIENCE`], or more where instructions are translated.
    pub patience: Duration,
}

/// A claim, or in words why it is not made.
pub type Claim = Result<(), &'static str>;

/// What a driver claims to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Runs real programs, in process id, network and file system namespaces of their own.
    pub programs: Claim,
    /// Two sandboxes can share a workspace.
    pub shared_workspace: Claim,
    /// The memory limit holds, and is named.
    pub memory_limit: Claim,
    /// The limit of processes holds, and is named.
    pub process_limit: Claim,
    /// The size of the writable layer is limited, and named.
    pub disk_limit: Claim,
}

impl Claims {
    /// Everything.
    pub fn all() -> Claims {
        Claims::each(Ok(()))
    }

    /// Nothing but a life, for this reason.
    pub fn none(why: &'static str) -> Claims {
        Claims::each(Err(why))
    }

    fn each(claim: Claim) -> Claims {
        Claims {
            programs: claim,
            shared_workspace: claim,
            memory_limit: claim,
            process_limit: claim,
            disk_limit: claim,
        }
    }
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As specified.
    Passed,
    /// The driver does not claim to, for this reason.
    NotClaimed(&'static str),
    /// Not as specified.
    Failed(String),
}

/// The verdicts by the names of the cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<(&'static str, Verdict)>);

impl Report {
    /// Whether no case failed.
    pub fn passed(&self) -> bool {
        !self.0.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
    }

    /// Writes it to `conformance/DRIVER` in a folder, a case a line, for a table of all drivers.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn keep(&self, folder: &Path, driver: &str) -> io::Result<()> {
        let folder = folder.join("conformance");
        std::fs::create_dir_all(&folder)?;
        let line = |(case, verdict): &(&str, Verdict)| match verdict {
            Verdict::Passed => format!("{case}\tpassed\n"),
            Verdict::NotClaimed(why) => format!("{case}\tnot claimed\t{why}\n"),
            Verdict::Failed(why) => format!("{case}\tFAILED\t{}\n", why.lines().next().unwrap_or_default()),
        };
        std::fs::write(folder.join(driver), self.0.iter().map(line).collect::<String>())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.0 {
            match verdict {
                Verdict::Passed => writeln!(f, "passed       {name}")?,
                Verdict::NotClaimed(why) => writeln!(f, "not claimed  {name}: {why}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED       {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// A case fails with what it saw.
type Outcome = Result<(), String>;
type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

struct Case {
    name: &'static str,
    needs: fn(&Claims) -> Claim,
    run: for<'a> fn(&'a Subject<'a>) -> Running<'a>,
}

macro_rules! cases {
    ($($needs:ident: $module:ident::$name:ident;)*) => {
        &[$(Case {
            name: stringify!($name),
            needs: |claims| needs(stringify!($needs), claims),
            run: |subject| Box::pin($module::$name(subject)),
        }),*]
    };
}

fn needs(name: &str, claims: &Claims) -> Claim {
    match name {
        "programs" => claims.programs,
        "shared_workspace" => claims.shared_workspace,
        "memory_limit" => claims.memory_limit,
        "process_limit" => claims.process_limit,
        "disk_limit" => claims.disk_limit,
        _ => Ok(()),
    }
}

const CASES: &[Case] = cases! {
    all: life::a_sandbox_starts_and_greets;
    all: life::destroy_is_idempotent_and_concurrent;
    all: life::an_unknown_sandbox_is_an_error;
    all: life::a_sandbox_that_shuts_down_has_exited;
    all: life::a_sandbox_that_nobody_waits_for_is_not_made;
    all: life::many_start_at_once;
    all: life::bad_specifications_are_refused;
    all: limits::wall_clock_ends_the_sandbox;
    programs: work::programs_report_their_exit_codes;
    programs: work::streams_are_kept_apart;
    programs: work::input_reaches_a_program;
    programs: work::the_workload_is_the_user_that_was_asked_for;
    programs: work::the_workspace_belongs_to_the_user;
    programs: work::files_go_in_and_out;
    programs: work::folders_go_in_and_out;
    programs: work::signals_end_a_program;
    programs: work::nothing_is_left_for_the_next;
    programs: work::left_behind_processes_die;
    programs: work::only_loopback_is_reachable;
    programs: work::the_host_name_is_the_sandboxs_own;
    programs: work::a_file_system_in_memory_is_mounted;
    programs: work::a_read_only_root_keeps_the_workspace_writable;
    shared_workspace: work::a_workspace_is_shared;
    process_limit: limits::processes_are_limited;
    memory_limit: limits::memory_is_limited;
    disk_limit: limits::the_writable_layer_is_limited;
    disk_limit: limits::a_file_system_in_memory_is_limited;
    disk_limit: limits::files_are_limited;
    programs: limits::open_files_are_limited;
};

/// Puts a driver through all cases, one after another.
pub async fn run(subject: &Subject<'_>) -> Report {
    let mut report = Vec::new();
    for case in CASES {
        let verdict = match (case.needs)(&subject.claims) {
            Ok(()) => match tokio::time::timeout(subject.patience, (case.run)(subject)).await {
                Ok(Ok(())) => Verdict::Passed,
                Ok(Err(why)) => Verdict::Failed(why),
                Err(_) => Verdict::Failed(format!("not done after {} s", subject.patience.as_secs())),
            },
            Err(why) => Verdict::NotClaimed(why),
        };
        report.push((case.name, verdict));
    }
    Report(report)
}
