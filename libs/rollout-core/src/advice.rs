//! The decision aid (D7 §5.4): pause or roll back. Advice only: nothing is done by it.

use std::time::Duration;

use plan::{IncidentKind, MatrixRow, Plan};

/// What the matrix says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice<'a> {
    /// The row that decides.
    pub row: &'a MatrixRow,
    /// Every row that applies, that one included.
    pub applying: Vec<&'a MatrixRow>,
}

/// What is known of an incident.
#[derive(Debug, Clone, Copy, Default)]
pub struct Situation<'a> {
    /// The ids of the rows whose condition holds.
    pub conditions: &'a [String],
    /// How long it is expected to take; `None` where nobody knows.
    pub expected: Option<Duration>,
    /// Its kind, where it was recorded as an incident.
    pub incident: Option<IncidentKind>,
}

/// Names the row that applies. Of several the riskier one wins: a rollback before a pause. A row whose
/// condition holds and whose time does not fit does not apply; one for whatever takes longer than
/// so long applies by the time alone.
#[must_use]
pub fn advise<'a>(plan: &'a Plan, situation: Situation<'_>) -> Option<Advice<'a>> {
    let applying: Vec<_> =
        plan.decision_matrix.iter().filter(|row| applies(row, situation)).collect();
    let row = applying.iter().find(|row| row.rollback).or_else(|| applying.first())?;
    Some(Advice { row, applying })
}

fn applies(row: &MatrixRow, situation: Situation<'_>) -> bool {
    let Situation { conditions, expected, incident } = situation;
    let named = conditions.iter().any(|id| id == row.id.as_str());
    let of_kind = incident.is_some_and(|kind| row.incidents.contains(&kind));
    let beyond = row.beyond.is_some_and(|bound| expected.is_some_and(|time| time > bound));
    let fits = row.within.is_none_or(|bound| expected.is_none_or(|time| time <= bound))
        && row.beyond.is_none_or(|bound| expected.is_none_or(|time| time > bound));
    (named && fits) || of_kind || beyond
}
