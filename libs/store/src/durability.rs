//! What a store promises of what it has acknowledged, and how that is known.

mod redis;

use std::fmt;

use vocab::Invalid;

use crate::error::StoreError;

pub(crate) use redis::{Confirmation, Server};

const COPIES_MAX: u8 = 9;

/// What acknowledged data survives, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of a service, and nothing else: Redis without an append-only file, or one that
    /// evicts. Never enough.
    Memory,
    /// The crash of any process that is then started again on its disk. A crash of the operating
    /// system, a power cut or a failover to a replica loses what was acknowledged in the last
    /// second or two: Redis with `appendfsync everysec`, or with automatic failover.
    ProcessCrash,
    /// Besides that, a crash of the operating system and a power cut, on a disk that tells the
    /// truth: on disk before acknowledged. Not the loss of the disk.
    PowerLoss,
    /// Besides that, the loss of the primary and its disk, where one of so many replicas takes
    /// over: they confirm every write before it is acknowledged. 1 to 9.
    Copies(u8),
}

impl Durability {
    /// Reads `power-loss`, `process-crash` or, e.g., `1-copies`: what may be asked of a store.
    ///
    /// # Errors
    /// Says what is right.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let copies = || text.strip_suffix("-copies")?.parse().ok();
        match text {
            "power-loss" => Ok(Self::PowerLoss),
            "process-crash" => Ok(Self::ProcessCrash),
            _ => match copies() {
                Some(copies @ 1..=COPIES_MAX) => Ok(Self::Copies(copies)),
                Some(_) | None => Err(Invalid::new(format!(
                    "`{}` is not a durability: expected power-loss or process-crash, or 1-copies to \
                     {COPIES_MAX}-copies",
                    vocab::excerpt(text)
                ))),
            },
        }
    }

    fn copies(self) -> u8 {
        match self {
            Self::Copies(copies) => copies,
            Self::Memory | Self::ProcessCrash | Self::PowerLoss => 0,
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::ProcessCrash => f.write_str("process-crash"),
            Self::PowerLoss => f.write_str("power-loss"),
            Self::Copies(copies) => write!(f, "{copies}-copies"),
        }
    }
}

/// What a store was found to promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    best: Durability,
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
        let mut promise = Self::nothing_short_of(Durability::PowerLoss);
        promise.facts.push("embedded store: fsync before acknowledge".to_owned());
        promise.limit(Durability::PowerLoss, "an embedded store is one copy: use Redis");
        promise
    }

    /// The highest level that can honestly be promised. What is not known counts as
    /// [`Durability::ProcessCrash`].
    #[must_use]
    pub fn level(&self) -> Durability {
        let levels = self.shortfalls.iter().map(|one| one.level);
        levels.min().unwrap_or(self.best).min(self.best)
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
        if level > Durability::Memory {
            remedies.push_str(&format!(", or allow store.durability = \"{level}\""));
        }
        Err(StoreError::Settings(format!(
            "acknowledged data would survive {level} only, and store.durability asks for {wanted}: \
             {remedies}"
        )))
    }

    fn nothing_short_of(best: Durability) -> Self {
        Self { best, facts: Vec::new(), shortfalls: Vec::new() }
    }

    fn limit(&mut self, level: Durability, remedy: &str) {
        let shortfall = Shortfall { level, remedy: remedy.to_owned() };
        if !self.shortfalls.contains(&shortfall) {
            self.shortfalls.push(shortfall);
        }
    }

    fn say(&mut self, fact: String) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_worth_asking_for_can_be_asked_for() {
        for level in [Durability::ProcessCrash, Durability::PowerLoss, Durability::Copies(2)] {
            assert_eq!(Durability::parse(&level.to_string()), Ok(level));
        }
        for wrong in ["0-copies", "10-copies", "-copies", "300-copies"] {
            let refusal = Durability::parse(wrong).unwrap_err().to_string();
            assert!(refusal.contains("1-copies to 9-copies"), "{refusal}");
        }
        let refusal = Durability::parse("memory").unwrap_err().to_string();
        assert!(refusal.contains("power-loss or process-crash"), "{refusal}");
    }
}
