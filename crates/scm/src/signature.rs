//! Whether it is the forge that speaks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{Forge, Headers, Refused};

/// Whether a body was signed with this secret: on its bytes as they came, in constant time. Without a secret nothing is believed.
///
/// # Errors
/// [`Refused::Signature`].
pub fn verify(forge: Forge, headers: &dyn Headers, body: &[u8], secret: &str) -> Result<(), Refused> {
    if secret.is_empty() {
        return Err(Refused::Signature);
    }
    match forge {
        Forge::Github | Forge::Bitbucket | Forge::BitbucketDataCenter => {
            let header = if forge == Forge::Github { "x-hub-signature-256" } else { "x-hub-signature" };
            let signature =
                headers.get(header).and_then(|value| value.strip_prefix("sha256=")).ok_or(Refused::Signature)?;
            signed(body, secret, signature)
        }
        Forge::Gitea => {
            let signature = headers.get("x-gitea-signature").or_else(|| headers.get("x-forgejo-signature"));
            signed(body, secret, signature.ok_or(Refused::Signature)?)
        }
        // No signature, but the secret itself. Digests of both are compared, so that the time tells nothing of it.
        Forge::Gitlab => {
            let token = headers.get("x-gitlab-token").ok_or(Refused::Signature)?;
            let [theirs, ours] = [token, secret].map(Sha256::digest);
            let differs = theirs.iter().zip(ours.iter()).fold(0, |differs, (one, other)| differs | (one ^ other));
            if differs == 0 { Ok(()) } else { Err(Refused::Signature) }
        }
    }
}

fn signed(body: &[u8], secret: &str, signature: &str) -> Result<(), Refused> {
    let signature = bytes(signature).ok_or(Refused::Signature)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| Refused::Signature)?;
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Refused::Signature)
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    (0..64).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}
