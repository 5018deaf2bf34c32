//! Blast radius: who would get something else under a proposed definition.

use std::collections::BTreeMap;

use vocab::Timestamp;

use crate::context::{Attributes, Fact, Facts};
use crate::evaluate::{Question, Reason, evaluate};
use crate::flag::Flag;

/// Workspaces that are named; the others are only counted.
pub const AFFECTED_MAX: usize = 1_000;
/// Groups that are told apart; what comes later is counted under the value `(others)`.
pub const GROUPS_MAX: usize = 1_000;
const OTHERS: &str = "(others)";

/// Workspaces counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Looked at.
    pub workspaces: u64,
    /// Would get another variant.
    pub changed: u64,
    /// Would leave the default variant, or would be on.
    pub turned_on: u64,
    /// Would get the default variant, or would be off.
    pub turned_off: u64,
}

/// Workspaces that share an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The attribute.
    pub attribute: String,
    /// Its value as text; empty for those without it.
    pub value: String,
    /// How many.
    pub counts: Counts,
}

/// A workspace that would get another variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// What it has; empty for nothing.
    pub before: Box<str>,
    /// What it would have.
    pub after: Box<str>,
    /// Why it has the one.
    pub reason_before: Option<Reason>,
    /// Why it would have the other.
    pub reason_after: Option<Reason>,
}

/// Compares two definitions over workspaces, one at a time; memory is bounded however many come.
#[derive(Debug)]
pub struct Radius<'f> {
    before: Option<&'f Flag>,
    after: &'f Flag,
    by: Vec<String>,
    total: Counts,
    groups: BTreeMap<(usize, String), Counts>,
    affected: BTreeMap<String, Affected>,
    truncated: bool,
}

#[derive(Debug, Default)]
struct Had {
    variant: Box<str>,
    enabled: bool,
    reason: Option<Reason>,
}

impl<'f> Radius<'f> {
    /// Begins a comparison, grouped `by` attributes. `before` is `None` where there is no flag yet.
    #[must_use]
    pub fn new(before: Option<&'f Flag>, after: &'f Flag, by: Vec<String>) -> Self {
        Self {
            before,
            after,
            by,
            total: Counts::default(),
            groups: BTreeMap::new(),
            affected: BTreeMap::new(),
            truncated: false,
        }
    }

    /// Looks at one workspace. Kill switches do not count: they say nothing of a definition.
    pub fn look(&mut self, workspace: &str, attributes: &Attributes, now: Timestamp) {
        let had = |flag: Option<&Flag>| {
            let question = Question { key: Some(workspace), facts: attributes, killed: false, now };
            let found = flag.and_then(|flag| evaluate(flag, &question).ok());
            found.map_or_else(Had::default, |found| Had {
                variant: found.variant.map_or_else(Box::default, |variant| variant.name.clone()),
                enabled: found.enabled,
                reason: Some(found.reason),
            })
        };
        let (before, after) = (had(self.before), had(Some(self.after)));
        let one = Counts {
            workspaces: 1,
            changed: u64::from(before.variant != after.variant || before.enabled != after.enabled),
            turned_on: u64::from(!before.enabled && after.enabled),
            turned_off: u64::from(before.enabled && !after.enabled),
        };
        self.total.add(one);
        for at in 0..self.by.len() {
            let value = shown(attributes, &self.by[at]);
            self.group(at, value).add(one);
        }
        // A flag that does not exist yet changes nothing for those who would be off.
        if one.changed > 0 && (self.before.is_some() || after.enabled) {
            let affected = Affected {
                before: before.variant,
                after: after.variant,
                reason_before: before.reason,
                reason_after: after.reason,
            };
            self.affected.insert(workspace.to_owned(), affected);
            if self.affected.len() > AFFECTED_MAX {
                self.affected.pop_last();
                self.truncated = true;
            }
        }
    }

    fn group(&mut self, at: usize, value: String) -> &mut Counts {
        let known = self.groups.contains_key(&(at, value.clone()));
        let value = if known || self.groups.len() < GROUPS_MAX { value } else { OTHERS.to_owned() };
        self.groups.entry((at, value)).or_default()
    }

    /// All workspaces.
    #[must_use]
    pub const fn total(&self) -> Counts {
        self.total
    }

    /// Those who would change, in order of their ids, and whether there are more.
    #[must_use]
    pub const fn affected(&self) -> (&BTreeMap<String, Affected>, bool) {
        (&self.affected, self.truncated)
    }

    /// The groups, by attribute as asked for and by value.
    pub fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        self.groups.iter().map(|((at, value), counts)| Group {
            attribute: self.by[*at].clone(),
            value: value.clone(),
            counts: *counts,
        })
    }
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.workspaces += other.workspaces;
        self.changed += other.changed;
        self.turned_on += other.turned_on;
        self.turned_off += other.turned_off;
    }
}

/// An attribute as text; empty where it is absent.
pub(crate) fn shown(attributes: &Attributes, name: &str) -> String {
    match attributes.fact(name) {
        None => String::new(),
        Some(Fact::Text(text)) => text.to_owned(),
        Some(Fact::Number(number)) => number.to_string(),
        Some(Fact::Truth(truth)) => truth.to_string(),
        Some(Fact::Nested) => "(nested)".to_owned(),
    }
}
