//! Triggers, thresholds and advisories on the wire.

use contracts::gate as pb;
use gate_core::{Observed, State as Stands, Subject, Watched as Rule, watched};
use plan::TriggerAction;
use service_kit::fault::Fault;
use service_kit::wire::{signed, wire_time};
use vocab::Timestamp;

use crate::app::App;
use crate::convert::{ppm, wire_incident, wire_reason};
use crate::evidence::Gathered;
use crate::watched::{Kept, Watched};
use crate::watching::{Seen, look, wanted_by_triggers};

/// The name of what is watched: of an incident, one of its own.
pub(crate) fn name_of(rollout: &str, rule: &Rule<'_>, instance: &str) -> String {
    let collection = match rule.subject {
        Subject::Trigger => "triggers",
        Subject::Threshold => "thresholds",
        Subject::Advisory => "advisories",
    };
    let name = format!("{rollout}/{collection}/{}", rule.id);
    if instance.is_empty() { name } else { format!("{name}/incidents/{instance}") }
}

const fn wire_kind(subject: Subject) -> pb::TriggerKind {
    match subject {
        Subject::Trigger => pb::TriggerKind::Trigger,
        Subject::Threshold => pb::TriggerKind::Threshold,
        Subject::Advisory => pb::TriggerKind::Advisory,
    }
}

const fn wire_action(action: Option<TriggerAction>) -> pb::TriggerAction {
    match action {
        None => pb::TriggerAction::Unspecified,
        Some(TriggerAction::PausePhase) => pb::TriggerAction::PausePhase,
        Some(TriggerAction::GlobalPause) => pb::TriggerAction::GlobalPause,
        Some(TriggerAction::RollbackToPrevious) => pb::TriggerAction::RollbackToPrevious,
        Some(TriggerAction::RollbackToFirst) => pb::TriggerAction::RollbackToFirst,
    }
}

pub(crate) const fn wire_state(state: Stands) -> pb::TriggerState {
    match state {
        Stands::Clear => pb::TriggerState::Clear,
        Stands::Warned => pb::TriggerState::Warned,
        Stands::Pending(_) => pb::TriggerState::Pending,
        Stands::Fired => pb::TriggerState::Fired,
    }
}

fn wire_deadline(state: Stands) -> Option<prost_types::Timestamp> {
    match state {
        Stands::Pending(deadline) => Some(wire_time(deadline)),
        Stands::Clear | Stands::Warned | Stands::Fired => None,
    }
}

fn wire_evidence(rule: &Rule<'_>, observed: &Observed) -> pb::TriggerEvidence {
    let metric = match &rule.condition {
        gate_core::Condition::Metric { metric, .. } => metric.name().to_owned(),
        gate_core::Condition::Incident(_) => String::new(),
    };
    pb::TriggerEvidence {
        metric,
        condition: observed.condition.clone(),
        window: observed.window.clone(),
        value: observed.value.clone(),
        sample_count: signed(observed.samples),
        interval_low_ppm: observed.interval.map(|interval| ppm(interval.low)),
        interval_high_ppm: observed.interval.map(|interval| ppm(interval.high)),
        reason: observed.reason.clone(),
        reason_code: wire_reason(observed.code).into(),
        incident: observed
            .incident
            .as_ref()
            .map(|incident| wire_incident(&observed.instance, incident)),
        data_time: observed.data_time.map(wire_time),
    }
}

/// A change, with everything its reader needs.
pub(crate) fn event(
    watched: &Watched,
    rule: &Rule<'_>,
    seen: &Seen,
    (from, to): (Stands, Stands),
    now: Timestamp,
) -> pb::TriggerEvent {
    pb::TriggerEvent {
        rollout: watched.rollout.clone(),
        phase_id: watched.phase_id.clone(),
        phase_generation: signed(watched.phase_generation),
        trigger: seen.name.clone(),
        kind: wire_kind(rule.subject).into(),
        state: wire_state(to).into(),
        previous_state: wire_state(from).into(),
        occur_time: Some(wire_time(now)),
        title: rule.title.clone(),
        section: rule.section.to_owned(),
        action: wire_action(rule.action).into(),
        action_title: rule.action_title.to_owned(),
        note: rule.note.to_owned(),
        deadline_time: wire_deadline(to),
        evidence: Some(wire_evidence(rule, &seen.observed)),
    }
}

impl App {
    /// Where everything watched stands, and what is measured now.
    pub(crate) async fn triggers(
        &self,
        rollout: &str,
        kind: pb::TriggerKind,
    ) -> Result<Vec<pb::Trigger>, Fault> {
        let watched_rollout = self.watched(rollout)?;
        let now = self.clock.now();
        let wanted = wanted_by_triggers(&watched_rollout);
        let Gathered { evidence, .. } = self.gather(&watched_rollout, wanted, now).await?;
        let seen = look(&watched_rollout, &evidence, now);
        let mut triggers = Vec::new();
        for (index, rule) in watched(watched_rollout.plan()).iter().enumerate() {
            if kind != pb::TriggerKind::Unspecified && kind != wire_kind(rule.subject) {
                continue;
            }
            let mut own: Vec<_> = seen.iter().filter(|one| one.index == index).collect();
            // Of incidents those that are open; without one, the trigger itself.
            own.retain(|one| one.observed.instance.is_empty() || !one.observed.over);
            if own.is_empty() {
                triggers.push(shown(&watched_rollout, rule, None));
            }
            triggers.extend(own.into_iter().map(|one| shown(&watched_rollout, rule, Some(one))));
        }
        Ok(triggers)
    }
}

fn shown(watched: &Watched, rule: &Rule<'_>, seen: Option<&Seen>) -> pb::Trigger {
    let bare = || name_of(&watched.rollout, rule, "");
    let name = seen.map_or_else(bare, |seen| seen.name.clone());
    let kept = watched.standings.get(&name).copied();
    let state = kept.map_or(Stands::Clear, |kept| kept.state);
    pb::Trigger {
        kind: wire_kind(rule.subject).into(),
        title: rule.title.clone(),
        section: rule.section.to_owned(),
        condition: rule.describe(),
        action: wire_action(rule.action).into(),
        action_title: rule.action_title.to_owned(),
        note: rule.note.to_owned(),
        state: wire_state(state).into(),
        state_time: kept.map(|Kept { since, .. }| wire_time(since)),
        deadline_time: wire_deadline(state),
        evidence: seen.map(|seen| wire_evidence(rule, &seen.observed)),
        watched: rule.applies_in(&watched.phase_id) && !watched.phase_id.is_empty(),
        name,
    }
}
