//! What is watched, and what happens when it goes wrong.

use super::criterion::{METRIC, PROM_QUERY, SAMPLES, requirement};
use super::word::{DURATION, ID, PHASE_ID, REQUIREMENT, ROLE, SECTION, SWITCH, WINDOW};
use super::{Field, Kind, Object, may, must, names, object};
use crate::{IncidentKind, OnStale, TriggerAction};

/// Who does a step of the checklist, and whether that is the system.
pub(crate) const STEP_ACTORS: &[(&str, bool)] = &[("system", true), ("people", false)];
/// What the decision matrix answers, and whether that is a rollback.
pub(crate) const MATRIX_ACTIONS: &[(&str, bool)] = &[("rollback", true), ("pause", false)];

pub(crate) static KILL_SWITCH: Object = object(
    "kill_switch",
    "Rules of the kill switch.",
    &[
        must("name", Kind::Word(&SWITCH), "Its name."),
        must("stale_after", Kind::Word(&DURATION), "How long a worker trusts its last state."),
        must("on_stale", Kind::OneOf("choice", || names(OnStale::ALL)), "What it does then."),
        must("release_needs_second_person", Kind::Boolean, "Whether releasing takes two."),
        must("drill_valid_for", Kind::Word(&DURATION), "How long a drill counts."),
    ],
);

pub(crate) static THRESHOLD: Object = object(
    "threshold",
    "A continuous alert.",
    &[
        must("metric", METRIC, "The metric."),
        must("phases", Kind::List(1, &Kind::Word(&PHASE_ID)), "The phases it applies in."),
        must("requirement", Kind::Word(&REQUIREMENT), "What the value must be."),
        must("window", Kind::Word(&WINDOW), "The rolling window it is counted over."),
        SUSTAINED,
        MINIMUM,
        LITERAL,
        CLEARS_WHEN,
        CLEARS_AFTER,
    ],
)
.also(|node, path, problems| {
    requirement(node, path, ("metric", "requirement"), problems);
    requirement(node, path, ("metric", "clears_when"), problems);
});

pub(crate) static SIGNAL: Object = object(
    "signal",
    "A signal to watch.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        must("concern", Kind::Text, "What it may mean."),
        must("action", Kind::Text, "What to do."),
        must("metric", METRIC, "The metric behind it."),
        may("window", Kind::Word(&WINDOW), "The rolling window; 15m where absent."),
        may("raised_when", Kind::Word(&REQUIREMENT), "Raised where this holds."),
        may("grows", Kind::Object(&GROWTH), "Raised where the value has grown like this."),
        SUSTAINED,
        MINIMUM,
        LITERAL,
        CLEARS_WHEN,
        CLEARS_AFTER,
    ],
)
.also(|node, path, problems| {
    requirement(node, path, ("metric", "raised_when"), problems);
    requirement(node, path, ("metric", "clears_when"), problems);
});

pub(crate) static GROWTH: Object = object(
    "growth",
    "Growth of a metric against its own past.",
    &[
        must(
            "factor_percent",
            Kind::Integer(101, 100_000),
            "At least so many percent of the value over the longer window.",
        ),
        must("window", Kind::Word(&WINDOW), "The longer window."),
    ],
);

pub(crate) static WATCHING: Object = object(
    "watching",
    "How triggers, thresholds and signals are watched.",
    &[
        may("evaluate_every", Kind::Word(&DURATION), "How often; 15s where absent."),
        may(
            "gap_max",
            Kind::Word(&DURATION),
            "Evaluations further apart leave a gap; 5m where absent.",
        ),
        may(
            "silent_after",
            Kind::Word(&DURATION),
            "Where nobody reports for this long there is no telemetry; 24h where absent.",
        ),
    ],
);

const SUSTAINED: Field = may(
    "sustained_for",
    Kind::Word(&DURATION),
    "How long it must hold at every evaluation; 0s where absent.",
);
const MINIMUM: Field =
    may("minimum_samples", SAMPLES, "Below it there is only a warning; 0 where absent.");
const LITERAL: Field = may(
    "literal",
    Kind::Boolean,
    "Fires on the bare rule, without a confidence bound; false where absent.",
);
const CLEARS_WHEN: Field = may(
    "clears_when",
    Kind::Word(&REQUIREMENT),
    "Once fired it is over where this holds; where the condition does not hold if absent.",
);
const CLEARS_AFTER: Field = may(
    "clears_after",
    Kind::Word(&DURATION),
    "How long it must be over at every evaluation; 0s where absent.",
);

pub(crate) static TRIGGER: Object = object(
    "trigger",
    "A pause or rollback trigger: fires on a metric or on an incident.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        must("section", Kind::Word(&SECTION), "The section it comes from."),
        may("metric", Kind::Object(&TRIGGER_METRIC), "Fires on a number."),
        may(
            "incident",
            Kind::OneOf("incident kind", || names(IncidentKind::ALL)),
            "Fires on an incident of this kind.",
        ),
        must("action", Kind::OneOf("action", || names(TriggerAction::ALL)), "What happens."),
        must("action_title", Kind::Text, "What happens, as worded."),
        may("resume_criterion", Kind::Text, "What must be shown before resuming."),
        may(
            "resume_observed",
            Kind::Boolean,
            "The system sees that it is met: once the trigger has cleared; false where absent.",
        ),
        may(
            "override_roles",
            Kind::List(1, &Kind::Word(&ROLE)),
            "Roles that may go on although it still fires; nobody where absent.",
        ),
    ],
)
.exactly_one_of(&["metric", "incident"]);

pub(crate) static TRIGGER_METRIC: Object = object(
    "trigger_metric",
    "A metric in a bad relation to a threshold.",
    &[
        must("name", METRIC, "The metric."),
        must("fires_when", Kind::Word(&REQUIREMENT), "The bad relation."),
        must("window", Kind::Word(&WINDOW), "The rolling window."),
        SUSTAINED,
        MINIMUM,
        LITERAL,
        CLEARS_WHEN,
        CLEARS_AFTER,
        may("prometheus", Kind::Object(&PROM_QUERY), "Takes the value from Prometheus."),
    ],
)
.also(|node, path, problems| {
    requirement(node, path, ("name", "fires_when"), problems);
    requirement(node, path, ("name", "clears_when"), problems);
});

pub(crate) static ROLLBACK_STEP: Object = object(
    "rollback_step",
    "A step of the rollback checklist.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "The step as worded."),
        must("by", Kind::OneOf("doer", || names(STEP_ACTORS)), "Who does it."),
    ],
);

const INCIDENT: Kind = Kind::OneOf("incident", || names(IncidentKind::ALL));

pub(crate) static MATRIX_ROW: Object = object(
    "matrix_row",
    "A row of the decision matrix.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("condition", Kind::Text, "The condition as worded."),
        must("duration", Kind::Text, "The duration as worded."),
        must("action", Kind::OneOf("action", || names(MATRIX_ACTIONS)), "What to do."),
        may("within", Kind::Word(&DURATION), "Applies where it takes at most so long."),
        may("beyond", Kind::Word(&DURATION), "Applies where it takes longer than this."),
        may("incidents", Kind::List(1, &INCIDENT), "Kinds of incident that are of this row."),
    ],
);
