//! Phases.

use super::criterion::CRITERION;
use super::word::{ATTRIBUTE, DURATION, ID, PHASE_ID, ROLE, SECTION, WORKSPACES};
use super::{Kind, Object, may, must, object};
use crate::node::Node;
use crate::problem::Problems;

const CRITERIA: Kind = Kind::List(0, &Kind::Object(&CRITERION));
const ROLES: Kind = Kind::List(1, &Kind::Word(&ROLE));
const PATTERNS: Kind = Kind::List(0, &Kind::Word(&WORKSPACES));
const PERCENTAGE: Kind = Kind::Integer(0, 100);
const FILE_SIZE_MAX_BYTES: i64 = 1 << 40; // A TiB: beyond any upload.
const UPLOADS_PER_DAY_MAX: i64 = 1_000_000_000; // Fits 32 bits.

pub(crate) static PHASE: Object = object(
    "phase",
    "One phase of the rollout.",
    &[
        must("id", Kind::Word(&PHASE_ID), "Its id."),
        must("name", Kind::Text, "Its name."),
        must("section", Kind::Word(&SECTION), "Section of the source document."),
        must("objective", Kind::Text, "What it is for."),
        must("audience", Kind::Text, "Who is in it, in words."),
        must("traffic", Kind::Text, "What traffic it sees, in words."),
        must("minimum_duration", Kind::Word(&DURATION), "No advance before this much active time."),
        may("maximum_duration", Kind::Word(&DURATION), "Passing this raises a notice."),
        may("parameters", Kind::List(0, &Kind::Object(&PARAMETER)), "Its table of parameters."),
        may("activities", Kind::List(0, &Kind::Object(&ACTIVITY)), "What is done in it."),
        may("selection", Kind::List(0, &Kind::Text), "How workspaces are chosen, in words."),
        must("flag", Kind::Object(&FLAG), "Who is on."),
        may("cohort", Kind::Object(&COHORT), "Who the percentage counts among."),
        may(
            "ramp",
            Kind::List(0, &Kind::Object(&RAMP_STEP)),
            "Steps of the percentage within the phase; the last is the flag's percentage.",
        ),
        must("limits", Kind::Object(&LIMITS), "Limits on uploads."),
        must("review", Kind::Object(&REVIEW), "Review cadence."),
        must("entry", CRITERIA, "What must hold before the phase starts."),
        may("gate", Kind::Object(&GATE), "The gate at its end; the last phase has none."),
    ],
)
.also(durations);

fn durations(node: &Node, path: &str, problems: &mut Problems) {
    let duration = |key| vocab::parse_duration(node.text_of(key)?).ok();
    let (Some(minimum), Some(maximum)) =
        (duration("minimum_duration"), duration("maximum_duration"))
    else {
        return;
    };
    if maximum < minimum {
        let place = node.get("maximum_duration").map_or(node.place, |value| value.place);
        let message = format!(
            "{} is shorter than the minimum duration: expected at least {}",
            vocab::format_duration(maximum),
            vocab::format_duration(minimum)
        );
        problems.error(place, &format!("{path}.maximum_duration"), message);
    }
}

pub(crate) static PARAMETER: Object = object(
    "parameter",
    "A line of a phase's table of parameters.",
    &[must("name", Kind::Text, "Its name."), must("value", Kind::Text, "Its value as worded.")],
);

pub(crate) static ACTIVITY: Object = object(
    "activity",
    "Something done in a phase.",
    &[must("name", Kind::Text, "Its name."), must("description", Kind::Text, "What is done.")],
);

pub(crate) static FLAG: Object = object(
    "flag",
    "Who is on: a deny beats an allow, an allow beats the percentage.",
    &[
        must("enabled", Kind::Boolean, "Whether the percentage applies."),
        may("allowlist", PATTERNS, "On whatever else holds, but for a deny."),
        may("denylist", PATTERNS, "Off whatever else holds."),
        may("percentage", PERCENTAGE, "The share that is on, when enabled; 0 where absent."),
    ],
);

pub(crate) static COHORT: Object = object(
    "cohort",
    "Rules on the attributes of the workspaces the percentage counts among.",
    &[
        may("exclude", Kind::List(0, &Kind::Object(&EXCLUSION)), "Who is kept off."),
        may("stratify", Kind::Word(&ATTRIBUTE), "The attribute by which the mix is reported."),
    ],
);

pub(crate) static EXCLUSION: Object = object(
    "exclusion",
    "Keeps a workspace off the percentage.",
    &[
        must("attribute", Kind::Word(&ATTRIBUTE), "The attribute."),
        may("equals", Kind::Text, "Excluded where it is this text."),
        may(
            "above",
            Kind::Integer(i64::MIN, i64::MAX),
            "Excluded where it is a number above this.",
        ),
    ],
)
.exactly_one_of(&["equals", "above"]);

pub(crate) static RAMP_STEP: Object = object(
    "ramp_step",
    "One step of the ramp: at most twice the step before, at most 10 from nothing.",
    &[
        must("percentage", PERCENTAGE, "The share to reach."),
        must("hold", Kind::Word(&DURATION), "How long it is held before the next."),
        may("manual", Kind::Boolean, "Whether an operator takes it; false where absent."),
    ],
);

pub(crate) static LIMITS: Object = object(
    "limits",
    "Limits on uploads.",
    &[
        may(
            "uploads_per_day",
            Kind::Integer(1, UPLOADS_PER_DAY_MAX),
            "Uploads a day (UTC) and workspace; unlimited where absent.",
        ),
        must("file_size_max_bytes", Kind::Integer(1, FILE_SIZE_MAX_BYTES), "Largest file."),
    ],
);

pub(crate) static REVIEW: Object = object(
    "review",
    "Review cadence of a phase.",
    &[
        must("description", Kind::Text, "The cadence in words."),
        must(
            "every",
            Kind::List(0, &Kind::Object(&REVIEW_INTERVAL)),
            "How often, from the start of the phase; empty for continuous.",
        ),
        must("attendees", ROLES, "Who attends, by role."),
    ],
)
.also(cadence);

/// Every stretch but the last has an end, or the next would never begin.
fn cadence(node: &Node, path: &str, problems: &mut Problems) {
    let every = node.list("every");
    for (i, stretch) in every.iter().enumerate() {
        let last = i + 1 == every.len();
        if last == stretch.get("lasts").is_some() {
            let message = if last {
                "the last interval goes on: expected no `lasts`"
            } else {
                "another interval follows: expected `lasts`, e.g. 3d"
            };
            problems.error(stretch.place, &format!("{path}.every[{i}]"), message);
        }
    }
}

pub(crate) static REVIEW_INTERVAL: Object = object(
    "review_interval",
    "A stretch of a phase with one review interval.",
    &[
        must("interval", Kind::Word(&DURATION), "Time between reviews."),
        may("lasts", Kind::Word(&DURATION), "How long it applies; the last goes on."),
    ],
)
.also(interval);

fn interval(node: &Node, path: &str, problems: &mut Problems) {
    let text = node.text_of("interval").unwrap_or_default();
    if vocab::parse_duration(text).is_ok_and(|interval| interval.as_secs() < 60) {
        let message = format!("`{text}` is too short for people: expected at least 1m");
        problems.error(node.place, &format!("{path}.interval"), message);
    }
}

pub(crate) static GATE: Object = object(
    "gate",
    "A gate between two phases.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        must("approvers", ROLES, "Roles that must approve; distinct people."),
        must("criteria", CRITERIA, "What must hold."),
    ],
);
