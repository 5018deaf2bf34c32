//! Given what was carried out, when a command is given, then this is what comes of it.

use std::sync::LazyLock;
use std::time::Duration;

use plan::{Plan, SHIPPED};
use rollout_core::{
    Effect, Event, Firing, Grounds, Item, Refusal, Report, Rollout, Rollouts, Stamp, Standing,
    SystemStep, advance, announce_ga, approve, approve_plan, archive, complete_task, create,
    declare_ga, kill_switch_engaged, next_effect, pause, ramp, ramp_automatically, react, reenter,
    resume, roll_back, start, step_done, store_plan, tick_off,
};
use vocab::{Actor, BasisPoints, Role, Timestamp};

use crate::commands::{approval, begin, held, to};

pub(crate) const ROLLOUT: &str = "rollouts/r1";
pub(crate) const PLAN: &str = "plans/ingestion_v2/versions/1.0";
/// One person for each role that approves gates.
pub(crate) const LEADS: [(&str, &str); 3] =
    [("ada", "engineering_lead"), ("bob", "product_manager"), ("cy", "sre_lead")];
/// Where people put their evidence.
pub(crate) const LINK: &str = "https://wiki.example.com/evidence";
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

static SHIPPED_PLAN: LazyLock<Plan> =
    LazyLock::new(|| Plan::parse(SHIPPED).expect("the shipped plan is right").0);

pub(crate) fn shipped() -> &'static Plan {
    &SHIPPED_PLAN
}

pub(crate) const fn days(count: u64) -> Duration {
    hours(24 * count)
}

pub(crate) const fn hours(count: u64) -> Duration {
    Duration::from_secs(3_600 * count)
}

pub(crate) fn percent(share: i64) -> BasisPoints {
    BasisPoints::from_percent(share).expect("a percentage")
}

/// A command with everything its decision rests on.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Start(Report),
    Approve {
        actor: Actor,
        role: Role,
        seen: Report,
        fresh: Report,
    },
    Advance {
        to: String,
        fresh: Report,
        entry: Report,
    },
    /// Somebody takes a step by hand.
    Ramp(&'static str, BasisPoints),
    /// The plan takes a step by itself.
    Hold {
        thresholds_met: bool,
    },
    Pause {
        global: bool,
    },
    Resume {
        evidence: &'static str,
    },
    React(Firing),
    RollBack {
        to_first: bool,
    },
    /// The system carries out what is to be done next.
    Effect,
    TickOff(String),
    Announce(Report),
    Declare(Report),
    Task(String),
    Archive,
    /// Flag and gate have been told.
    Tell,
}

/// One rollout and how it came to be as it is.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) rollouts: Rollouts,
    pub(crate) now: Timestamp,
    pub(crate) journal: Vec<(Event, Stamp)>,
    /// The reports people approved, as the gate service keeps them.
    pub(crate) kept: Vec<Report>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ending {
    story: Story,
    answer: Result<Vec<Event>, Refusal>,
}

/// A rollout that exists and has not started.
pub(crate) fn created() -> Story {
    let mut story = empty();
    let (_, stored) =
        store_plan(&story.rollouts, shipped(), SHIPPED.as_bytes()).expect("nothing is stored yet");
    story.record(&stored, "olga");
    for (name, role) in LEADS {
        let (actor, role) = (person(name, &[role]), Role::new(role).expect("a role"));
        let events = approve_plan(&story.rollouts, PLAN, &actor, &role).expect("an approver");
        story.record(&events, name);
    }
    let events = create(&story.rollouts, ROLLOUT, PLAN, false).expect("nothing is there yet");
    story.record(&events, "olga");
    story
}

pub(crate) fn empty() -> Story {
    let (rollouts, journal, kept) = (Rollouts::default(), Vec::new(), Vec::new());
    Story { rollouts, now: BEGINNING, journal, kept }
}

/// A rollout in P0.
pub(crate) fn started() -> Story {
    created().and(begin)
}

/// A rollout that has just entered `phase`.
pub(crate) fn entered(phase: &str) -> Story {
    let mut story = started();
    while story.rollout().phase().expect("it has started").id.as_str() != phase {
        let next = story.rollout().next_phase().expect("the phase is in the plan").id.to_string();
        story = story.ready().and(to(&next));
    }
    story
}

impl Story {
    pub(crate) fn rollout(&self) -> &Rollout {
        &self.rollouts.by_name[ROLLOUT]
    }

    /// The gate at the end of the phase judged now: everything is met but `open`.
    pub(crate) fn gate_report(&self, open: &[(&str, Standing)]) -> Report {
        let phase = self.rollout().phase().expect("it has started");
        let id = self.rollout().end_gate().map_or("none", |gate| gate.id);
        let ga = &shipped().ga;
        let criteria: Vec<_> = match &phase.gate {
            Some(gate) => gate.criteria.iter().collect(),
            None => {
                [&ga.quantitative, &ga.qualitative, &ga.checklist].into_iter().flatten().collect()
            }
        };
        let ids = criteria.into_iter().map(|criterion| criterion.id.as_str());
        report(id, self.rollout().phase_generation, ids, open)
    }

    /// The entry criteria of the next phase judged now: everything is met but `open`.
    pub(crate) fn entry_report(&self, open: &[(&str, Standing)]) -> Report {
        let generation = self.rollout().phase_generation;
        let Some(next) = self.rollout().next_phase() else {
            return report("none", generation, [].into_iter(), open);
        };
        let ids = next.entry.iter().map(|criterion| criterion.id.as_str());
        report(&format!("{}-entry", next.id).to_lowercase(), generation, ids, open)
    }

    pub(crate) fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let (rollout, olga) = (self.rollout(), person("olga", &[]));
        match command {
            Command::Start(entry) => start(rollout, entry),
            Command::Approve { actor, role, seen, fresh } => {
                approve(rollout, actor, role, seen, fresh, "")
            }
            Command::Advance { to, fresh, entry } => {
                let approved = self.approved_reports();
                let grounds = Grounds { approved: &approved, fresh, entry };
                advance(rollout, &olga, to, grounds, self.now)
            }
            Command::Ramp(who, share) => ramp(rollout, &person(who, &[]), *share, "", self.now),
            Command::Hold { thresholds_met } => {
                Ok(ramp_automatically(rollout, *thresholds_met, self.now))
            }
            Command::Pause { global } => pause(rollout, "errors rise", *global),
            Command::Resume { evidence } => resume(rollout, &olga, "errors are gone", evidence),
            Command::React(firing) => Ok(react(rollout, firing)),
            Command::RollBack { to_first } => roll_back(rollout, *to_first, "data is wrong"),
            Command::Effect => Ok(self.effect()),
            Command::TickOff(step) => tick_off(rollout, &olga, step, "done", LINK),
            Command::Announce(judged) => announce_ga(rollout, judged, self.now),
            Command::Declare(fresh) => {
                declare_ga(rollout, &olga, &self.approved_reports(), fresh, self.now)
            }
            Command::Task(task) => complete_task(rollout, task, LINK),
            Command::Archive => archive(rollout, "it is over"),
            Command::Tell => {
                let (rollout, generation) = (rollout.name.clone(), rollout.generation);
                Ok(vec![Event::GenerationApplied { rollout, generation }])
            }
        }
    }

    fn approved_reports(&self) -> Vec<Report> {
        let approvals = self.rollout().approvals.iter();
        let digests: Vec<_> = approvals.map(|approval| &approval.report_digest).collect();
        self.kept.iter().filter(|report| digests.contains(&&report.digest)).cloned().collect()
    }

    /// What is recorded once the next effect has been carried out.
    fn effect(&self) -> Vec<Event> {
        let rollout = self.rollout();
        let kill = SystemStep::ActivateKillSwitch;
        match next_effect(rollout) {
            None => Vec::new(),
            Some(Effect::EngageKillSwitch { rollback_id: Some(id), .. }) => {
                step_done(rollout, &id, kill, "epoch 7", b"")
            }
            Some(Effect::EngageKillSwitch { rollback_id: None, .. }) => {
                kill_switch_engaged(rollout, 7)
            }
            Some(Effect::Apply(application)) => {
                let (rollout, generation) = (rollout.name.clone(), application.generation);
                vec![Event::GenerationApplied { rollout, generation }]
            }
            Some(Effect::Step { rollback_id, step }) => {
                step_done(rollout, &rollback_id, step, "done", b"")
            }
            Some(Effect::Reenter { rollback_id }) => reenter(rollout, &rollback_id),
        }
    }

    /// Decides, and records what was decided.
    pub(crate) fn carry_out(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let events = self.decide(command)?;
        let actor = match command {
            Command::Approve { actor, seen, .. } => {
                self.kept.push(seen.clone());
                &actor.subject
            }
            Command::Ramp(who, _) => *who,
            Command::Effect | Command::Tell | Command::React(_) | Command::Hold { .. } => {
                "system:rollout"
            }
            Command::Start(_)
            | Command::Advance { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::RollBack { .. }
            | Command::TickOff(_)
            | Command::Announce(_)
            | Command::Declare(_)
            | Command::Task(_)
            | Command::Archive => "olga",
        };
        let actor = actor.to_owned();
        self.record(&events, &actor);
        Ok(events)
    }

    pub(crate) fn record(&mut self, events: &[Event], actor: &str) {
        for event in events {
            let revision = self.journal.len() as u64 + 1;
            let stamp = Stamp { time: self.now, actor: actor.to_owned(), revision };
            self.rollouts.apply(event, &stamp);
            self.journal.push((event.clone(), stamp));
        }
    }

    /// Given that this was carried out as well.
    #[track_caller]
    pub(crate) fn and(mut self, command: impl FnOnce(&Self) -> Command) -> Self {
        let command = command(&self);
        if let Err(refusal) = self.carry_out(&command) {
            panic!("{command:?} is refused: {refusal}");
        }
        self
    }

    /// Given that this much time has passed.
    pub(crate) fn after(mut self, duration: Duration) -> Self {
        self.now = self.now.plus(duration);
        self
    }

    /// Given that the ramp is at its end, time is over and everybody has approved.
    pub(crate) fn ready(mut self) -> Self {
        while self.rollout().next_step().is_some() {
            self = self.after(days(1)).and(held);
        }
        let left = self.rollout().remaining_time(self.now);
        self.after(left).approved()
    }

    /// Given that the system has done whatever is to be done.
    pub(crate) fn settled(mut self) -> Self {
        while next_effect(self.rollout()).is_some() {
            self = self.and(|_| Command::Effect);
        }
        self
    }

    /// Given that everybody the gate asks for has approved.
    pub(crate) fn approved(mut self) -> Self {
        assert!(self.rollout().end_gate().is_some(), "the phase ends at a gate");
        for role in self.rollout().open_approvals() {
            let lead = LEADS.iter().find(|(_, held)| *held == role.as_str());
            let (name, role) = lead.expect("every approver has a name here");
            self = self.and(approval(name, role));
        }
        self
    }

    pub(crate) fn when(mut self, command: impl FnOnce(&Self) -> Command) -> Ending {
        let command = command(&self);
        let before = self.rollouts.clone();
        let answer = self.carry_out(&command);
        if answer.is_err() {
            assert_eq!(self.rollouts, before, "a refusal changes nothing");
        }
        Ending { story: self, answer }
    }
}

impl Ending {
    #[track_caller]
    pub(crate) fn refused(self, why: &str) {
        match self.answer {
            Ok(events) => panic!("not refused: {events:?}"),
            Err(refusal) => assert_eq!(refusal.to_string(), why),
        }
    }

    #[track_caller]
    pub(crate) fn changes_nothing(self) {
        assert_eq!(self.answer, Ok(Vec::new()));
    }

    #[track_caller]
    pub(crate) fn then(self) -> Story {
        match self.answer {
            Ok(events) => assert!(!events.is_empty(), "nothing happened"),
            Err(refusal) => panic!("refused: {refusal}"),
        }
        self.story
    }
}

pub(crate) fn report<'a>(
    gate: &str,
    generation: u64,
    criteria: impl Iterator<Item = &'a str>,
    open: &[(&str, Standing)],
) -> Report {
    let standing_of = |id: &str| {
        let found = open.iter().find(|(other, _)| *other == id);
        found.map_or(Standing::Passed, |(_, standing)| *standing)
    };
    let item = |id: &str| Item {
        criterion_id: id.to_owned(),
        title: id.to_owned(),
        standing: standing_of(id),
        reason: "as measured".to_owned(),
        roles: Vec::new(),
    };
    let items: Vec<_> = criteria.map(item).collect();
    let standing = items.iter().map(|item| item.standing).min().unwrap_or(Standing::Passed);
    let digest = format!("{gate}@{generation}{open:?}");
    Report { digest, gate_id: gate.to_owned(), generation, standing, items }
}

pub(crate) fn person(name: &str, roles: &[&str]) -> Actor {
    let roles = roles.iter().map(|role| Role::new(role).expect("a role")).collect();
    Actor { subject: name.to_owned(), roles, authenticated: true }
}

// === Commands on good evidence ===
