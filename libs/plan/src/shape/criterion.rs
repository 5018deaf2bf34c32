//! Criteria of gates.

use super::word::{ID, REQUIREMENT, ROLE, SECTION, WINDOW_SPAN};
use super::{Kind, Object, may, must, names, object};
use crate::node::Node;
use crate::problem::Problems;
use crate::quantity::{Metric, Requirement, Unit};
use crate::{Assurance, Observation};

pub(crate) const METRIC: Kind =
    Kind::OneOf("metric", || Metric::ALL.iter().map(|metric| metric.name()).collect());
const ROLES: Kind = Kind::List(1, &Kind::Word(&ROLE));
const COUNT_MAX: i64 = 1_000_000_000; // Beyond any phase's uploads.
pub(crate) const SAMPLES: Kind = Kind::Integer(0, COUNT_MAX);

pub(crate) static CRITERION: Object = object(
    "criterion",
    "One line of an entry or exit checklist, judged in exactly one of four ways.",
    &[
        must("id", Kind::Word(&ID), "Unique within the plan."),
        must("title", Kind::Text, "The line as the document words it."),
        must("section", Kind::Word(&SECTION), "The section it comes from."),
        may("metric", Kind::Object(&METRIC_CRITERION), "Judged by a measured number."),
        may(
            "observed",
            Kind::OneOf("observation", || names(Observation::ALL)),
            "Judged by something the system itself saw.",
        ),
        may("attestation", ROLES, "Judged by a person who holds one of these roles."),
        may("sign_off", ROLES, "Judged by an approval of every one of these roles."),
    ],
)
.exactly_one_of(&["metric", "observed", "attestation", "sign_off"]);

pub(crate) static METRIC_CRITERION: Object = object(
    "metric_criterion",
    "A metric and what it must be.",
    &[
        must("name", METRIC, "The metric."),
        may("label", Kind::Word(&ID), "A label its series must carry, e.g. P1."),
        must("requirement", Kind::Word(&REQUIREMENT), "What the value must be."),
        must("window", Kind::Word(&WINDOW_SPAN), "The stretch of time looked at."),
        may("minimum_samples", SAMPLES, "Below it the verdict is inconclusive; 0 where absent."),
        may(
            "assurance",
            Kind::OneOf("assurance", || names(Assurance::ALL)),
            "How sure the verdict must be; not_disproved where absent.",
        ),
    ],
)
.also(|node, path, problems| requirement(node, path, ("name", "requirement"), problems));

/// Checks a requirement in the unit of its metric, each under its key.
pub(crate) fn requirement(node: &Node, path: &str, keys: (&str, &str), problems: &mut Problems) {
    let Some(text) = node.text_of(keys.1) else { return };
    let units = match node.text_of(keys.0).map(Metric::named) {
        Some(Ok(metric)) => &[metric.unit()][..],
        _ => &[Unit::Rate, Unit::Time, Unit::Count][..],
    };
    let readings: Vec<_> = units.iter().map(|unit| Requirement::parse(text, *unit)).collect();
    if readings.iter().any(Result::is_ok) {
        return;
    }
    let place = node.get(keys.1).map_or(node.place, |value| value.place);
    if let Some(Err(wrong)) = readings.into_iter().next() {
        problems.error(place, &format!("{path}.{}", keys.1), wrong.0);
    }
}
