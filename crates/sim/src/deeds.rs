//! What agents have done and said, as nobody but the simulation knows it.

use std::collections::BTreeMap;

use model::ids::RequestId;
use wire::agent::Lease;

/// What was said of one lease.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// Of each thing in its order, whether it was a line.
    pub(crate) is_line: Vec<bool>,
    /// So many of them the agent was told are kept.
    pub(crate) kept: usize,
}

/// Everything that matters of all agents, whatever has become of them.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    /// Who has begun which request of a run.
    performed: BTreeMap<(u64, RequestId), Lease>,
    items: BTreeMap<Lease, Items>,
    leases: BTreeMap<Lease, usize>,
}

impl Deeds {
    /// An agent hears that it has a lease.
    pub(crate) fn leased(&mut self, agent: usize, lease: Lease) -> Result<(), String> {
        match self.leases.insert(lease, agent) {
            Some(other) if other != agent => {
                Err(format!("{} epoch {} is agent {agent}'s, and was agent {other}'s", lease.run, lease.epoch))
            }
            _ => Ok(()),
        }
    }

    /// An agent begins to do something that changes the world.
    pub(crate) fn performs(&mut self, lease: Lease, id: RequestId) -> Result<(), String> {
        match self.performed.insert((lease.run.0, id), lease) {
            None => Ok(()),
            Some(before) => Err(format!(
                "{id} of {} is performed twice: in epoch {} and in epoch {}",
                lease.run, before.epoch, lease.epoch
            )),
        }
    }

    /// An agent has something to say. Its number within the lease.
    pub(crate) fn happened(&mut self, lease: Lease, is_line: bool) -> usize {
        let items = self.items.entry(lease).or_default();
        items.is_line.push(is_line);
        items.is_line.len() - 1
    }

    /// So many things more are kept, the server says.
    pub(crate) fn kept(&mut self, lease: Lease, more: usize) {
        self.items.entry(lease).or_default().kept += more;
    }

    /// What was said of a run, by epoch.
    pub(crate) fn of_run(&self, run: model::ids::RunId) -> impl Iterator<Item = (u64, &Items)> {
        let of = |epoch| Lease { run, epoch };
        self.items.range(of(0)..=of(u64::MAX)).map(|(lease, items)| (lease.epoch, items))
    }

    /// Nobody asks for this run any more.
    pub(crate) fn forget(&mut self, run: model::ids::RunId) {
        self.items.retain(|lease, _| lease.run != run);
        self.leases.retain(|lease, _| lease.run != run);
        self.performed.retain(|(of, _), _| *of != run.0);
    }
}
