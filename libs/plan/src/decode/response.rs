//! Reads what is watched, and what happens when it goes wrong.

use std::time::Duration;

use vocab::{PhaseId, ResourceId, parse_duration};

use super::criterion::requirement;
use super::fields::{Decoded, Fields};
use crate::node::Node;
use crate::quantity::Metric;
use crate::shape::{
    KILL_SWITCH, MATRIX_ACTIONS, MATRIX_ROW, ROLLBACK_STEP, SIGNAL, STEP_ACTORS, THRESHOLD,
    TRIGGER, TRIGGER_METRIC, parse_window,
};
use crate::{
    IncidentKind, KillSwitchRules, MatrixRow, OnStale, RollbackStep, Signal, Threshold, Trigger,
    TriggerAction, TriggerCondition,
};

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
    })
}

pub(super) fn signal(node: &Node) -> Decoded<Signal> {
    let fields = Fields::of(node, &SIGNAL);
    Ok(Signal {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        concern: fields.text("concern")?,
        action: fields.text("action")?,
        metric: fields.word("metric", Metric::named)?,
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
    })
}

fn trigger_metric(node: &Node) -> Decoded<TriggerCondition> {
    let fields = Fields::of(node, &TRIGGER_METRIC);
    let metric = fields.word("name", Metric::named)?;
    Ok(TriggerCondition::Metric {
        metric,
        fires_when: requirement(fields, "fires_when", metric)?,
        window: fields.word("window", parse_window)?,
        sustained_for: fields
            .maybe_word("sustained_for", parse_duration)?
            .unwrap_or(Duration::ZERO),
        minimum_samples: fields.maybe_integer("minimum_samples")?.unwrap_or(0),
        literal: fields.maybe_boolean("literal")?.unwrap_or(false),
    })
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
    })
}
