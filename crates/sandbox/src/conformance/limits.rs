//! Limits hold, and say which of them it was.

use std::time::Duration;

use super::at::{At, expect};
use super::{Outcome, Subject};
use crate::{EndCause, LimitKind, Tmpfs, Usage};

const MIB: u64 = 1 << 20;

fn names(usage: &Usage, kind: LimitKind, value: u64) -> Outcome {
    let found = usage.limits_met.iter().any(|met| met.kind == kind && met.value == value && met.times > 0);
    expect(found, || format!("{kind:?} of {value} is not named in {usage:?}"))
}

/// Where the sandbox's kernel is a process of the host, a limit ends all of it; then it is the cause that is told.
async fn whole_ended(at: At<'_>, kind: LimitKind, value: u64, why: &str) -> Outcome {
    let report = at.sandbox.ended().await;
    let told = matches!(&report.cause, EndCause::Limit(met) if met.kind == kind && met.value == value);
    expect(told, || format!("{why}; ended as {report:?}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn wall_clock_ends_the_sandbox(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.wall_ms = 300;
    // It is not spoken to: some are not there for so long.
    let sandbox = subject.driver.create(spec).await.map_err(|error| format!("create: {error}"))?;
    let report = tokio::time::timeout(Duration::from_secs(10), sandbox.ended()).await;
    let report = report.map_err(|_| "the wall clock limit did not end it".to_owned())?;
    expect(matches!(&report.cause, EndCause::Limit(met) if met.kind == LimitKind::Wall && met.value == 300), || {
        format!("ended as {report:?}")
    })?;
    subject.driver.destroy(sandbox.id).await.map(drop).map_err(|error| error.to_string())
}

pub(super) async fn processes_are_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.processes = 40;
    let at = At::with(subject, spec).await?;
    let before = at.usage().await?;
    // Every one that could be started tells so; the shell gives up at the first refusal.
    let did = match at.sh("i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); echo started; done").await {
        Ok(did) => did,
        Err(why) => return whole_ended(at, LimitKind::Processes, 40, &why).await,
    };
    let started = did.stdout.lines().count();
    expect((10..=40).contains(&started), || format!("{started} processes of 40"))?;
    let usage = at.usage().await?;
    names(&usage, LimitKind::Processes, 40)?;
    expect(usage.met_since(&before).count() == 1, || format!("{before:?} to {usage:?}"))?;
    at.session.kill_all().await.map_err(|error| error.to_string())?;
    at.out("echo alive").await?;
    at.destroy().await.map(drop)
}

pub(super) async fn memory_is_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.memory_bytes = 64 * MIB;
    let at = At::with(subject, spec).await?;
    // `tail` keeps all of what has no line break.
    let did = match at.sh("head -c 400000000 /dev/zero | tail -n 1 > /dev/null; echo survived").await {
        Ok(did) => did,
        Err(why) => return whole_ended(at, LimitKind::Memory, 64 * MIB, &why).await,
    };
    let usage = at.usage().await?;
    names(&usage, LimitKind::Memory, 64 * MIB)?;
    let peak = usage.memory_peak_bytes.unwrap_or(0);
    expect(peak <= 64 * MIB * 21 / 20, || format!("{peak} bytes at the peak, {did:?}"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn the_writable_layer_is_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.disk_bytes = 8 * MIB;
    let at = At::with(subject, spec).await?;
    let did = at.sh("cat /dev/zero > big").await?;
    expect(did.code != 0 && did.stderr.contains("No space"), || format!("{did:?}"))?;
    let usage = at.usage().await?;
    names(&usage, LimitKind::Disk, 8 * MIB)?;
    at.out("rm big; echo fits > small").await?;
    let usage = at.usage().await?;
    expect(usage.limits_met.is_empty(), || format!("{usage:?} after it was freed"))?;
    at.destroy().await.map(drop)
}

pub(super) async fn a_file_system_in_memory_is_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    let tmpfs = |path: &str, bytes| Tmpfs { path: path.into(), bytes, mode: 0o1777, exec: false };
    spec.tmpfs = vec![tmpfs("/cache/a", 2 * MIB), tmpfs("/cache/b", MIB)];
    let at = At::with(subject, spec).await?;
    let did = at.sh("cat /dev/zero > /cache/b/big").await?;
    expect(did.code != 0 && did.stderr.contains("No space"), || format!("{did:?}"))?;
    names(&at.usage().await?, LimitKind::Tmpfs, MIB)?;
    at.destroy().await.map(drop)
}

pub(super) async fn files_are_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.inodes = 200;
    let at = At::with(subject, spec).await?;
    let did = at.sh("i=0; while [ $i -lt 500 ]; do : > f$i || exit 1; i=$((i+1)); done").await?;
    expect(did.code != 0 && did.stderr.contains("No space"), || format!("{did:?}"))?;
    names(&at.usage().await?, LimitKind::Inodes, 200)?;
    at.destroy().await.map(drop)
}

pub(super) async fn open_files_are_limited(subject: &Subject<'_>) -> Outcome {
    let mut spec = (subject.spec)();
    spec.limits.open_files = 64;
    let at = At::with(subject, spec).await?;
    let limit = at.out("ulimit -n; ulimit -Hn; ulimit -c").await?;
    expect(limit == "64\n64\n0", || limit.clone())?;
    at.destroy().await.map(drop)
}
