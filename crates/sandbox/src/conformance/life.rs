//! Beginning and end.

use std::time::Duration;

use model::ids::SandboxId;

use super::at::{At, expect, say};
use super::{Outcome, Subject};
use crate::{CreateError, DriverError, EndCause, LayerSource, RootSpec, Tmpfs};

pub(super) async fn a_sandbox_starts_and_greets(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let ended = at.sandbox.ended();
    let report = at.destroy().await?;
    expect(report.cause == EndCause::Destroyed, || format!("ended as {report:?}"))?;
    expect(ended.await == report, || "two different ends".into())
}

pub(super) async fn destroy_is_idempotent_and_concurrent(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let id = at.sandbox.id;
    let (one, two) = tokio::join!(subject.driver.destroy(id), subject.driver.destroy(id));
    let (one, two) = (one.map_err(say)?, two.map_err(say)?);
    let three = subject.driver.destroy(id).await.map_err(say)?;
    expect(one == two && two == three, || format!("{one:?}, {two:?}, {three:?}"))?;
    let usage = subject.driver.usage(id).await.map_err(say)?;
    expect(usage == one.usage, || "the usage after the end is another".into())
}

pub(super) async fn an_unknown_sandbox_is_an_error(subject: &Subject<'_>) -> Outcome {
    let id = SandboxId(u64::MAX - 7);
    let destroyed = subject.driver.destroy(id).await;
    expect(matches!(destroyed, Err(DriverError::Unknown { .. })), || format!("destroy: {destroyed:?}"))?;
    let usage = subject.driver.usage(id).await;
    expect(matches!(usage, Err(DriverError::Unknown { .. })), || format!("usage: {usage:?}"))
}

pub(super) async fn a_sandbox_that_shuts_down_has_exited(subject: &Subject<'_>) -> Outcome {
    let at = At::new(subject).await?;
    let ended = at.sandbox.ended();
    at.session.shutdown().await.map_err(say)?;
    let report = ended.await;
    expect(report.cause == EndCause::Exited(0), || format!("ended as {report:?}"))?;
    let destroyed = at.destroy().await?;
    expect(destroyed == report, || "destroy reports another end".into())
}

pub(super) async fn a_sandbox_that_nobody_waits_for_is_not_made(subject: &Subject<'_>) -> Outcome {
    for micros in [0, 50, 200, 1000, 3000] {
        let create = subject.driver.create((subject.spec)());
        // Whether it was made in that time or not, it is not ours any more.
        if let Ok(made) = tokio::time::timeout(Duration::from_micros(micros), create).await {
            subject.driver.destroy(made.map_err(say)?.id).await.map_err(say)?;
        }
    }
    let at = At::new(subject).await?;
    at.destroy().await.map(drop)
}

pub(super) async fn many_start_at_once(subject: &Subject<'_>) -> Outcome {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(Box::pin(async {
            let at = At::new(subject).await?;
            let report = at.destroy().await?;
            expect(report.cause == EndCause::Destroyed, || format!("ended as {report:?}"))
        }));
    }
    // Polled together by hand: nothing here may depend on a runtime of several threads.
    std::future::poll_fn(|context| {
        let mut failed = None;
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(result) => {
                failed = failed.take().or(result.err());
                false
            }
        });
        match failed {
            Some(why) => std::task::Poll::Ready(Err(why)),
            None if all.is_empty() => std::task::Poll::Ready(Ok(())),
            None => std::task::Poll::Pending,
        }
    })
    .await
}

pub(super) async fn bad_specifications_are_refused(subject: &Subject<'_>) -> Outcome {
    let tmpfs = |path: &str| Tmpfs { path: path.into(), bytes: 4096, mode: 0o755, exec: false };
    let mut specs = Vec::new();
    for name in ["", "a b", "x\n", &"long".repeat(20)] {
        let mut spec = (subject.spec)();
        spec.hostname = Some(name.into());
        specs.push((format!("host name {name:?}"), spec));
    }
    for path in ["", "relative", "/", "//", "/a/../b", "/proc/self/fd/7", "/sys/x", "/dev/shm/x"] {
        let mut spec = (subject.spec)();
        spec.workspace.path = path.into();
        specs.push((format!("workspace {path:?}"), spec));
        let mut spec = (subject.spec)();
        spec.tmpfs = vec![tmpfs(path)];
        specs.push((format!("tmpfs {path:?}"), spec));
    }
    for (what, spec) in specs {
        let result = subject.driver.create(spec).await;
        expect(matches!(result, Err(CreateError::Spec { .. })), || format!("{what}: {result:?}"))?;
    }
    let mut spec = (subject.spec)();
    spec.workspace.share_with = Some(SandboxId(u64::MAX - 8));
    let result = subject.driver.create(spec).await;
    expect(matches!(result, Err(CreateError::SharedGone { .. })), || format!("shared with nobody: {result:?}"))?;
    let mut spec = (subject.spec)();
    if let RootSpec::Image(layers) = &mut spec.root {
        layers.push(LayerSource::Dir("/nowhere/at/all".into()));
        let result = subject.driver.create(spec).await;
        expect(matches!(result, Err(CreateError::Layer { .. })), || format!("a missing layer: {result:?}"))?;
    }
    Ok(())
}
