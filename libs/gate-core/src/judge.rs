//! Judging: each criterion by its kind, the whole by its parts.

use plan::{Criterion, Judged, Observation};
use vocab::{Role, Timestamp};

use crate::evidence::{Attested, Evidence};
use crate::statistics::Interval;

mod metric;

pub use metric::MEASURED_SPANS;

/// A verdict, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Not met.
    Fail,
    /// It cannot be said.
    Inconclusive,
    /// Met.
    Pass,
}

/// How a criterion is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By a number.
    Metric,
    /// By something the system saw.
    Observed,
    /// By a person's statement.
    Attestation,
    /// By approvals.
    SignOff,
}

/// The verdict on one criterion, with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct CriterionResult {
    /// How it was judged.
    pub kind: Kind,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// The value found, for people; empty for none.
    pub value: String,
    /// What it must be, for people; empty for none.
    pub requirement: String,
    /// The 95 % interval around a rate.
    pub interval: Option<Interval>,
    /// Observations it rests on.
    pub sample_count: u64,
    /// The stretch of time.
    pub window: String,
    /// Where the value comes from.
    pub source: String,
    /// Who may attest or must sign.
    pub roles: Vec<Role>,
}

impl CriterionResult {
    fn new(kind: Kind, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self {
            kind,
            verdict,
            reason: reason.into(),
            value: String::new(),
            requirement: String::new(),
            interval: None,
            sample_count: 0,
            window: String::new(),
            source: String::new(),
            roles: Vec::new(),
        }
    }
}

/// Judges one criterion at `now`.
#[must_use]
pub fn judge(criterion: &Criterion, evidence: &Evidence, now: Timestamp) -> CriterionResult {
    match &criterion.judged {
        Judged::Metric(metric) => metric::judge(metric, evidence, now),
        Judged::Observed(observation) => judge_observed(*observation, evidence),
        Judged::Attestation { roles } => {
            judge_attested(roles, evidence.attested.get(criterion.id.as_str()))
        }
        // Signatures are the rollout's approvals; until it reports them the gate cannot say.
        Judged::SignOff { roles } => CriterionResult {
            roles: roles.clone(),
            ..judge_attested(roles, evidence.attested.get(criterion.id.as_str()))
        },
    }
}

/// The verdict on the whole: the worst of its parts; nothing to judge cannot pass.
#[must_use]
pub fn overall(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts.into_iter().min().unwrap_or(Verdict::Inconclusive)
}

fn judge_attested(roles: &[Role], attested: Option<&Attested>) -> CriterionResult {
    let held = attested.filter(|attested| roles.contains(&attested.role));
    let titles: Vec<_> = roles.iter().map(Role::as_str).collect();
    let mut result = match held {
        Some(attested) => {
            let why = format!("attested by {} as {}", attested.actor, attested.role);
            CriterionResult {
                source: attested.evidence.clone(),
                sample_count: 1,
                ..CriterionResult::new(Kind::Attestation, Verdict::Pass, why)
            }
        }
        None => CriterionResult::new(
            Kind::Attestation,
            Verdict::Inconclusive,
            format!("not attested yet: waits for {}", titles.join(" or ")),
        ),
    };
    result.roles = roles.to_vec();
    result
}

fn judge_observed(observation: Observation, evidence: &Evidence) -> CriterionResult {
    let (met, reason, value) = match observation {
        Observation::AllTransitions => {
            let missing: Vec<_> = evidence
                .expected_transitions
                .iter()
                .filter(|expected| !evidence.sighted.transitions.contains(*expected))
                .map(String::as_str)
                .collect();
            let expected = evidence.expected_transitions.len();
            let value = format!("{} of {expected}", expected - missing.len());
            match missing.as_slice() {
                _ if expected == 0 => (false, "the plan names no transitions".to_owned(), value),
                [] => (true, "every transition seen".to_owned(), value),
                missing => (false, format!("not seen yet: {}", missing.join(", ")), value),
            }
        }
        Observation::BreakerRecovered => {
            let recovered = evidence.sighted.breakers.values().filter(|b| b.recovered).count();
            let open = evidence.sighted.breakers.values().any(|b| b.open_since.is_some());
            match (recovered, open) {
                (_, true) => (false, "a breaker is still open".to_owned(), "open".to_owned()),
                (0, false) => (false, "no breaker opened and closed yet".to_owned(), String::new()),
                (some, false) => {
                    (true, "opened and closed again".to_owned(), format!("{some} recovered"))
                }
            }
        }
        Observation::KillSwitchDrill | Observation::KillSwitchAvailable => {
            match evidence.sighted.drill {
                Some(at) => {
                    (true, "drilled: every connected worker applied it".to_owned(), at.to_string())
                }
                None => (false, "no drill passed in this phase yet".to_owned(), String::new()),
            }
        }
        Observation::GatePassed => match &evidence.previous_gate {
            Some(gate) if evidence.passed_gates.contains(gate) => {
                (true, format!("{gate} passed and approved"), gate.clone())
            }
            Some(gate) => {
                (false, format!("{gate} has not been passed and approved"), String::new())
            }
            None => (false, "there is no gate before this".to_owned(), String::new()),
        },
        Observation::FlagAtFull | Observation::CommunicationDelivered => {
            (false, "not observed by this version".to_owned(), String::new())
        }
    };
    let verdict = if met { Verdict::Pass } else { Verdict::Inconclusive };
    CriterionResult {
        value,
        window: "since phase start".to_owned(),
        source: format!("observed: {}", observation.name()),
        sample_count: u64::from(met),
        ..CriterionResult::new(Kind::Observed, verdict, reason)
    }
}
