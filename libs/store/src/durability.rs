//! What a store promises of what it has acknowledged, and how that is known.

use std::fmt;

use vocab::Invalid;

use crate::error::StoreError;

/// What acknowledged data survives, least first. None of them survives the loss of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of a service, and nothing else: Redis without an append-only file, or one that
    /// evicts. Never enough.
    Memory,
    /// The crash of any process. A crash of the operating system or a power cut loses what was
    /// acknowledged in the last second or two: Redis with `appendfsync everysec`.
    ProcessCrash,
    /// Besides that, a crash of the operating system and a power cut, on a disk that tells the
    /// truth: on disk before acknowledged. Holds for a single primary: a failover to a copy may
    /// lose what the copy did not have yet.
    PowerLoss,
}

impl Durability {
    /// Reads `power-loss` or `process-crash`: what may be asked of a store.
    ///
    /// # Errors
    /// Says what is right.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "power-loss" => Ok(Self::PowerLoss),
            "process-crash" => Ok(Self::ProcessCrash),
            _ => Err(Invalid::new(format!(
                "`{}` is not a durability: expected power-loss or process-crash",
                vocab::excerpt(text)
            ))),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::ProcessCrash => "process-crash",
            Self::PowerLoss => "power-loss",
        })
    }
}

/// What a store was found to promise when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    facts: Vec<String>,
    shortfalls: Vec<Shortfall>,
}

/// Why a store does not promise more than `level`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shortfall {
    level: Durability,
    remedy: String,
}

impl Promise {
    /// What the embedded store promises: its writer answers after the commit is on disk.
    pub(crate) fn embedded() -> Self {
        let facts = vec!["embedded store: fsync before acknowledge".to_owned()];
        Self { facts, shortfalls: Vec::new() }
    }

    /// What a Redis server of `version` promises, by the answers to `CONFIG GET`: the value, or
    /// why it is not known.
    pub(crate) fn of_redis(version: &str, ask: impl Fn(&str) -> Result<String, String>) -> Self {
        use Durability::{Memory, ProcessCrash};
        let mut promise = Self { facts: vec![format!("redis {version}")], shortfalls: Vec::new() };
        for (setting, wanted, otherwise) in [
            ("appendonly", "yes", Memory),
            ("appendfsync", "always", ProcessCrash),
            ("no-appendfsync-on-rewrite", "no", ProcessCrash),
            ("maxmemory-policy", "noeviction", Memory),
        ] {
            let (level, remedy) = match ask(setting) {
                Ok(found) => {
                    promise.facts.push(format!("{setting} {found}"));
                    if found == wanted {
                        continue;
                    }
                    (otherwise, format!("{setting} is {found}: set it to {wanted}"))
                }
                Err(why) => {
                    promise.facts.push(format!("{setting} unknown"));
                    let remedy = format!(
                        "{setting} is not known ({why}): allow the user `CONFIG GET`, where it is \
                         {wanted}"
                    );
                    (ProcessCrash, remedy)
                }
            };
            promise.shortfalls.push(Shortfall { level, remedy });
        }
        promise
    }

    /// The highest level that can honestly be promised. What is not known counts as
    /// [`Durability::ProcessCrash`].
    #[must_use]
    pub fn level(&self) -> Durability {
        let levels = self.shortfalls.iter().map(|one| one.level);
        levels.min().unwrap_or(Durability::PowerLoss)
    }

    /// What the level was judged by, e.g. `appendfsync always`.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// Refuses a store that promises less than `wanted`.
    ///
    /// # Errors
    /// `Settings`, with every setting of the server that would have to change.
    pub fn require(&self, wanted: Durability) -> Result<(), StoreError> {
        let level = self.level();
        if level >= wanted {
            return Ok(());
        }
        let short = self.shortfalls.iter().filter(|one| one.level < wanted);
        let mut remedies = short.map(|one| one.remedy.clone()).collect::<Vec<_>>().join("; ");
        if level == Durability::ProcessCrash {
            remedies.push_str(", or allow store.durability = \"process-crash\"");
        }
        Err(StoreError::Settings(format!(
            "acknowledged data would survive {level} only, and store.durability asks for {wanted}: \
             {remedies}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(settings: [&str; 4]) -> Promise {
        Promise::of_redis("7.0.15", |name| {
            let names =
                ["appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy"];
            let at = names.iter().position(|one| *one == name);
            match at.map(|at| settings[at]) {
                Some("?") | None => Err("NOPERM".to_owned()),
                Some(value) => Ok(value.to_owned()),
            }
        })
    }

    #[test]
    fn a_level_is_the_least_of_what_every_setting_allows() {
        use Durability::{Memory, PowerLoss, ProcessCrash};
        for (settings, level) in [
            (["yes", "always", "no", "noeviction"], PowerLoss),
            (["yes", "everysec", "no", "noeviction"], ProcessCrash),
            (["yes", "no", "no", "noeviction"], ProcessCrash),
            (["yes", "always", "yes", "noeviction"], ProcessCrash),
            (["no", "always", "no", "noeviction"], Memory),
            (["yes", "always", "no", "allkeys-lru"], Memory),
            (["?", "?", "?", "?"], ProcessCrash),
            (["no", "?", "?", "?"], Memory),
        ] {
            assert_eq!(redis(settings).level(), level, "{settings:?}");
        }
        assert_eq!(Promise::embedded().level(), PowerLoss);
        assert!(Memory < ProcessCrash && ProcessCrash < PowerLoss);
    }

    #[test]
    fn a_refusal_names_what_falls_short_and_the_way_out_where_there_is_one() {
        let everysec = redis(["yes", "everysec", "no", "noeviction"]);
        let refusal = everysec.require(Durability::PowerLoss).unwrap_err().to_string();
        assert!(
            refusal.contains(
                "appendfsync is everysec: set it to always, or allow store.durability = \
                 \"process-crash\""
            ),
            "{refusal}"
        );
        everysec.require(Durability::ProcessCrash).unwrap();

        let none = redis(["no", "everysec", "no", "noeviction"]);
        let refusal = none.require(Durability::ProcessCrash).unwrap_err().to_string();
        assert!(refusal.contains("appendonly is no: set it to yes"), "{refusal}");
        assert!(!refusal.contains("everysec") && !refusal.contains("or allow"), "{refusal}");

        let silent = redis(["?", "?", "?", "?"]);
        let refusal = silent.require(Durability::PowerLoss).unwrap_err().to_string();
        assert!(refusal.contains("not known (NOPERM)"), "{refusal}");
        assert!(silent.facts().contains(&"appendfsync unknown".to_owned()));
        silent.require(Durability::ProcessCrash).unwrap();
    }

    #[test]
    fn only_what_is_worth_asking_for_can_be_asked_for() {
        for level in [Durability::ProcessCrash, Durability::PowerLoss] {
            assert_eq!(Durability::parse(&level.to_string()), Ok(level));
        }
        let refusal = Durability::parse("memory").unwrap_err().to_string();
        assert!(refusal.contains("power-loss or process-crash"), "{refusal}");
    }
}
