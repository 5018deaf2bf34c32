//! What a gate report says, as far as a rollout cares.

use vocab::Role;

/// How a criterion or a gate stands, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Not met.
    Failed,
    /// It cannot be said.
    Inconclusive,
    /// Met.
    Passed,
}

/// One criterion of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub criterion_id: String,
    /// In the words of the plan.
    pub title: String,
    /// How it stands.
    pub standing: Standing,
    /// Why.
    pub reason: String,
    /// Who can supply what is missing, where people can.
    pub roles: Vec<Role>,
}

/// A report of the gate service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its digest.
    pub digest: String,
    /// The gate, e.g. `gate-0` or `P1-entry`.
    pub gate_id: String,
    /// The generation of the phase it judged.
    pub generation: u64,
    /// How the whole stands.
    pub standing: Standing,
    /// How each criterion stands.
    pub items: Vec<Item>,
}

impl Report {
    /// Whether the whole and every criterion is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.standing == Standing::Passed && self.open_items().next().is_none()
    }

    /// The criteria that are not met.
    pub fn open_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.standing != Standing::Passed)
    }

    /// The criteria that stand worse here than in `before`.
    pub fn worse_than<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(|item| {
            before
                .items
                .iter()
                .find(|old| old.criterion_id == item.criterion_id)
                .is_some_and(|old| item.standing < old.standing)
        })
    }
}
