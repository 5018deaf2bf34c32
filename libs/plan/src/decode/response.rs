//! Reads what is watched, and what happens when it goes wrong.

use std::time::Duration;

use vocab::{Invalid, PhaseId, ResourceId, Role, parse_duration};

use super::criterion::{maybe_requirement, prom_query, requirement};
use super::fields::{Decoded, Fields};
use crate::node::Node;
use crate::quantity::Metric;
use crate::shape::{
    GROWTH, KILL_SWITCH, MATRIX_ACTIONS, MATRIX_ROW, ROLLBACK_STEP, SIGNAL, STEP_ACTORS, THRESHOLD,
    TRIGGER, TRIGGER_METRIC, WATCHING, parse_window,
};
use crate::{
    Growth, IncidentKind, KillSwitchRules, MatrixRow, OnStale, RollbackStep, Signal, Threshold,
    Timing, Trigger, TriggerAction, TriggerCondition, Watching,
};

const ADVISORY_WINDOW: Duration = Duration::from_secs(15 * 60);

pub(super) fn kill_switch(node: &Node) -> Decoded<KillSwitchRules> {
    let fields = Fields::of(node, &KILL_SWITCH);
    Ok(KillSwitchRules {
        name: fields.text("name")?,
        stale_after: fields.word("stale_after", parse_duration)?,
        on_stale: fields.named("on_stale", OnStale::ALL)?,
        release_needs_second_person: fields.boolean("release_needs_second_person")?,
        drill_valid_for: fields.word("drill_valid_for", parse_duration)?,
    })
}

pub(super) fn threshold(node: &Node) -> Decoded<Threshold> {
    let fields = Fields::of(node, &THRESHOLD);
    let metric = fields.word("metric", Metric::named)?;
    Ok(Threshold {
        metric,
        phases: fields.words("phases", PhaseId::new)?,
        requirement: requirement(fields, "requirement", metric)?,
        window: fields.word("window", parse_window)?,
        timing: timing(fields, metric)?,
    })
}

/// When something watched fires, and when it is over.
fn timing(fields: Fields<'_>, metric: Metric) -> Decoded<Timing> {
    Ok(Timing {
        sustained_for: fields.maybe_word("sustained_for", parse_duration)?.unwrap_or_default(),
        minimum_samples: fields.maybe_integer("minimum_samples")?.unwrap_or(0),
        literal: fields.maybe_boolean("literal")?.unwrap_or(false),
        clears_when: maybe_requirement(fields, "clears_when", metric)?,
        clears_after: fields.maybe_word("clears_after", parse_duration)?.unwrap_or_default(),
    })
}

pub(super) fn watching(node: &Node) -> Decoded<Watching> {
    let fields = Fields::of(node, &WATCHING);
    let usual = Watching::default();
    let time = |key, usual| Ok(fields.maybe_word(key, parse_duration)?.unwrap_or(usual));
    Ok(Watching {
        evaluate_every: time("evaluate_every", usual.evaluate_every)?,
        gap_max: time("gap_max", usual.gap_max)?,
        silent_after: time("silent_after", usual.silent_after)?,
    })
}

fn growth(node: &Node) -> Decoded<Growth> {
    let fields = Fields::of(node, &GROWTH);
    Ok(Growth {
        factor_percent: fields.integer("factor_percent")?,
        window: fields.word("window", parse_window)?,
    })
}

pub(super) fn signal(node: &Node) -> Decoded<Signal> {
    let fields = Fields::of(node, &SIGNAL);
    let metric = fields.word("metric", Metric::named)?;
    Ok(Signal {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        concern: fields.text("concern")?,
        action: fields.text("action")?,
        metric,
        window: fields.maybe_word("window", parse_window)?.unwrap_or(ADVISORY_WINDOW),
        raised_when: maybe_requirement(fields, "raised_when", metric)?,
        grows: fields.maybe_one("grows", growth)?,
        timing: timing(fields, metric)?,
    })
}

pub(super) fn trigger(node: &Node) -> Decoded<Trigger> {
    let fields = Fields::of(node, &TRIGGER);
    let condition = match fields.maybe_one("metric", trigger_metric)? {
        Some(metric) => metric,
        None => TriggerCondition::Incident { kind: fields.named("incident", IncidentKind::ALL)? },
    };
    Ok(Trigger {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        section: fields.text("section")?,
        condition,
        action: fields.named("action", TriggerAction::ALL)?,
        action_title: fields.text("action_title")?,
        resume_criterion: fields.text_or_empty("resume_criterion")?,
        resume_observed: fields.maybe_boolean("resume_observed")?.unwrap_or(false),
        override_roles: fields.words("override_roles", Role::new)?,
    })
}

fn trigger_metric(node: &Node) -> Decoded<TriggerCondition> {
    let fields = Fields::of(node, &TRIGGER_METRIC);
    let metric = fields.word("name", Metric::named)?;
    Ok(TriggerCondition::Metric {
        metric,
        fires_when: requirement(fields, "fires_when", metric)?,
        window: fields.word("window", parse_window)?,
        timing: timing(fields, metric)?,
        prometheus: fields.maybe_one("prometheus", prom_query)?,
    })
}

fn incident_kind(text: &str) -> Result<IncidentKind, Invalid> {
    let found = IncidentKind::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, kind)| *kind).ok_or_else(|| Invalid::new("is no kind of incident"))
}

pub(super) fn rollback_step(node: &Node) -> Decoded<RollbackStep> {
    let fields = Fields::of(node, &ROLLBACK_STEP);
    Ok(RollbackStep {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        by_system: fields.named("by", STEP_ACTORS)?,
    })
}

pub(super) fn matrix_row(node: &Node) -> Decoded<MatrixRow> {
    let fields = Fields::of(node, &MATRIX_ROW);
    Ok(MatrixRow {
        id: fields.word("id", ResourceId::new)?,
        condition: fields.text("condition")?,
        duration: fields.text("duration")?,
        rollback: fields.named("action", MATRIX_ACTIONS)?,
        within: fields.maybe_word("within", parse_duration)?,
        beyond: fields.maybe_word("beyond", parse_duration)?,
        incidents: fields.words("incidents", incident_kind)?,
    })
}
