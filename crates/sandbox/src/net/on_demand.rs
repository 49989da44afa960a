//! A way out that is made when the first sandbox wants one: most runs that need none should not pay for it.

use std::fmt;

use tokio::sync::OnceCell;

use super::firewall;
use super::netlink::Socket;
use super::{Egress, EgressError, names};
use crate::{Connected, Connector, CreateError, Pending};

/// See the module.
pub struct EgressOnDemand {
    started: OnceCell<Egress>,
    ahead: usize,
}

impl fmt::Debug for EgressOnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressOnDemand").finish_non_exhaustive()
    }
}

impl EgressOnDemand {
    /// Nothing is made yet; `ahead` as for [`Egress::start`].
    pub fn new(ahead: usize) -> EgressOnDemand {
        EgressOnDemand { started: OnceCell::new(), ahead }
    }
}

/// What it has made stays connected until it is gone or `self` is dropped.
impl Connector for EgressOnDemand {
    fn connect(&self) -> Pending<'_, Result<Connected, CreateError>> {
        Box::pin(async move {
            let egress = self.started.get_or_try_init(async || Egress::start(Vec::new(), self.ahead)).await?;
            let made = egress.netns().await?;
            Ok((made.netns, made.resolv_conf))
        })
    }
}

/// Whether this process could give sandboxes a way out, without making one; the reason if not.
pub fn available() -> Result<(), EgressError> {
    if !rustix::process::geteuid().is_root() {
        return Err(EgressError::NotRoot);
    }
    if names::resolvers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()).is_empty() {
        return Err(EgressError::NoResolver);
    }
    Ok(())
}

/// What stands in the way although [`available`]: one sentence each, with what to do; for `doctor`.
pub fn obstacles() -> Vec<String> {
    let chains = Socket::open(libc::NETLINK_NETFILTER).and_then(|mut socket| firewall::dropping_chains(&mut socket));
    // Who may not look has no way out either, and was told so.
    let chains = chains.unwrap_or_default().into_iter();
    let sentence = |chain: String| {
        format!(
            "the host's firewall drops forwarded packets (chain {chain}); let the sandboxes' through: \
             iptables -I FORWARD -i cofferdam+ -j ACCEPT; \
             iptables -I FORWARD -o cofferdam+ -m state --state ESTABLISHED,RELATED -j ACCEPT"
        )
    };
    chains.map(sentence).collect()
}
