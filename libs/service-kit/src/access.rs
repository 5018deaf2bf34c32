//! Who may call what: the roles, the services, and the one table of both.
//!
//! **Invariant:** a method that is not in [`POLICY`] may be called by nobody, once callers are
//! authenticated.

mod policy;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::calls::{labels, word};
use crate::lanes::Lane;
use crate::streams::STREAMS;

pub use policy::POLICY;

/// What a person or a worker is let in for. Not a ladder: an approver need not be an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Asks for flags, obeys kill switches, reports outcomes.
    Worker,
    /// Looks at everything, and changes nothing.
    Viewer,
    /// Conducts: starts, advances, pauses, rolls back, edits flags, sends messages.
    Operator,
    /// Approves plans and gates, attests, releases kill switches.
    Approver,
    /// Looks after the installation. Raises no exposure and approves nothing.
    Admin,
}

impl Access {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Worker, Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// As it is written in a token file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl Access {
    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A service of ours, known by its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// Keeps flags.
    Flag,
    /// Judges gates.
    Gate,
    /// Stops work.
    Killswitch,
    /// Tells people.
    Comms,
    /// Conducts rollouts.
    Rollout,
}

impl Noun {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Flag, Self::Gate, Self::Killswitch, Self::Comms, Self::Rollout];

    /// As it is written in a certificate.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Gate => "gate",
            Self::Killswitch => "killswitch",
            Self::Comms => "comms",
            Self::Rollout => "rollout",
        }
    }

    /// The service of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|noun| noun.as_str() == name)
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody, without saying who they are.
    Everybody,
    /// People and workers in one of these roles, and these services.
    Only(&'static [Access], &'static [Noun]),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The method, as it is called: `/package.Service/Method`.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
}

impl Rule {
    /// Whether one of the roles is enough.
    #[must_use]
    pub fn admits(&self, held: &[Access]) -> bool {
        match self.who {
            Who::Everybody => true,
            Who::Only(roles, _) => roles.iter().any(|role| held.contains(role)),
        }
    }

    /// Whether the service may call.
    #[must_use]
    pub fn admits_service(&self, noun: Noun) -> bool {
        match self.who {
            Who::Everybody => true,
            Who::Only(_, services) => services.contains(&noun),
        }
    }

    /// The roles and services it asks for, for people to read.
    #[must_use]
    pub fn needs(&self) -> String {
        match self.who {
            Who::Everybody => "nothing".to_owned(),
            Who::Only(roles, services) => {
                let roles = roles.iter().map(ToString::to_string);
                let services = services.iter().map(|noun| format!("the {noun} service"));
                roles.chain(services).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Anything below this path is one method: OFREP names the flag in its path.
const OFREP_FLAGS: &str = "/ofrep/v1/evaluate/flags/";
const OFREP_FLAG: &str = "/ofrep/v1/evaluate/flags/{key}";

/// A method that there is, and what is to be known of it whenever it is called.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) rule: &'static Rule,
    /// As metrics name it: the service, e.g. `softlaunch.flag.v1.FlagService`,
    pub(crate) service: &'static str,
    /// and the method, e.g. `GetFlag`.
    pub(crate) name: &'static str,
    pub(crate) lane: Lane,
    /// Whether it is answered with a stream.
    pub(crate) streams: bool,
    /// The labels of a call that was answered well.
    pub(crate) labels: [KeyValue; 3],
}

impl Method {
    fn of(rule: &'static Rule) -> Self {
        let path = rule.path.trim_start_matches('/');
        let (service, name) = path.split_once('/').unwrap_or((path, ""));
        let (lane, streams) = (Lane::of(rule.path), STREAMS.contains(&rule.path));
        let labels = labels(service.into(), name.into(), word(Code::Ok).into());
        Self { rule, service, name, lane, streams, labels }
    }
}

/// The method of a path. Paths are compared as they are: `//`, `%2e` and other spellings are none.
pub(crate) fn method(path: &str) -> Option<&'static Method> {
    static BY_PATH: LazyLock<HashMap<&str, Method, RandomState>> =
        LazyLock::new(|| POLICY.iter().map(|rule| (rule.path, Method::of(rule))).collect());
    let known = match path.strip_prefix(OFREP_FLAGS) {
        Some(key) if !key.is_empty() && !key.contains('/') => OFREP_FLAG,
        Some(_) | None => path,
    };
    BY_PATH.get(known)
}

/// The row of a method. Paths are compared as they are: `//`, `%2e` and other spellings are none.
#[must_use]
pub fn rule(path: &str) -> Option<&'static Rule> {
    method(path).map(|method| method.rule)
}

/// The table as Markdown, for `docs/identity.md`.
#[must_use]
pub fn table() -> String {
    let mut text =
        String::from("| method | worker | viewer | operator | approver | admin | services |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for rule in POLICY {
        let path = rule.path.trim_start_matches('/');
        let roles = Access::ALL.map(|role| if rule.admits(&[role]) { "yes" } else { "" });
        let services = match rule.who {
            Who::Everybody => "everybody, without credentials".to_owned(),
            Who::Only(_, services) => {
                services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        };
        text.push_str(&format!("| `{path}` | {} | {services} |\n", roles.join(" | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_only_as_it_is_spelt() {
        let get = "/softlaunch.flag.v1.FlagService/GetFlag";
        assert!(rule(get).is_some());
        for other in [
            "//softlaunch.flag.v1.FlagService/GetFlag",
            "/softlaunch.flag.v1.FlagService/getflag",
            "/softlaunch.flag.v1.FlagService/GetFlag/",
            "/softlaunch%2eflag.v1.FlagService/GetFlag",
            "/softlaunch.flag.v1.FlagService",
            "",
        ] {
            assert!(rule(other).is_none(), "{other}");
        }
    }

    #[test]
    fn every_flag_below_ofrep_is_the_same_method() {
        assert!(rule("/ofrep/v1/evaluate/flags").is_some());
        assert!(rule("/ofrep/v1/evaluate/flags/ingestion_v2_enabled").is_some());
        assert!(rule("/ofrep/v1/evaluate/flags/").is_none());
        assert!(rule("/ofrep/v1/evaluate/flags/a/b").is_none());
    }

    #[test]
    fn every_stream_has_a_row() {
        let streams = POLICY.iter().filter(|rule| method(rule.path).is_some_and(|one| one.streams));
        assert_eq!(streams.count(), STREAMS.len());
    }

    #[test]
    fn no_method_has_two_rows() {
        let paths: std::collections::BTreeSet<_> = POLICY.iter().map(|rule| rule.path).collect();
        assert_eq!(paths.len(), POLICY.len());
    }

    #[test]
    fn an_admin_raises_nothing_and_approves_nothing() {
        for method in ["RolloutService/ApproveGate", "RolloutService/AdvanceRollout"] {
            let path = format!("/softlaunch.rollout.v1.{method}");
            assert!(!rule(&path).unwrap().admits(&[Access::Admin]), "{path}");
        }
    }

    #[test]
    fn a_viewer_stops_nothing_and_everybody_else_but_a_worker_stops_at_once() {
        let engage = rule("/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch").unwrap();
        let may: Vec<_> = Access::ALL.into_iter().filter(|role| engage.admits(&[*role])).collect();
        assert_eq!(may, [Access::Operator, Access::Approver, Access::Admin]);
    }
}
