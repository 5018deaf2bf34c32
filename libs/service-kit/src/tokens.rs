//! Bearer tokens of people and workers: kept as hashes in a file, compared in constant time.
//!
//! A token is `slt_`, eight characters by which it is found, and 256 random bits. Bits that nobody
//! can guess need no slow hash: plain SHA-256 is enough, and cannot be used to keep us busy.

mod file;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use vocab::{Actor, Timestamp};

use crate::access::Access;

pub use file::{TokenEntry, TokenFile};

const PREFIX: &str = "slt_";
const ID_LENGTH: usize = 8;
const SECRET_BYTES: usize = 32;
const TOKEN_LENGTH_MAX: usize = 128;

/// Whoever holds a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token, by its id.
    pub token: String,
    /// The person or worker, with the roles they hold in plans.
    pub actor: Actor,
    /// What they are let in for.
    pub access: Vec<Access>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It is none of ours: another form, an id that is not in the file, or another secret.
    Unknown,
    /// It is ours, and not to be used yet.
    NotYet,
    /// It was ours.
    Expired,
}

#[derive(Debug)]
struct Known {
    sha256: [u8; 32],
    not_before: Option<Timestamp>,
    expires: Option<Timestamp>,
    principal: Arc<Principal>,
}

/// The tokens of a file.
#[derive(Debug, Default)]
pub struct Tokens {
    by_id: HashMap<String, Known>,
}

/// Proof that the secret of a token was shown, to be looked at again while a stream lasts.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    id: String,
    sha256: [u8; 32],
}

impl Shown {
    /// Reads a token as it was presented.
    fn read(presented: &str) -> Result<Self, Denied> {
        let id = presented
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .map(|(id, _secret)| id)
            .filter(|id| id.len() == ID_LENGTH && presented.len() <= TOKEN_LENGTH_MAX)
            .ok_or(Denied::Unknown)?;
        Ok(Self { id: id.to_owned(), sha256: Sha256::digest(presented.as_bytes()).into() })
    }
}

impl Tokens {
    /// Whose the presented token is.
    ///
    /// # Errors
    /// Says why it is not taken; nothing of the token is in that.
    pub fn verify(&self, presented: &str, now: Timestamp) -> Result<Arc<Principal>, Denied> {
        self.show(presented, now).map(|(_, principal)| principal)
    }

    pub(crate) fn show(
        &self,
        presented: &str,
        now: Timestamp,
    ) -> Result<(Shown, Arc<Principal>), Denied> {
        let shown = Shown::read(presented)?;
        let principal = self.look_again(&shown, now)?;
        Ok((shown, principal))
    }

    /// Whose the token is now, that was shown before.
    pub(crate) fn look_again(
        &self,
        shown: &Shown,
        now: Timestamp,
    ) -> Result<Arc<Principal>, Denied> {
        let known = self.by_id.get(&shown.id).ok_or(Denied::Unknown)?;
        if !bool::from(known.sha256.ct_eq(&shown.sha256)) {
            return Err(Denied::Unknown);
        }
        if known.not_before.is_some_and(|from| now < from) {
            return Err(Denied::NotYet);
        }
        if known.expires.is_some_and(|until| now >= until) {
            return Err(Denied::Expired);
        }
        Ok(Arc::clone(&known.principal))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// A new token: what its holder keeps, and its id and hash for the file.
#[derive(Clone)]
pub struct Minted {
    /// Shown once, to its holder.
    pub secret: String,
    /// By what it is found.
    pub id: String,
    /// In hexadecimal.
    pub sha256: String,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a token.
///
/// # Errors
/// Fails where the system has no randomness.
pub fn mint() -> Result<Minted, String> {
    let random = SystemRandom::new();
    let (mut id, mut secret) = ([0; ID_LENGTH / 2], [0; SECRET_BYTES]);
    let failed = |_error| "the system has no randomness to give".to_owned();
    random.fill(&mut id).map_err(failed)?;
    random.fill(&mut secret).map_err(failed)?;
    let id = file::hex(&id);
    let secret = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let sha256 = file::hex(&Sha256::digest(secret.as_bytes()));
    Ok(Minted { secret, id, sha256 })
}

#[cfg(test)]
mod tests;
