//! What templates and channels are told of some news.

use plan::{CommunicationEvent, Message, Plan};
use vocab::{PhaseId, Timestamp, format_duration};

use crate::compose::{Context, MEETING_LENGTH, gate, next_phase};
use crate::message::Meeting;
use crate::standing::Review;
use crate::template::Fields;
use crate::{IncidentStatus, News, Standing};

/// Everything messages are made of.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) fields: Fields,
    pub(crate) thread: Option<String>,
    pub(crate) status: IncidentStatus,
    pub(crate) meeting: Option<Meeting>,
    pub(crate) review: Option<Review>,
    /// The phase that is on; `None` where banners are withdrawn whatever it is.
    shown_in: Option<PhaseId>,
}

impl Facts {
    /// Whether a banner is shown no more.
    pub(crate) fn withdrawn(&self, message: &Message) -> bool {
        let shown = |phase: &PhaseId| message.phases.is_empty() || message.phases.contains(phase);
        !self.shown_in.as_ref().is_some_and(shown)
    }
}

/// Whether news changes when, or whether, the review can be held.
pub(crate) fn review_moves(plan: &Plan, after: &Standing, review: Review, news: &News) -> bool {
    let moved = || review_start(plan, after).is_some_and(|start| start != review.start);
    matches!(news, News::RollbackStarted { .. })
        || (matches!(news, News::RolloutResumed { .. }) && moved())
}

/// The first moment at which the gate can be passed.
fn review_start(plan: &Plan, standing: &Standing) -> Option<Timestamp> {
    gate(plan, standing)?;
    let phase = plan.phase(standing.phase.as_ref()?)?;
    Some(standing.phase_since.plus(standing.stopped_for).plus(phase.minimum_duration))
}

/// The facts of some news.
pub(crate) fn facts(
    context: &Context<'_>,
    before: &Standing,
    standing: &Standing,
    news: &News,
) -> Facts {
    let mut facts = common(context, standing);
    arrange(context, before, standing, news, &mut facts);
    if let Some(meeting) = &facts.meeting {
        set(&mut facts.fields, "start_time", meeting.start.to_string());
        set(&mut facts.fields, "end_time", meeting.end.to_string());
        let change = match (meeting.cancelled, meeting.sequence) {
            (true, _) => "called off",
            (false, 0) => "arranged",
            (false, _) => "moved",
        };
        set(&mut facts.fields, "change", change.to_owned());
    }
    describe(context.plan, standing, news, &mut facts.fields);
    facts
}

/// What becomes of the review and of banners.
fn arrange(
    context: &Context<'_>,
    before: &Standing,
    standing: &Standing,
    news: &News,
    facts: &mut Facts,
) {
    let start = review_start(context.plan, standing);
    if let News::PhaseStarted { .. } = news {
        facts.review = start.map(|start| Review { sequence: 0, start });
        facts.meeting = facts.review.map(|review| meeting(context, standing, review, false));
    } else if let (News::RolloutResumed { .. }, Some(old), Some(start)) =
        (news, before.review, start)
    {
        if old.start != start {
            let moved = Review { sequence: old.sequence + 1, start };
            facts.review = Some(moved);
            facts.meeting = Some(meeting(context, standing, moved, false));
        }
    } else if let News::RollbackStarted { .. } = news {
        facts.shown_in = None;
        if let Some(old) = before.review {
            let off = Review { sequence: old.sequence + 1, ..old };
            facts.meeting = Some(meeting(context, standing, off, true));
            facts.review = None;
        }
    }
}

/// The facts of what is the case, where a person asks for a message.
pub(crate) fn by_hand(
    context: &Context<'_>,
    standing: &Standing,
    event: CommunicationEvent,
    reason: &str,
) -> Facts {
    let mut facts = common(context, standing);
    facts.meeting = standing.review.map(|review| meeting(context, standing, review, false));
    let title = format!("{} at {}", event.name().replace('_', " "), context.plan.pipeline);
    set(&mut facts.fields, "title", title);
    set(&mut facts.fields, "why", reason.to_owned());
    if event == CommunicationEvent::CanaryInvitation {
        aim(context.plan, next_phase(context.plan, standing.phase.as_ref()), &mut facts.fields);
    }
    facts
}

fn common(context: &Context<'_>, standing: &Standing) -> Facts {
    let mut fields = Fields::default();
    for name in crate::template::FIELDS {
        fields.insert(name, String::new());
    }
    set(&mut fields, "pipeline", context.plan.pipeline.to_string());
    set(&mut fields, "plan_title", context.plan.title.clone());
    set(&mut fields, "rollout", context.rollout.to_owned());
    set(&mut fields, "flag", context.plan.flag.to_string());
    set(&mut fields, "actor", context.actor.to_owned());
    set(&mut fields, "time", context.time.to_string());
    aim(context.plan, standing.phase.as_ref(), &mut fields);
    let incident = standing.incident.as_ref();
    let status = incident.map_or(IncidentStatus::Investigating, |incident| incident.status);
    set(&mut fields, "status", format!("{status:?}").to_lowercase());
    Facts {
        fields,
        thread: incident.map(|incident| incident.id.clone()),
        status,
        meeting: None,
        review: standing.review,
        shown_in: standing.phase.clone(),
    }
}

fn meeting(context: &Context<'_>, standing: &Standing, review: Review, cancelled: bool) -> Meeting {
    let phase = standing.phase.as_ref().map_or("", PhaseId::as_str);
    Meeting {
        uid: format!("{}-{phase}-{}@softlaunch.invalid", context.rollout, standing.generation),
        sequence: review.sequence,
        cancelled,
        start: review.start,
        end: review.start.plus(MEETING_LENGTH),
        attendees: Vec::new(),
    }
}

/// The fields that a phase gives.
fn aim(plan: &Plan, id: Option<&PhaseId>, fields: &mut Fields) {
    let Some(phase) = id.and_then(|id| plan.phase(id)) else { return };
    set(fields, "phase_id", phase.id.to_string());
    set(fields, "phase_name", phase.name.clone());
    set(fields, "objective", phase.objective.clone());
    set(fields, "audience", phase.audience.clone());
    set(fields, "review", phase.review.description.clone());
    set(fields, "minimum_duration", format_duration(phase.minimum_duration));
    let gate = phase.gate.as_ref().map_or_else(String::new, |gate| gate.title.clone());
    set(fields, "gate", gate);
    let attendees: Vec<_> = phase.review.attendees.iter().map(ToString::to_string).collect();
    set(fields, "attendees", attendees.join(", "));
}

/// What news says in its own words.
fn describe(plan: &Plan, standing: &Standing, news: &News, fields: &mut Fields) {
    if let Some((title, why, effect)) = words(plan, news) {
        set(fields, "title", title);
        set(fields, "why", why.to_owned());
        set(fields, "effect", effect.to_owned());
    }
    match news {
        News::PhaseStarted { exposure, again, .. } => {
            set(fields, "exposure", exposure.to_string());
            let verb = if *again { "has started again" } else { "has started" };
            set(fields, "verb", verb.to_owned());
        }
        News::GateApproved { .. } => aim(plan, next_phase(plan, standing.phase.as_ref()), fields),
        News::RollbackStarted { from, to, .. } => {
            set(fields, "from_phase", from.clone());
            set(fields, "to_phase", to.clone());
        }
        News::WatchedChanged { id, .. } => {
            let signal = plan.signals.iter().find(|signal| signal.id.as_str() == id);
            let threshold = ("a threshold is not met", "Look at the metric and its trend");
            let (concern, action) = signal
                .map_or(threshold, |signal| (signal.concern.as_str(), signal.action.as_str()));
            set(fields, "concern", concern.to_owned());
            set(fields, "action", action.to_owned());
        }
        News::PhaseOverdue { phase } => aim(plan, Some(phase), fields),
        News::PostGaTaskDone { task } => describe_task(plan, task, "done", fields),
        News::TaskDue { task } => describe_task(plan, task, "due", fields),
        News::ReviewDue { number } => {
            set(fields, "number", number.to_string());
            set(fields, "change", "due".to_owned());
        }
        News::ReviewUnanswered { number } => {
            set(fields, "number", number.to_string());
            set(fields, "change", "due, and nobody has acknowledged it".to_owned());
        }
        News::RolloutPaused { .. }
        | News::RolloutResumed { .. }
        | News::RollbackStepDone { .. }
        | News::KillSwitchEngaged { .. }
        | News::KillSwitchReleased { .. }
        | News::CommunicationIncomplete { .. }
        | News::RolloutArchived { .. }
        | News::GaAnnounced
        | News::GaDeclared => {}
    }
}

fn describe_task(plan: &Plan, task: &str, change: &str, fields: &mut Fields) {
    let known = plan.post_ga.iter().find(|known| known.id.as_str() == task);
    set(fields, "task", known.map_or_else(|| task.to_owned(), |known| known.title.clone()));
    set(fields, "section", known.map_or_else(String::new, |known| known.section.clone()));
    set(fields, "change", change.to_owned());
}

/// What happened, why, and what follows; `None` where the event's template says it all.
fn words<'a>(plan: &Plan, news: &'a News) -> Option<(String, &'a str, &'static str)> {
    Some(match news {
        News::RolloutPaused { reason, global: true, .. } => (
            "rollout paused".to_owned(),
            reason,
            "new uploads wait; ramp and phase clock stand still",
        ),
        News::RolloutPaused { reason, .. } => (
            "rollout paused".to_owned(),
            reason,
            "new uploads of the phase's cohort wait; ramp and phase clock stand still",
        ),
        News::RolloutResumed { reason } => {
            ("rollout resumed".to_owned(), reason, "uploads go on; the phase clock runs")
        }
        News::RollbackStarted { from, to, reason } => (
            format!("rollout paused: it is rolled back from {from} to {to}"),
            reason,
            "new uploads wait; the flag goes back in one step",
        ),
        News::RollbackStepDone { step, detail } => {
            let known = plan.rollback_steps.iter().find(|known| known.id.as_str() == step);
            let title = known.map_or(step.as_str(), |known| &known.title);
            (format!("done: {title}"), detail, "the next step of the checklist can begin")
        }
        News::KillSwitchEngaged { scope, reason } => (
            format!("kill switch engaged for {scope}"),
            reason,
            "new uploads in this scope wait until the switch is released",
        ),
        News::KillSwitchReleased { scope, reason } => {
            (format!("kill switch released for {scope}"), reason, "uploads go on")
        }
        News::WatchedChanged { id, trigger, firing, title, evidence, .. } => {
            let state = if *firing { "" } else { ": over" };
            let is_signal = plan.signals.iter().any(|signal| signal.id.as_str() == id);
            // A threshold's title is what must hold.
            let what = if *trigger || is_signal { "" } else { "not met: " };
            (format!("{what}{title}{state}"), evidence, "see the rollout's timeline")
        }
        News::CommunicationIncomplete { event, detail } => (
            format!("not everybody has been told: {event}"),
            detail,
            "what waits for it is not allowed; see `softlaunch comms status`",
        ),
        News::RolloutArchived { reason } => ("rollout archived".to_owned(), reason, "it is over"),
        News::PhaseStarted { .. }
        | News::GateApproved { .. }
        | News::PhaseOverdue { .. }
        | News::GaAnnounced
        | News::GaDeclared
        | News::PostGaTaskDone { .. }
        | News::ReviewDue { .. }
        | News::ReviewUnanswered { .. }
        | News::TaskDue { .. } => return None,
    })
}

fn set(fields: &mut Fields, name: &'static str, value: String) {
    debug_assert!(crate::template::FIELDS.contains(&name), "{name} is no field");
    fields.insert(name, value);
}
