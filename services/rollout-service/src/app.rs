//! Commands: gather the evidence, decide, append, tell.

use std::sync::Arc;

use contracts::rollout as pb;
use plan::Plan;
use rollout_core::{
    Event, Grounds, Refusal, Report, Rollout, Rollouts, Standing, StoredPlan, advance, approve,
    create, ramp, start, store_plan,
};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use service_kit::peers::Peer;
use service_kit::shutdown::Shutdown;
use service_kit::wire::{etag, wire_time};
use store::{Command, Replica};
use tonic::Code;
use vocab::{BasisPoints, Role, Timestamp};

use crate::convert;
use crate::effects::Turns;
use crate::error::{DOMAIN, Refused};
use crate::state::{State, draft};

mod closing;

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) flag: Peer,
    pub(crate) gate: Peer,
    pub(crate) killswitch: Peer,
    pub(crate) shutdown: Shutdown,
    pub(crate) turns: Turns,
}

/// How a command is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) command: Command,
    /// The etag the caller saw; not checked where empty.
    pub(crate) etag: String,
    /// Decides and stores nothing.
    pub(crate) validate_only: bool,
}

impl App {
    pub(crate) fn find(&self, name: &str) -> Result<Rollout, Fault> {
        let snapshot = self.replica.snapshot();
        Ok(find(&snapshot.state.rollouts, name).map_err(Refused)?.clone())
    }

    /// The plan of a rollout, or a plan version itself.
    pub(crate) fn plan_of(&self, name: &str) -> Result<Arc<StoredPlan>, Fault> {
        let snapshot = self.replica.snapshot();
        let rollouts = &snapshot.state.rollouts;
        if let Some(stored) = rollouts.plans.get(name) {
            return Ok(Arc::clone(stored));
        }
        let rollout = find(rollouts, name).map_err(Refused)?;
        Ok(Arc::clone(&rollout.plan))
    }

    pub(crate) fn public(&self, rollout: &Rollout) -> pb::Rollout {
        convert::rollout(rollout, self.clock.now())
    }

    pub(crate) async fn store_plan(
        &self,
        command: &Command,
        source: &[u8],
        validate_only: bool,
    ) -> Result<pb::PlanVersion, Fault> {
        let (plan, warnings) = parse(source)?;
        let snapshot = self.replica.snapshot();
        let (name, _) = store_plan(&snapshot.state.rollouts, &plan, source).map_err(Refused)?;
        if validate_only {
            return Ok(pb::PlanVersion {
                name,
                source: source.to_vec(),
                digest: store::Hash::of(source).to_string(),
                warnings,
                create_time: Some(wire_time(command.time)),
                actor: command.actor.subject.clone(),
                open_approval_roles: plan.document.approvers.iter().map(Role::to_string).collect(),
                approvals: Vec::new(),
            });
        }
        let done = self
            .replica
            .execute(command, |state, _| {
                let (_, events) = store_plan(&state.rollouts, &plan, source)?;
                Ok::<_, Refused>(events.iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        let stored = done.snapshot.state.rollouts.plans.get(&name);
        let stored = stored.ok_or(Refusal::PlanNotFound(name.clone())).map_err(Refused)?;
        Ok(convert::plan_version(&name, stored))
    }

    pub(crate) async fn create(
        &self,
        given: Given,
        name: &str,
        plan_version: &str,
        demo: bool,
    ) -> Result<pb::Rollout, Fault> {
        let decide = |rollouts: &Rollouts| create(rollouts, name, plan_version, demo);
        self.carry_out(given, name, decide).await
    }

    pub(crate) async fn start(&self, given: Given, name: &str) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        self.reconcile(&rollout).await; // The gate must know the rollout before it can judge.
        let Some(first) = rollout.plan.plan.phases.first() else {
            return Ok(self.public(&rollout));
        };
        let gate = entry_gate(first.id.as_str());
        let trial = self.judge(name, &gate, true).await?;
        let on_trial = |rollout: &Rollout, _now| start(rollout, &trial);
        if given.validate_only {
            return self.change(given, name, on_trial).await;
        }
        if !self.would_change(&given, name, on_trial) {
            return self.change(given, name, unless_it_moved(&rollout, on_trial)).await;
        }
        let entry = self.judge(name, &gate, false).await?;
        self.change(given, name, |rollout, _now| start(rollout, &entry)).await
    }

    pub(crate) async fn approve(
        &self,
        given: Given,
        name: &str,
        digest: &str,
        role: Role,
        blast_radius: &str,
    ) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        let seen = self.kept(name, digest).await?;
        let fresh = match self.judge(name, &seen.gate_id, true).await {
            Ok(fresh) => fresh,
            // A gate that is not this phase's cannot be judged: the core says so by its own rule.
            Err(fault) if fault.code() == Code::FailedPrecondition => seen.clone(),
            Err(fault) => return Err(fault),
        };
        let actor = given.command.actor.clone();
        let decide = |blast_radius: &str| {
            let (actor, role, seen) = (actor.clone(), role.clone(), seen.clone());
            let (fresh, blast_radius) = (fresh.clone(), blast_radius.to_owned());
            move |rollout: &Rollout, _now| {
                approve(rollout, &actor, &role, &seen, &fresh, &blast_radius)
            }
        };
        if given.validate_only {
            return self.change(given, name, decide(blast_radius)).await;
        }
        if !self.would_change(&given, name, decide(blast_radius)) {
            return self.change(given, name, unless_it_moved(&rollout, decide(blast_radius))).await;
        }
        let blast_radius = self.blast_radius(&rollout, blast_radius).await?;
        self.change(given, name, decide(&blast_radius)).await
    }

    /// A step of the ramp by hand, with the report of who would change.
    pub(crate) async fn ramp(
        &self,
        given: Given,
        name: &str,
        share: BasisPoints,
    ) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        let actor = given.command.actor.clone();
        let decide = |blast_radius: &str| {
            let (actor, blast_radius) = (actor.clone(), blast_radius.to_owned());
            move |rollout: &Rollout, now| ramp(rollout, &actor, share, &blast_radius, now)
        };
        if given.validate_only {
            return self.change(given, name, decide("")).await;
        }
        if !self.would_change(&given, name, decide("")) {
            return self.change(given, name, unless_it_moved(&rollout, decide(""))).await;
        }
        let blast_radius = self.step_radius(&rollout, share).await?;
        self.change(given, name, decide(&blast_radius)).await
    }

    pub(crate) async fn advance(
        &self,
        given: Given,
        name: &str,
        target: &str,
    ) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        self.reconcile(&rollout).await;
        let actor = given.command.actor.clone();
        let trial = self.reports(&rollout, target, true).await?;
        let on_trial =
            |rollout: &Rollout, now| advance(rollout, &actor, target, trial.grounds(), now);
        if given.validate_only {
            return self.change(given, name, on_trial).await;
        }
        if !self.would_change(&given, name, on_trial) {
            return self.change(given, name, unless_it_moved(&rollout, on_trial)).await;
        }
        let kept = self.reports(&rollout, target, false).await?;
        let decide = |rollout: &Rollout, now| advance(rollout, &actor, target, kept.grounds(), now);
        self.change(given, name, decide).await
    }

    pub(super) async fn approved_reports(&self, rollout: &Rollout) -> Result<Vec<Report>, Fault> {
        let mut approved = Vec::new();
        for approval in &rollout.approvals {
            approved.push(self.kept(&rollout.name, &approval.report_digest).await?);
        }
        Ok(approved)
    }

    /// What an advance rests on. Where the phase does not follow, the core refuses without looking
    /// at reports.
    async fn reports(
        &self,
        rollout: &Rollout,
        target: &str,
        validate_only: bool,
    ) -> Result<Reports, Fault> {
        let name = &rollout.name;
        let gate = rollout.phase().and_then(|phase| phase.gate.as_ref());
        let next = rollout.next_phase().filter(|next| next.id.as_str() == target);
        let (Some(gate), Some(next)) = (gate, next) else {
            return Ok(Reports { fresh: nothing(), entry: nothing(), approved: Vec::new() });
        };
        let fresh = self.judge(name, gate.id.as_str(), validate_only).await?;
        let entry = self.judge(name, &entry_gate(next.id.as_str()), validate_only).await?;
        let approved = self.approved_reports(rollout).await?;
        Ok(Reports { fresh, entry, approved })
    }

    /// Whether a command would change the rollout as it is known here. Asked on trial reports: only
    /// where it would are reports kept, so that a refusal leaves nothing behind.
    pub(super) fn would_change(
        &self,
        given: &Given,
        name: &str,
        decide: impl Fn(&Rollout, Timestamp) -> Result<Vec<Event>, Refusal>,
    ) -> bool {
        let Ok(rollout) = self.find(name) else { return false };
        let seen = given.etag.is_empty() || given.etag == etag(rollout.revision);
        seen && decide(&rollout, given.command.time).is_ok_and(|events| !events.is_empty())
    }

    /// Carries out a command on a rollout that exists.
    pub(crate) async fn change(
        &self,
        given: Given,
        name: &str,
        decide: impl Fn(&Rollout, Timestamp) -> Result<Vec<Event>, Refusal> + Send + Sync,
    ) -> Result<pb::Rollout, Fault> {
        let (seen, now) = (given.etag.clone(), given.command.time);
        let decide = |rollouts: &Rollouts| {
            let rollout = find(rollouts, name)?;
            check_etag(rollout, &seen)?;
            decide(rollout, now)
        };
        self.carry_out(given, name, decide).await
    }

    pub(super) async fn carry_out(
        &self,
        given: Given,
        name: &str,
        decide: impl Fn(&Rollouts) -> Result<Vec<Event>, Refusal> + Send + Sync,
    ) -> Result<pb::Rollout, Fault> {
        if given.validate_only {
            let snapshot = self.replica.snapshot();
            let mut rollouts = snapshot.state.rollouts.clone();
            let stamp = rollout_core::Stamp {
                time: given.command.time,
                actor: given.command.actor.subject.clone(),
                revision: snapshot.version,
            };
            for event in decide(&rollouts).map_err(Refused)? {
                rollouts.apply(&event, &stamp);
            }
            return Ok(self.public(find(&rollouts, name).map_err(Refused)?));
        }
        let done = self
            .replica
            .execute(&given.command, |state, _| {
                Ok::<_, Refused>(decide(&state.rollouts)?.iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        for record in &done.records {
            tracing::info!(
                rollout = name,
                event = record.kind,
                revision = record.version,
                "decided"
            );
        }
        let mut decided = find(&done.snapshot.state.rollouts, name).map_err(Refused)?.clone();
        self.reconcile(&decided).await;
        // As it was decided, also for a request that is repeated long after; only whether the
        // others know by now is of today.
        decided.applied_generation = self.find(name)?.applied_generation;
        let decided_at = done.records.first().map_or(given.command.time, |record| record.time);
        Ok(convert::rollout(&decided, decided_at))
    }
}

/// What an advance rests on.
struct Reports {
    fresh: Report,
    entry: Report,
    approved: Vec<Report>,
}

impl Reports {
    fn grounds(&self) -> Grounds<'_> {
        Grounds { approved: &self.approved, fresh: &self.fresh, entry: &self.entry }
    }
}

pub(super) fn check_etag(rollout: &Rollout, seen: &str) -> Result<(), Refusal> {
    let current = etag(rollout.revision);
    if seen.is_empty() || seen == current {
        return Ok(());
    }
    Err(Refusal::EtagMismatch { seen: seen.to_owned(), current })
}

pub(super) const fn nothing() -> Report {
    Report {
        digest: String::new(),
        gate_id: String::new(),
        generation: 0,
        standing: Standing::Inconclusive,
        items: Vec::new(),
    }
}

/// Decides as `decide` does, but changes nothing: its reports were not kept. Where the rollout has
/// moved since `seen` such that it would, the caller is asked to decide again.
pub(super) fn unless_it_moved(
    seen: &Rollout,
    decide: impl Fn(&Rollout, Timestamp) -> Result<Vec<Event>, Refusal>,
) -> impl Fn(&Rollout, Timestamp) -> Result<Vec<Event>, Refusal> {
    let seen = etag(seen.revision);
    move |rollout, now| match decide(rollout, now)? {
        events if events.is_empty() => Ok(events),
        _moved => {
            Err(Refusal::EtagMismatch { seen: seen.clone(), current: etag(rollout.revision) })
        }
    }
}

/// The gate of a phase's entry criteria.
fn entry_gate(phase: &str) -> String {
    format!("{}-entry", phase.to_lowercase())
}

pub(super) fn find<'a>(rollouts: &'a Rollouts, name: &str) -> Result<&'a Rollout, Refusal> {
    rollouts.by_name.get(name).ok_or_else(|| Refusal::RolloutNotFound(name.to_owned()))
}

/// Reads a plan file; every problem becomes a violation of its own.
fn parse(source: &[u8]) -> Result<(Plan, Vec<String>), Fault> {
    let text = std::str::from_utf8(source)
        .map_err(|error| Fault::field(DOMAIN, "source", format!("is not UTF-8: {error}")))?;
    match Plan::parse(text) {
        Ok((plan, warnings)) => Ok((plan, warnings.iter().map(ToString::to_string).collect())),
        Err(problems) => {
            let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let count =
                if all.len() == 1 { "a problem" } else { &format!("{} problems", all.len()) };
            let why = format!("the plan has {count}:\n{}", all.join("\n"));
            let mut fault = Fault::field(DOMAIN, "source", why);
            for problem in problems.iter().take(100) {
                fault = fault.violation(format!("source:{}", problem.path), problem.to_string());
            }
            Err(fault)
        }
    }
}
