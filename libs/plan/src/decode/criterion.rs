//! Reads criteria.

use std::time::Duration;

use vocab::{ResourceId, Role, parse_duration};

use super::fields::{Decoded, Fields, verbatim};
use crate::node::Node;
use crate::quantity::{Comparison, Metric, Quantity, Requirement, Unit};
use crate::shape::{
    BASELINE, CRITERION, METRIC_CRITERION, PROM_QUERY, parse_confidence, parse_span,
};
use crate::{
    Assurance, Baseline, Criterion, Judged, MetricCriterion, Observation, PromQuery, Statistic,
};

const CONFIDENCE_PPM: u32 = 950_000;
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

pub(super) fn criterion(node: &Node) -> Decoded<Criterion> {
    let fields = Fields::of(node, &CRITERION);
    Ok(Criterion {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        section: fields.text("section")?,
        judged: judged(fields)?,
        expires_after: fields.maybe_word("expires_after", parse_duration)?,
        dry_run: fields.maybe_boolean("dry_run")?.unwrap_or(false),
        communication: fields.maybe_word("communication", ResourceId::new)?,
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
    let baseline = fields.maybe_one("baseline", baseline)?;
    let requirement = match baseline {
        // The limit follows from the baseline and the window; until then, its count.
        Some(baseline) => Requirement {
            comparison: Comparison::AtMost,
            threshold: Quantity::Count(baseline.count),
        },
        None => requirement(fields, "requirement", metric)?,
    };
    let confidence = fields.maybe_word("confidence", parse_confidence)?;
    let assurance = fields.maybe_named("assurance", Assurance::ALL)?;
    let usual = if confidence.is_some() { Assurance::Certified } else { Assurance::NotDisproved };
    Ok(MetricCriterion {
        metric,
        label: fields.maybe_word("label", verbatim)?.unwrap_or_default(),
        requirement,
        window: fields.word("window", parse_span)?,
        minimum_samples: fields.maybe_integer("minimum_samples")?.unwrap_or(0),
        assurance: assurance.unwrap_or(usual),
        confidence_ppm: confidence.unwrap_or(CONFIDENCE_PPM),
        mature_after: fields.maybe_word("mature_after", parse_duration)?.unwrap_or_default(),
        statistic: fields.maybe_named("statistic", Statistic::ALL)?.unwrap_or(Statistic::Newest),
        baseline,
        prometheus: fields.maybe_one("prometheus", prom_query)?,
    })
}

fn baseline(node: &Node) -> Decoded<Baseline> {
    let fields = Fields::of(node, &BASELINE);
    Ok(Baseline { count: fields.integer("count")?, period: fields.word("period", parse_duration)? })
}

/// A question to Prometheus.
pub(super) fn prom_query(node: &Node) -> Decoded<PromQuery> {
    let fields = Fields::of(node, &PROM_QUERY);
    Ok(PromQuery {
        query: fields.text("query")?,
        samples_query: fields.maybe_word("samples_query", verbatim)?,
        age_max: fields.maybe_word("age_max", parse_duration)?.unwrap_or(AGE_MAX),
    })
}

/// A requirement in the unit of its metric.
pub(super) fn requirement(
    fields: Fields<'_>,
    key: &'static str,
    metric: Metric,
) -> Decoded<Requirement> {
    maybe_requirement(fields, key, metric)?.ok_or_else(|| fields.unread(key))
}

/// A requirement in the unit of its metric, where there is one.
pub(super) fn maybe_requirement(
    fields: Fields<'_>,
    key: &'static str,
    metric: Metric,
) -> Decoded<Option<Requirement>> {
    fields.maybe_word(
        key,
        match metric.unit() {
            Unit::Rate => |text| Requirement::parse(text, Unit::Rate),
            Unit::Time => |text| Requirement::parse(text, Unit::Time),
            Unit::Count => |text| Requirement::parse(text, Unit::Count),
        },
    )
}
