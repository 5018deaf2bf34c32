//! Names of things. Every name is short, printable ASCII, and safe inside a storage key.

use crate::{Invalid, excerpt};

const NAME_LENGTH_MAX: usize = 128; // Bounds keys, labels and log lines.

/// Which bytes a name is made of: a table, since names are checked by the thousand.
const fn allowed(extra: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut place = 0;
    while place < extra.len() {
        table[extra[place] as usize] = true;
        place += 1;
    }
    table
}

fn check(
    kind: &str,
    text: &str,
    extra: &[u8],
    allowed: &[bool; 256],
    max: usize,
) -> Result<(), Invalid> {
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if text.len() <= max && starts_well && text.bytes().all(|byte| allowed[usize::from(byte)]) {
        return Ok(());
    }
    let extra: String = extra.iter().map(|byte| format!(" `{}`", char::from(*byte))).collect();
    Err(Invalid::new(format!(
        "`{}` is not a {kind}: expected 1 to {max} ASCII letters, digits or{extra}, beginning with \
         a letter or digit",
        excerpt(text)
    )))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $extra:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            /// Says which characters and lengths are allowed.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                Self::check(text).map(|()| Self(text.into()))
            }

            /// Checks `text` as [`Self::new`] does, for those who keep it elsewhere.
            ///
            /// # Errors
            /// Says which characters and lengths are allowed.
            pub fn check(text: &str) -> Result<(), Invalid> {
                const ALLOWED: [bool; 256] = allowed($extra);
                check($kind, text, $extra, &ALLOWED, $max)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// The key of a flag, e.g. `ingestion_v2_enabled`. Never reused.
    FlagKey, "flag key", b"_-.", NAME_LENGTH_MAX
);
name!(
    /// A workspace: the targeting key of every flag, e.g. `canary-ws-1`.
    WorkspaceId, "workspace id", b"_-.:@", NAME_LENGTH_MAX
);
name!(
    /// A pipeline under rollout, e.g. `ingestion_v2`.
    PipelineId, "pipeline id", b"_-.", 63
);
name!(
    /// A phase of a plan, e.g. `P0`.
    PhaseId, "phase id", b"_-", 63
);
name!(
    /// One upload, chosen by the worker; the key under which quota is counted once.
    UploadId, "upload id", b"_-.:", NAME_LENGTH_MAX
);
name!(
    /// The last part of a resource name, e.g. `gate-0` in `rollouts/r/gates/gate-0`.
    ResourceId, "resource id", b"_-.", 63
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_separator_or_a_control_character_is_refused() {
        for bad in ["", "a/b", "{x}", "a b", "-a", "a\n", "ä", &"x".repeat(129)] {
            assert!(FlagKey::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(FlagKey::new("ingestion_v2_enabled").unwrap().as_str(), "ingestion_v2_enabled");
    }

    #[test]
    fn the_refusal_says_what_would_be_right() {
        let refusal = WorkspaceId::new("a/b").unwrap_err().to_string();
        assert!(refusal.contains("`a/b` is not a workspace id"), "{refusal}");
        assert!(refusal.contains("1 to 128 ASCII letters"), "{refusal}");
    }
}
