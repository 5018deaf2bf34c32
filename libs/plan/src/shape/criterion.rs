//! Criteria of gates.

use super::word::{CONFIDENCE, DURATION, ID, MATURITY, REQUIREMENT, ROLE, SECTION, WINDOW_SPAN};
use super::{Kind, Object, may, must, names, object};
use crate::node::Node;
use crate::problem::Problems;
use crate::quantity::{Metric, Requirement, Unit};
use crate::{Assurance, Observation, Statistic};

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
        may(
            "expires_after",
            Kind::Word(&DURATION),
            "How long a statement counts; for ever if absent.",
        ),
        may("dry_run", Kind::Boolean, "Judged and shown, not counted; false where absent."),
        may(
            "communication",
            Kind::Word(&ID),
            "The message of the communication plan, for communication_delivered.",
        ),
    ],
)
.exactly_one_of(&["metric", "observed", "attestation", "sign_off"])
.also(|node, path, problems| {
    stated(node, path, problems);
    told(node, path, problems);
});

pub(crate) static METRIC_CRITERION: Object = object(
    "metric_criterion",
    "A metric and what it must be.",
    &[
        must("name", METRIC, "The metric."),
        may("label", Kind::Word(&ID), "A label its series must carry, e.g. P1."),
        may("requirement", Kind::Word(&REQUIREMENT), "What the value must be."),
        may("baseline", Kind::Object(&BASELINE), "Must be normal: within the limits of this."),
        must("window", Kind::Word(&WINDOW_SPAN), "The stretch of time looked at."),
        may("minimum_samples", SAMPLES, "Below it the verdict is inconclusive; 0 where absent."),
        may(
            "assurance",
            Kind::OneOf("assurance", || names(Assurance::ALL)),
            "How sure the verdict must be; not_disproved where absent.",
        ),
        may(
            "confidence",
            Kind::Word(&CONFIDENCE),
            "Asks for certified at this confidence, which is otherwise 95%.",
        ),
        may("mature_after", Kind::Word(&MATURITY), "Judges only uploads admitted this long ago."),
        may(
            "statistic",
            Kind::OneOf("statistic", || names(Statistic::ALL)),
            "What is taken of a gauge's readings; the newest where absent.",
        ),
        may("prometheus", Kind::Object(&PROM_QUERY), "Takes the value from Prometheus."),
    ],
)
.exactly_one_of(&["requirement", "baseline"])
.also(|node, path, problems| {
    requirement(node, path, ("name", "requirement"), problems);
    fitting(node, path, problems);
});

pub(crate) static BASELINE: Object = object(
    "baseline",
    "What is normal: so many in a period.",
    &[
        must("count", SAMPLES, "How many were counted."),
        must("period", Kind::Word(&DURATION), "In which time."),
    ],
);

pub(crate) static PROM_QUERY: Object = object(
    "prom_query",
    "A question to Prometheus: of rates a share of one, of times seconds.",
    &[
        must("query", Kind::Text, "The value, in PromQL: one number, or one series."),
        may("samples_query", Kind::Text, "How many observations it rests on, in PromQL."),
        may("age_max", Kind::Word(&DURATION), "How old the sample may be; 5m where absent."),
    ],
);

/// Only what people state expires.
fn stated(node: &Node, path: &str, problems: &mut Problems) {
    let Some(given) = node.get("expires_after") else { return };
    if node.get("attestation").is_none() && node.get("sign_off").is_none() {
        let path = format!("{path}.expires_after");
        problems.error(given.place, &path, "only attestations and sign-offs expire");
    }
}

/// What is to have been delivered is named, and by nothing else.
fn told(node: &Node, path: &str, problems: &mut Problems) {
    let asks = node.text_of("observed") == Some(Observation::CommunicationDelivered.name());
    match node.get("communication") {
        Some(given) if !asks => {
            let path = format!("{path}.communication");
            problems.error(given.place, &path, "only communication_delivered has a communication");
        }
        None if asks => problems.error(
            node.place,
            &format!("{path}.communication"),
            "which message must have been delivered? expected the id of one of \
             communication.messages",
        ),
        Some(_) | None => {}
    }
}

/// Checks that what is asked for fits the metric.
fn fitting(node: &Node, path: &str, problems: &mut Problems) {
    let Some(Ok(metric)) = node.text_of("name").map(Metric::named) else { return };
    let ended = matches!(metric, Metric::ErrorRate | Metric::SuccessRate);
    let samples = node.get("prometheus").and_then(|source| source.get("samples_query"));
    let unsampled = node.get("prometheus").is_some()
        && samples.is_none()
        && node.get("minimum_samples").and_then(Node::integer).is_some_and(|least| least > 1);
    let rules = [
        ("mature_after", !ended, "only error_rate and success_rate judge uploads by their age"),
        (
            "mature_after",
            node.get("prometheus").is_some(),
            "what Prometheus answers is judged as it is: expected no mature_after",
        ),
        ("statistic", !metric.is_gauge(), "only a gauge has readings to take a statistic of"),
        ("baseline", metric.unit() != Unit::Count, "only a count has a baseline"),
        (
            "minimum_samples",
            unsampled,
            "Prometheus must be asked for the number of samples: expected prometheus.samples_query",
        ),
    ];
    for (key, broken, why) in rules {
        if let Some(given) = node.get(key).filter(|_| broken) {
            problems.error(given.place, &format!("{path}.{key}"), why);
        }
    }
}

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
