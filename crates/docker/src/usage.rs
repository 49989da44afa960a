//! What a container uses, as far as an engine says.

use std::time::Duration;

use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;
use model::limits::Limits;
use sandbox::{LimitKind, LimitMet, Usage};

use crate::engine::Engine;
use crate::oom::Ooms;

/// An engine that takes longer does not say.
const PATIENCE: Duration = Duration::from_secs(5);
/// With so little left, the limit was met.
const NEAR_BYTES: u64 = 1 << 20;

/// What a living container uses. Its peak is known with the first version of cgroups only; processes that were refused, the size
/// of the writable layer and its files are known to no engine, or at the price of a walk through all of them.
pub(crate) async fn measure(engine: &Engine, container: &str, ooms: &Ooms, limits: &Limits) -> Option<Usage> {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut stats = std::pin::pin!(engine.client.stats(container, Some(options)));
    let stats = tokio::time::timeout(PATIENCE, stats.next()).await.ok()??.ok()?;
    let memory = stats.memory_stats.unwrap_or_default();
    let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|usage| usage.total_usage);
    // A container that has just ended has empty statistics.
    memory.usage?;
    let near = memory.max_usage.is_none_or(|peak| peak + NEAR_BYTES >= limits.memory_bytes);
    let kills = ooms.of(container, near).await;
    Some(Usage {
        memory_peak_bytes: memory.max_usage,
        cpu_us: cpu.map(|nanoseconds| nanoseconds / 1000),
        limits_met: met(kills, limits),
        ..Usage::default()
    })
}

/// What a container that has ended had met, beside what was measured last.
pub(crate) async fn last(mut measured: Usage, container: &str, ooms: &Ooms, limits: &Limits, killed: bool) -> Usage {
    measured.limits_met = met(ooms.of(container, killed).await, limits);
    measured
}

fn met(kills: u64, limits: &Limits) -> Vec<LimitMet> {
    let met = LimitMet { kind: LimitKind::Memory, value: limits.memory_bytes, times: kills };
    if kills > 0 { vec![met] } else { Vec::new() }
}
