//! The token of a lease: said to the agent that has it, and wanted with whatever comes for it over another connection than the agent's own.
//!
//! It is a MAC (HMAC-SHA-256, RFC 2104) over the lease and its agent under a key of the server, so that it outlives a restart and is in
//! no database. What it opens is over with the lease, as the database has it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wire::agent::{Lease, LeaseToken};

use crate::seal::{Keys, SealingKey};
use crate::{Store, StoreError};

/// How the text of a token begins.
const WORD: &str = "cfl_";

fn mac(key: &SealingKey, lease: Lease, agent: u64) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.of_leases()).ok()?;
    for number in [lease.run.0, lease.epoch, agent] {
        mac.update(&number.to_be_bytes());
    }
    Some(mac)
}

impl Keys {
    /// The token of a lease of this agent's.
    pub fn lease_token(&self, lease: Lease, agent: u64) -> Option<LeaseToken> {
        let tag = mac(self.own(), lease, agent)?.finalize().into_bytes();
        let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(LeaseToken(format!("{WORD}{digits}")))
    }

    /// In constant time; with a former key too, for an agent keeps its leases when the server's key is changed.
    fn is_lease_token(&self, lease: Lease, agent: u64, token: &str) -> bool {
        let digits = token.strip_prefix(WORD).filter(|digits| digits.len() == 64 && digits.is_ascii());
        let bytes = digits.and_then(|digits| {
            (0..64)
                .step_by(2)
                .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
                .collect::<Option<Vec<_>>>()
        });
        let Some(bytes) = bytes else { return false };
        self.all().any(|key| mac(key, lease, agent).is_some_and(|mac| mac.verify_slice(&bytes).is_ok()))
    }
}

impl Store {
    /// The token of a lease that this agent has.
    ///
    /// # Errors
    /// There are no keys ([`Store::unlock`]).
    pub fn lease_token(&self, lease: Lease, agent: u64) -> Result<LeaseToken, StoreError> {
        self.keys()?.lease_token(lease, agent).ok_or(StoreError::Locked)
    }

    /// Whether that is this lease's token, for this agent. Whether it has the lease still is asked elsewhere.
    ///
    /// # Errors
    /// There are no keys.
    pub fn is_lease_token(&self, lease: Lease, agent: u64, token: &str) -> Result<bool, StoreError> {
        Ok(self.keys()?.is_lease_token(lease, agent, token))
    }
}

#[cfg(test)]
mod tests {
    use model::ids::{JobId, RunId};

    use super::*;

    #[test]
    fn a_token_is_of_one_lease_of_one_agent() {
        let key = |digit: &str| SealingKey::parse(&format!("cfs_{}", digit.repeat(64))).unwrap();
        let keys = Keys::new(key("1"), Vec::new());
        let lease = Lease { run: RunId(7), epoch: 2 };
        let LeaseToken(token) = keys.lease_token(lease, 3).unwrap();
        assert!(keys.is_lease_token(lease, 3, &token));
        let others = [(lease, 4), (Lease { epoch: 3, ..lease }, 3), (Lease { run: RunId(8), ..lease }, 3)];
        for (lease, agent) in others.into_iter().chain([(Lease::of_job(RunId(7), JobId(2)), 3)]) {
            assert!(!keys.is_lease_token(lease, agent, &token), "{lease:?} {agent}");
        }
        let wrong =
            ["", WORD, &token[4..], &token[..token.len() - 1], &format!("{token}0"), &token.replace("cfl", "cfk")];
        for wrong in wrong.into_iter().chain([&*"é".repeat(34), &*format!("{WORD}{}", "0".repeat(64))]) {
            assert!(!keys.is_lease_token(lease, 3, wrong), "{wrong}");
        }
        let next = Keys::new(key("2"), vec![key("1")]);
        assert!(next.is_lease_token(lease, 3, &token), "of a former key");
        assert!(!Keys::new(key("2"), Vec::new()).is_lease_token(lease, 3, &token), "of another key");
        let shown = format!("{:?}", keys.lease_token(lease, 3));
        assert!(!shown.contains(&token[8..16]), "{shown}");
    }
}
