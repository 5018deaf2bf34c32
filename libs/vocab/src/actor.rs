//! Who did something, and in which role.

use std::collections::BTreeSet;

use crate::{Invalid, excerpt};

/// A role a person or service holds, e.g. `engineering_lead`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Box<str>);

impl Role {
    /// Checks a role name: 1 to 63 of `a-z`, `0-9`, `_`, beginning with a letter.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let good = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if good {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new(format!(
            "`{}` is not a role: expected 1 to 63 of a-z, 0-9 and _, e.g. engineering_lead",
            excerpt(text)
        )))
    }

    /// The role as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who gives a command. Taken from the connection's identity, never from a request's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The person or service, e.g. `ada@example.com` or `rollout-service`.
    pub subject: String,
    /// The roles held.
    pub roles: BTreeSet<Role>,
    /// False where no authentication is configured and the name is only claimed.
    pub authenticated: bool,
}

impl Actor {
    /// A part of Softlaunch acting by itself.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { subject: format!("system:{name}"), roles: BTreeSet::new(), authenticated: true }
    }

    /// Checks the name of a subject: 1 to 128 printable ASCII characters without spaces.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn check_subject(text: &str) -> Result<String, Invalid> {
        if (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        Err(Invalid::new(format!(
            "`{}` is not a name of a person or service: expected 1 to 128 printable ASCII \
             characters without spaces",
            excerpt(text)
        )))
    }

    /// Whether the actor holds `role`.
    #[must_use]
    pub fn holds(&self, role: &Role) -> bool {
        self.roles.contains(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_or_subject_that_could_break_a_line_is_refused() {
        assert!(Role::new("Engineering Lead").is_err());
        assert!(Role::new("").is_err());
        assert!(Actor::check_subject("a\nb").is_err());
        assert!(Actor::check_subject("").is_err());
        assert_eq!(Role::new("sre_lead").unwrap().as_str(), "sre_lead");
    }
}
