//! The whole plan.

use super::closing::{DOCUMENT, ENHANCEMENT, GA, POST_GA_TASK, REFERENCE};
use super::communication::COMMUNICATION;
use super::phase::PHASE;
use super::response::{
    KILL_SWITCH, MATRIX_ROW, ROLLBACK_STEP, SIGNAL, THRESHOLD, TRIGGER, WATCHING,
};
use super::word::{FLAG_KEY, PIPELINE, ROLE, TRANSITION};
use super::{Kind, Object, may, must, object};

const fn list(of: &'static Kind) -> Kind {
    Kind::List(0, of)
}

pub(crate) static PLAN: Object = object(
    "plan",
    "Everything one rollout is bound by.",
    &[
        must("pipeline", Kind::Word(&PIPELINE), "The pipeline under rollout."),
        must("version", Kind::Text, "Version of the plan, in quotes."),
        must("title", Kind::Text, "Title, for people."),
        must("flag", Kind::Word(&FLAG_KEY), "The flag that decides who is on."),
        must("roles", Kind::List(1, &Kind::Object(&ROLE_TITLE)), "Roles the plan speaks of."),
        must("kill_switch", Kind::Object(&KILL_SWITCH), "The kill switch."),
        must("state_transitions", list(&Kind::Word(&TRANSITION)), "What the pipeline can do."),
        must("phases", Kind::List(1, &Kind::Object(&PHASE)), "Phases in order."),
        must("thresholds", list(&Kind::Object(&THRESHOLD)), "Continuous alerts."),
        must("signals", list(&Kind::Object(&SIGNAL)), "Signals to watch."),
        may("watching", Kind::Object(&WATCHING), "How all of it is watched."),
        must("triggers", list(&Kind::Object(&TRIGGER)), "Pause and rollback triggers."),
        must("rollback_steps", list(&Kind::Object(&ROLLBACK_STEP)), "The rollback checklist."),
        must("decision_matrix", list(&Kind::Object(&MATRIX_ROW)), "Pause or rollback."),
        must("ga", Kind::Object(&GA), "When general availability may be declared."),
        must("communication", Kind::Object(&COMMUNICATION), "The communication plan."),
        must("post_ga", list(&Kind::Object(&POST_GA_TASK)), "What is done afterwards."),
        must("enhancements", list(&Kind::Object(&ENHANCEMENT)), "Planned for later."),
        must("references", list(&Kind::Object(&REFERENCE)), "Reference documents."),
        must("document", Kind::Object(&DOCUMENT), "Document control."),
    ],
);

pub(crate) static ROLE_TITLE: Object = object(
    "role_title",
    "A role and what people call it.",
    &[must("role", Kind::Word(&ROLE), "The role."), must("title", Kind::Text, "Its title.")],
);
