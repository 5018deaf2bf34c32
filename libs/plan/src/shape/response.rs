//! What is watched, and what happens when it goes wrong.

use super::criterion::{METRIC, SAMPLES, requirement};
use super::word::{DURATION, ID, PHASE_ID, REQUIREMENT, SECTION, SWITCH, WINDOW};
use super::{Kind, Object, may, must, names, object};
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
    ],
)
.also(|node, path, problems| requirement(node, path, ("metric", "requirement"), problems));

pub(crate) static SIGNAL: Object = object(
    "signal",
    "A signal to watch.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        must("concern", Kind::Text, "What it may mean."),
        must("action", Kind::Text, "What to do."),
        must("metric", METRIC, "The metric behind it."),
    ],
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
        may(
            "sustained_for",
            Kind::Word(&DURATION),
            "How long it must hold at every evaluation; 0s where absent.",
        ),
        may("minimum_samples", SAMPLES, "Below it the trigger only warns; 0 where absent."),
        may(
            "literal",
            Kind::Boolean,
            "Fires on the bare rule, without a confidence bound; false where absent.",
        ),
    ],
)
.also(|node, path, problems| requirement(node, path, ("name", "fires_when"), problems));

pub(crate) static ROLLBACK_STEP: Object = object(
    "rollback_step",
    "A step of the rollback checklist.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "The step as worded."),
        must("by", Kind::OneOf("doer", || names(STEP_ACTORS)), "Who does it."),
    ],
);

pub(crate) static MATRIX_ROW: Object = object(
    "matrix_row",
    "A row of the decision matrix.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("condition", Kind::Text, "The condition as worded."),
        must("duration", Kind::Text, "The duration as worded."),
        must("action", Kind::OneOf("action", || names(MATRIX_ACTIONS)), "What to do."),
    ],
);
