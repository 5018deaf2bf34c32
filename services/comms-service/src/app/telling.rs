//! What is told of an event, of the time, or because a person asks: as records.

use comms_core::{Context, NewCommunication, News, Told, due, quiet_until, tell};
use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use plan::{CommunicationEvent, Contact};
use service_kit::clock::{Clock, real_now};
use service_kit::fault::Fault;
use service_kit::wire::signed;
use vocab::Timestamp;

use super::{App, concerned};
use crate::affected::Affected;
use crate::convert::told::{Moment, communication, message, standing_of, wire_standing};
use crate::convert::{Occurrence, What};
use crate::directory;
use crate::state::{Applied, State, draft};

/// What a rollback overtakes: about a phase that was left.
const OVERTAKEN: [CommunicationEvent; 5] = [
    CommunicationEvent::PhaseStart,
    CommunicationEvent::BetaAnnouncement,
    CommunicationEvent::CanaryInvitation,
    CommunicationEvent::GaAnnouncement,
    CommunicationEvent::ReviewReminder,
];
/// Communications that say that others are incomplete begin like this: they are not told of again.
const ALERT: &str = "alert";

/// What an event is told as.
pub(super) fn of_occurrence(
    state: &State,
    occurrence: &Occurrence,
    affected: &Affected,
    contacts: &[Contact],
    clock: &Clock,
) -> pb::Made {
    let mut made = pb::Made::default();
    let What::News(concern, news) = &occurrence.what else { return made };
    let (source, revision) = (occurrence.source, occurrence.revision);
    let plans = concerned(state, concern);
    if plans.is_empty() {
        tracing::warn!(source, revision, ?concern, "no plan says whom to tell: nobody is told");
    }
    for (rollout, applied) in plans {
        let id = id(rollout);
        let origin = format!("{source}-{revision}.{id}");
        let plan = directory::with(&applied.plan, contacts);
        let context = Context {
            plan: &plan,
            rollout: id,
            source: &origin,
            revision,
            actor: &occurrence.actor,
            time: occurrence.time,
            affected: affected.workspaces.as_deref(),
        };
        let mut told = tell(&context, &state.standing(rollout), news);
        told.communications.retain(|new| !is_sent_by_hand(state, rollout, applied, new));
        add(&mut made, state, rollout, applied, told, occurrence.time, clock);
    }
    for message in made.messages.iter_mut().filter(|one| !one.workspaces.is_empty()) {
        message.flag_revision = signed(affected.flag_revision);
    }
    made
}

/// Whether somebody has invited the canaries in this phase already: one invitation is enough.
fn is_sent_by_hand(
    state: &State,
    rollout: &str,
    applied: &Applied,
    new: &NewCommunication,
) -> bool {
    let mut known = applied.plan.communication.messages.iter();
    let invites = known.any(|one| {
        one.id.as_str() == new.event && one.event == CommunicationEvent::CanaryInvitation
    });
    let mut sent = state.communications.newest_first().map(|(_, tracked)| &tracked.communication);
    invites
        && sent.any(|one| {
            one.rollout == rollout
                && one.event == new.event
                && one.phase_generation == signed(new.generation)
                && one.state() != pb::communication::State::Cancelled
        })
}

fn add(
    made: &mut pb::Made,
    state: &State,
    rollout: &str,
    applied: &Applied,
    told: Told,
    occurred: Timestamp,
    clock: &Clock,
) {
    let moment = moment(applied, clock);
    if let Some(why) = told.overtaken {
        let overtaken = overtaken(state, rollout, applied);
        made.cancellations
            .extend(overtaken.map(|message| pb::Cancellation { message, reason: why.clone() }));
    }
    made.standings.push(wire_standing(rollout, &told.standing));
    for new in told.communications {
        made.communications.push(communication(rollout, &new, occurred, moment));
        let messages = new.messages.iter().cloned();
        made.messages.extend(messages.map(|one| message(rollout, &new, one, moment)));
    }
}

/// Messages about the phase that is left and that were not sent yet.
fn overtaken(state: &State, rollout: &str, applied: &Applied) -> impl Iterator<Item = String> {
    let about_the_phase = move |event: &str| {
        let mut known = applied.plan.communication.messages.iter();
        known.any(|one| one.id.as_str() == event && OVERTAKEN.contains(&one.event))
    };
    let pending = state.all_pending().filter(move |stored| {
        let message = &stored.message;
        message.rollout == rollout && !message.test && about_the_phase(&message.event)
    });
    pending.map(|stored| stored.message.name.clone()).collect::<Vec<_>>().into_iter()
}

pub(super) fn moment(applied: &Applied, clock: &Clock) -> Moment {
    let plan = &applied.plan.communication;
    let (now, real) = (clock.now(), real_now());
    let low = quiet_until(plan.quiet_hours, plan.digest_every, now);
    Moment { made: now, real, low_due: real.plus(clock.real(low.since(now))) }
}

pub(super) fn id(rollout: &str) -> &str {
    rollout.rsplit('/').next().unwrap_or_default()
}

/// What has come due by now, as an event; `None` where nothing has.
fn of_time(state: &State, contacts: &[Contact], clock: &Clock) -> Option<pb::MessagesMade> {
    let (now, real) = (clock.now(), real_now());
    let mut made = pb::MessagesMade::default();
    let mut told = pb::Made::default();
    made.overdue_communications = state
        .communications
        .past_deadline(real)
        .map(|one| one.communication.name.clone())
        .collect();
    for one in state.communications.unheard() {
        let communication = &one.communication;
        made.alerted_communications.push(communication.name.clone());
        let about = id(&communication.name);
        let (event, detail) = (communication.event.clone(), communication.detail.clone());
        tracing::error!(communication = about, event, detail, "not everybody has been told");
        if about.starts_with(ALERT) {
            continue; // The log is what is left.
        }
        let news = News::CommunicationIncomplete { event, detail };
        let source = format!("{ALERT}.{about}");
        by_itself(&mut told, state, &communication.rollout, (&source, &news), contacts, clock);
    }
    for (rollout, applied) in &state.plans {
        let standing = state.standing(rollout);
        for news in due(&applied.plan, &standing, now) {
            let what = if let News::ReviewDue { number } = &news {
                format!("review-{number}")
            } else if let News::ReviewUnanswered { number } = &news {
                format!("unanswered-{number}")
            } else if let News::TaskDue { task } = &news {
                format!("task-{task}")
            } else {
                continue; // Nothing else comes by time.
            };
            let source = format!("{what}.{}.{}", standing.generation, id(rollout));
            by_itself(&mut told, state, rollout, (&source, &news), contacts, clock);
        }
    }
    let nothing = made.overdue_communications.is_empty()
        && made.alerted_communications.is_empty()
        && told == pb::Made::default();
    made.made = Some(told);
    (!nothing).then_some(made)
}

/// Tells news that no other service has.
fn by_itself(
    told: &mut pb::Made,
    state: &State,
    rollout: &str,
    (source, news): (&str, &News),
    contacts: &[Contact],
    clock: &Clock,
) {
    let Some(applied) = state.plans.get(rollout) else { return };
    let now = clock.now();
    let known = told.standings.iter().rev().find(|one| one.rollout == rollout).cloned();
    let before = known.map_or_else(|| state.standing(rollout), standing_of);
    let plan = directory::with(&applied.plan, contacts);
    let context = Context {
        plan: &plan,
        rollout: id(rollout),
        source,
        revision: before.generation,
        actor: "softlaunch",
        time: now,
        affected: None,
    };
    let one = tell(&context, &before, news);
    add(told, state, rollout, applied, one, now, clock);
}

impl App {
    /// Records what has come due; false where nothing has.
    pub(crate) async fn pass_time(&self) -> Result<bool, Fault> {
        let contacts = self.directory.contacts();
        if of_time(&self.state().state, &contacts, &self.clock).is_none() {
            return Ok(false);
        }
        // Decided again on the newest state: of several replicas one tells.
        self.execute("due", |state| {
            let made = of_time(state, &contacts, &self.clock);
            Ok(made.into_iter().map(|made| draft(Kind::MessagesMade(made))).collect())
        })
        .await?;
        Ok(true)
    }
}
