//! The file that tokens are kept in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vocab::{Actor, Role, Timestamp, excerpt};

use super::{ID_LENGTH, Known, Principal, Tokens};
use crate::access::Access;

/// Begin the names of services, and of those who stopped work past them.
const RESERVED: [&str; 2] = ["system:", "offline:"];
const TOKENS_MAX: usize = 10_000; // Looked up in memory by every replica of every service.

/// A token file, as it is written down.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    /// The tokens.
    #[serde(default)]
    pub token: Vec<TokenEntry>,
}

/// A token, as it is written down: no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// By what it is found: the eight characters after `slt_`.
    pub id: String,
    /// SHA-256 of the whole token, in hexadecimal.
    pub sha256: String,
    /// The person or worker. All tokens of one human have the same, so that two people are two.
    pub subject: String,
    /// What it is good for.
    pub access: Vec<Access>,
    /// Roles held in plans, e.g. `engineering_lead`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holding: Vec<String>,
    /// From when on, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Until when, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl TokenFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Says where it is malformed.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Checks every token.
    ///
    /// # Errors
    /// Names the token and what is wrong with it.
    pub fn check(&self) -> Result<Tokens, String> {
        if self.token.len() > TOKENS_MAX {
            return Err(format!("{} tokens are too many: {TOKENS_MAX} at most", self.token.len()));
        }
        let mut by_id = HashMap::new();
        let mut spellings = BTreeMap::new();
        for entry in &self.token {
            let shown = excerpt(&entry.id);
            let known = entry.check().map_err(|why| format!("token `{shown}`: {why}"))?;
            let subject = &entry.subject;
            let spelt = spellings.entry(subject.to_lowercase()).or_insert(subject);
            if *spelt != subject {
                // Or one person could approve as two.
                return Err(format!("token `{shown}`: `{subject}` is spelt `{spelt}` elsewhere"));
            }
            if by_id.insert(entry.id.clone(), known).is_some() {
                return Err(format!("token `{shown}` is there twice"));
            }
        }
        Ok(Tokens { by_id })
    }
}

impl TokenEntry {
    fn check(&self) -> Result<Known, String> {
        let plain = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if self.id.len() != ID_LENGTH || !self.id.chars().all(plain) {
            return Err(format!("an id is {ID_LENGTH} of 0-9 and a-f"));
        }
        let sha256 = unhex(&self.sha256).ok_or("sha256 is 64 of 0-9 and a-f")?;
        let subject = Actor::check_subject(&self.subject).map_err(|why| why.to_string())?;
        if RESERVED.iter().any(|prefix| subject.to_lowercase().starts_with(prefix)) {
            return Err(format!("names with {} are Softlaunch's own", RESERVED.join(" or ")));
        }
        if self.access.is_empty() {
            return Err("access: names no role, e.g. viewer".to_owned());
        }
        let roles = self.holding.iter().map(|role| Role::new(role));
        let roles = roles.collect::<Result<BTreeSet<_>, _>>().map_err(|why| why.to_string())?;
        let instant = |text: &Option<String>| {
            let read = text.as_deref().map(Timestamp::parse).transpose();
            read.map_err(|why| why.to_string())
        };
        let (not_before, expires) = (instant(&self.not_before)?, instant(&self.expires)?);
        let actor = Actor { subject, roles, authenticated: true };
        let principal =
            Arc::new(Principal { token: self.id.clone(), actor, access: self.access.clone() });
        Ok(Known { sha256, not_before, expires, principal })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let lower = text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    if text.len() != 64 || !lower {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
