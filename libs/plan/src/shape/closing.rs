//! What ends a rollout, and the papers that go with it.

use super::criterion::CRITERION;
use super::word::{DATE, DURATION, ID, ROLE, SECTION};
use super::{Kind, Object, must, object};

const CRITERIA: Kind = Kind::List(0, &Kind::Object(&CRITERION));
const ROLES: Kind = Kind::List(1, &Kind::Word(&ROLE));

pub(crate) static GA: Object = object(
    "ga",
    "When general availability may be declared.",
    &[
        must(
            "consecutive_days",
            Kind::Integer(1, 366),
            "Daily evaluations in a row that must be met, all at 100 %.",
        ),
        must("quantitative", CRITERIA, "Judged on every one of those days."),
        must("qualitative", CRITERIA, "Confirmed by people."),
        must("checklist", CRITERIA, "The declaration checklist."),
        must("approvers", ROLES, "Roles that sign off; distinct people."),
    ],
);

pub(crate) static POST_GA_TASK: Object = object(
    "post_ga_task",
    "A task after general availability.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "The task as worded."),
        must("section", Kind::Word(&SECTION), "The section it comes from."),
        must("due_after", Kind::Word(&DURATION), "Due this long after the declaration."),
    ],
);

pub(crate) static ENHANCEMENT: Object = object(
    "enhancement",
    "An enhancement planned for later.",
    &[
        must("title", Kind::Text, "What."),
        must("prerequisite", Kind::Text, "What must come first."),
        must("target", Kind::Text, "When."),
    ],
);

pub(crate) static REFERENCE: Object = object(
    "reference",
    "A reference document.",
    &[must("document", Kind::Text, "Its name."), must("purpose", Kind::Text, "What it is for.")],
);

pub(crate) static DOCUMENT: Object = object(
    "document",
    "Document control.",
    &[
        must("status", Kind::Text, "Status as worded."),
        must("changes", Kind::List(1, &Kind::Object(&DOCUMENT_CHANGE)), "Versions, oldest first."),
        must("approvers", ROLES, "Roles that must approve the plan."),
    ],
);

pub(crate) static DOCUMENT_CHANGE: Object = object(
    "document_change",
    "A line of the version table.",
    &[
        must("version", Kind::Text, "The version, in quotes."),
        must("date", Kind::Word(&DATE), "The date."),
        must("change", Kind::Text, "What changed."),
    ],
);
