//! How evenly a share falls on the groups of an attribute (semantics §3).

use std::collections::BTreeMap;

use vocab::{BasisPoints, Timestamp};

use crate::context::Attributes;
use crate::evaluate::{Question, Reason, evaluate};
use crate::flag::Flag;
use crate::radius::{GROUPS_MAX, shown};

/// `ln(1 / 0.0005)`: one sample in a thousand is outside, half of them on each side.
const NATS: f64 = 7.600_902_459_542_082;

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stratum {
    /// The value of the attribute as text; empty for those without it.
    pub value: String,
    /// Workspaces that the share decides on.
    pub workspaces: u64,
    /// Of those, how many are on.
    pub selected: u64,
    /// The share that is on.
    pub share: BasisPoints,
    /// The least share that chance explains.
    pub low: BasisPoints,
    /// The largest share that chance explains.
    pub high: BasisPoints,
}

/// Counts workspaces by group, one at a time; memory is bounded however many come.
#[derive(Debug)]
pub struct Strata<'f> {
    flag: &'f Flag,
    attribute: String,
    counts: BTreeMap<String, (u64, u64)>,
    decided_otherwise: u64,
}

impl<'f> Strata<'f> {
    /// Begins to count by an attribute.
    #[must_use]
    pub fn new(flag: &'f Flag, attribute: &str) -> Self {
        let (attribute, counts) = (attribute.to_owned(), BTreeMap::new());
        Self { flag, attribute, counts, decided_otherwise: 0 }
    }

    /// Looks at one workspace. Kill switches do not count.
    pub fn look(&mut self, workspace: &str, attributes: &Attributes, now: Timestamp) {
        let question = Question { key: Some(workspace), facts: attributes, killed: false, now };
        let found = evaluate(self.flag, &question).ok();
        let Some(found) = found.filter(|found| found.reason == Reason::Percentage) else {
            self.decided_otherwise += 1;
            return;
        };
        let mut value = shown(attributes, &self.attribute);
        if self.counts.len() >= GROUPS_MAX && !self.counts.contains_key(&value) {
            "(others)".clone_into(&mut value);
        }
        let (workspaces, selected) = self.counts.entry(value).or_default();
        *workspaces += 1;
        *selected += u64::from(found.enabled);
    }

    /// The share aimed at.
    #[must_use]
    pub fn target(&self) -> BasisPoints {
        self.flag.definition.share()
    }

    /// Workspaces that no share decides on.
    #[must_use]
    pub const fn decided_otherwise(&self) -> u64 {
        self.decided_otherwise
    }

    /// The groups, by value.
    #[must_use]
    pub fn strata(&self) -> Vec<Stratum> {
        let target = self.target();
        let strata = self.counts.iter().map(|(value, (workspaces, selected))| {
            let (low, high) = explained(target, *workspaces);
            Stratum {
                value: value.clone(),
                workspaces: *workspaces,
                selected: *selected,
                share: basis_points(*selected * 10_000 / (*workspaces).max(1)),
                low,
                high,
            }
        });
        strata.collect()
    }
}

impl Stratum {
    /// Whether chance explains the share.
    #[must_use]
    pub fn is_within(&self) -> bool {
        (self.low..=self.high).contains(&self.share)
    }
}

fn basis_points(number: u64) -> BasisPoints {
    i64::try_from(number).ok().and_then(|it| BasisPoints::new(it).ok()).unwrap_or(BasisPoints::ALL)
}

/// The shares that a sample of `size` from `target` has with a probability of 99.9 % at least:
/// those with `size * KL(share, target) <= ln(2000)`, by Chernoff's bound, for samples of any size.
fn explained(target: BasisPoints, size: u64) -> (BasisPoints, BasisPoints) {
    let target = f64::from(target.get()) / 10_000.0;
    if target <= 0.0 || target >= 1.0 {
        let exact = if target <= 0.0 { BasisPoints::ZERO } else { BasisPoints::ALL };
        return (exact, exact);
    }
    let allowed = NATS / f64::from(u32::try_from(size.max(1)).unwrap_or(u32::MAX));
    let edge = |mut outside: f64| {
        if divergence(outside, target) <= allowed {
            return outside;
        }
        let mut inside = target;
        for _halving in 0..50 {
            let middle = f64::midpoint(inside, outside);
            if divergence(middle, target) <= allowed { inside = middle } else { outside = middle }
        }
        inside
    };
    (rounded((edge(0.0) * 10_000.0).floor()), rounded((edge(1.0) * 10_000.0).ceil()))
}

/// Kullback-Leibler divergence of two coins, in nats.
fn divergence(one: f64, other: f64) -> f64 {
    let term = |one: f64, other: f64| if one > 0.0 { one * (one / other).ln() } else { 0.0 };
    term(one, other) + term(1.0 - one, 1.0 - other)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=10000")]
fn rounded(basis_points_: f64) -> BasisPoints {
    basis_points(basis_points_.clamp(0.0, 10_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chance_explains_shrinks_with_the_sample_and_holds_the_target() {
        let target = BasisPoints::new(1_000).unwrap();
        let (low, high) = explained(target, 10_000);
        assert!(low < target && target < high);
        assert!((870..=890).contains(&low.get()), "{low}"); // 3.9 sigma below 10 %.
        assert!((1_110..=1_135).contains(&high.get()), "{high}");
        let (wider, _) = explained(target, 100);
        assert!(wider < low);
        assert_eq!(explained(BasisPoints::ZERO, 10), (BasisPoints::ZERO, BasisPoints::ZERO));
    }
}
