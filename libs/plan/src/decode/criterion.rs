//! Reads criteria.

use vocab::{ResourceId, Role};

use super::fields::{Decoded, Fields, verbatim};
use crate::node::Node;
use crate::quantity::{Metric, Requirement, Unit};
use crate::shape::{CRITERION, METRIC_CRITERION, parse_span};
use crate::{Assurance, Criterion, Judged, MetricCriterion, Observation};

pub(super) fn criterion(node: &Node) -> Decoded<Criterion> {
    let fields = Fields::of(node, &CRITERION);
    Ok(Criterion {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        section: fields.text("section")?,
        judged: judged(fields)?,
    })
}

fn judged(fields: Fields<'_>) -> Decoded<Judged> {
    let roles = |key| fields.words(key, Role::new);
    if let Some(metric) = fields.maybe_one("metric", metric_criterion)? {
        return Ok(Judged::Metric(metric));
    }
    if let Some(observation) = fields.maybe_named("observed", Observation::ALL)? {
        return Ok(Judged::Observed(observation));
    }
    if fields.find("attestation").is_some() {
        return Ok(Judged::Attestation { roles: roles("attestation")? });
    }
    match roles("sign_off")? {
        roles if roles.is_empty() => Err(fields.unread("sign_off")),
        roles => Ok(Judged::SignOff { roles }),
    }
}

fn metric_criterion(node: &Node) -> Decoded<MetricCriterion> {
    let fields = Fields::of(node, &METRIC_CRITERION);
    let metric = fields.word("name", Metric::named)?;
    Ok(MetricCriterion {
        metric,
        label: fields.maybe_word("label", verbatim)?.unwrap_or_default(),
        requirement: requirement(fields, "requirement", metric)?,
        window: fields.word("window", parse_span)?,
        minimum_samples: fields.maybe_integer("minimum_samples")?.unwrap_or(0),
        assurance: fields
            .maybe_named("assurance", Assurance::ALL)?
            .unwrap_or(Assurance::NotDisproved),
    })
}

/// A requirement in the unit of its metric.
pub(super) fn requirement(
    fields: Fields<'_>,
    key: &'static str,
    metric: Metric,
) -> Decoded<Requirement> {
    fields.word(
        key,
        match metric.unit() {
            Unit::Rate => |text| Requirement::parse(text, Unit::Rate),
            Unit::Time => |text| Requirement::parse(text, Unit::Time),
            Unit::Count => |text| Requirement::parse(text, Unit::Count),
        },
    )
}
