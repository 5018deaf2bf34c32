//! Reads phases.

use vocab::{BasisPoints, Pattern, PhaseId, ResourceId, Role, parse_duration};

use super::criterion::criterion;
use super::fields::{Decoded, Fields, verbatim};
use crate::node::Node;
use crate::shape::{
    ACTIVITY, COHORT, EXCLUSION, FLAG, GATE, LIMITS, PARAMETER, PHASE, RAMP_STEP, REVIEW,
    REVIEW_INTERVAL,
};
use crate::{
    Activity, Exclusion, ExclusionTest, FlagForm, Gate, Limits, Parameter, Phase, RampStep, Review,
    ReviewInterval,
};

pub(super) fn phase(node: &Node) -> Decoded<Phase> {
    let fields = Fields::of(node, &PHASE);
    let mut flag = fields.one("flag", flag)?;
    if let Some(cohort) = fields.maybe_one("cohort", cohort)? {
        (flag.exclude, flag.stratify) = cohort;
    }
    Ok(Phase {
        id: fields.word("id", PhaseId::new)?,
        name: fields.text("name")?,
        section: fields.text("section")?,
        objective: fields.text("objective")?,
        audience: fields.text("audience")?,
        traffic: fields.text("traffic")?,
        minimum_duration: fields.word("minimum_duration", parse_duration)?,
        maximum_duration: fields.maybe_word("maximum_duration", parse_duration)?,
        parameters: fields.list("parameters", parameter)?,
        activities: fields.list("activities", activity)?,
        selection: fields.words("selection", verbatim)?,
        flag,
        ramp: fields.list("ramp", ramp_step)?,
        limits: fields.one("limits", limits)?,
        review: fields.one("review", review)?,
        entry: fields.list("entry", criterion)?,
        gate: fields.maybe_one("gate", gate)?,
    })
}

fn parameter(node: &Node) -> Decoded<Parameter> {
    let fields = Fields::of(node, &PARAMETER);
    Ok(Parameter { name: fields.text("name")?, value: fields.text("value")? })
}

fn activity(node: &Node) -> Decoded<Activity> {
    let fields = Fields::of(node, &ACTIVITY);
    Ok(Activity { name: fields.text("name")?, description: fields.text("description")? })
}

fn flag(node: &Node) -> Decoded<FlagForm> {
    let fields = Fields::of(node, &FLAG);
    Ok(FlagForm {
        enabled: fields.boolean("enabled")?,
        allowlist: fields.words("allowlist", Pattern::new)?,
        denylist: fields.words("denylist", Pattern::new)?,
        percentage: percentage(fields)?,
        ..FlagForm::default()
    })
}

/// A percentage in whole percent; nothing where it was left out.
fn percentage(fields: Fields<'_>) -> Decoded<BasisPoints> {
    let percent = fields.maybe_integer("percentage")?.unwrap_or(0);
    BasisPoints::from_percent(percent).map_err(|_e| fields.unread("percentage"))
}

fn cohort(node: &Node) -> Decoded<(Vec<Exclusion>, Option<String>)> {
    let fields = Fields::of(node, &COHORT);
    Ok((fields.list("exclude", exclusion)?, fields.maybe_word("stratify", verbatim)?))
}

fn exclusion(node: &Node) -> Decoded<Exclusion> {
    let fields = Fields::of(node, &EXCLUSION);
    let test = match fields.maybe_word("equals", verbatim)? {
        Some(text) => ExclusionTest::Equals(text),
        None => ExclusionTest::Above(fields.integer("above")?),
    };
    Ok(Exclusion { attribute: fields.text("attribute")?, test })
}

fn ramp_step(node: &Node) -> Decoded<RampStep> {
    let fields = Fields::of(node, &RAMP_STEP);
    Ok(RampStep {
        percentage: percentage(fields)?,
        hold: fields.word("hold", parse_duration)?,
        manual: fields.maybe_boolean("manual")?.unwrap_or(false),
    })
}

fn limits(node: &Node) -> Decoded<Limits> {
    let fields = Fields::of(node, &LIMITS);
    Ok(Limits {
        uploads_per_day: fields.maybe_integer("uploads_per_day")?,
        file_size_max_bytes: fields.integer("file_size_max_bytes")?,
    })
}

fn review(node: &Node) -> Decoded<Review> {
    let fields = Fields::of(node, &REVIEW);
    Ok(Review {
        description: fields.text("description")?,
        every: fields.list("every", review_interval)?,
        attendees: fields.words("attendees", Role::new)?,
    })
}

fn review_interval(node: &Node) -> Decoded<ReviewInterval> {
    let fields = Fields::of(node, &REVIEW_INTERVAL);
    Ok(ReviewInterval {
        interval: fields.word("interval", parse_duration)?,
        lasts: fields.maybe_word("lasts", parse_duration)?,
    })
}

fn gate(node: &Node) -> Decoded<Gate> {
    let fields = Fields::of(node, &GATE);
    Ok(Gate {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        approvers: fields.words("approvers", Role::new)?,
        criteria: fields.list("criteria", criterion)?,
    })
}
