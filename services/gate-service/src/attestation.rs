//! Attestations: a person states that a criterion is met, with a link to evidence.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use plan::Judged;
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use service_kit::wire::{signed, time_of, wire_time};
use store::Command;
use vocab::Role;

use crate::app::App;
use crate::error::{DOMAIN, Refusal};
use crate::state::{State, draft};
use crate::watched::Watched;

/// What a person states.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) rollout: String,
    pub(crate) criterion: String,
    pub(crate) role: Role,
    pub(crate) evidence: String,
    pub(crate) statement: String,
}

impl App {
    pub(crate) async fn attest(
        &self,
        command: Command,
        statement: Statement,
    ) -> Result<pb::Attestation, Fault> {
        let decide = |state: &State| {
            let watched = find(state, &statement.rollout)?;
            let expires_after = check(watched, &statement, &command)?;
            let attestation = pb::Attestation {
                name: format!("{}/criteria/{}", statement.rollout, statement.criterion),
                actor: command.actor.subject.clone(),
                role: statement.role.to_string(),
                evidence: statement.evidence.clone(),
                statement: statement.statement.clone(),
                create_time: Some(wire_time(command.time)),
                withdrawn: false,
                generation: signed(watched.phase_generation),
                expire_time: expires_after.map(|after| wire_time(command.time.plus(after))),
            };
            // An expired statement is stated anew; one that still counts is not.
            let same = known(watched, &statement.criterion).any(|known| {
                let times = (attestation.create_time, attestation.expire_time);
                let (create_time, expire_time) = times;
                let counts = known.expire_time.is_none()
                    || time_of(known.expire_time.as_ref()) > command.time;
                counts
                    && pb::Attestation { create_time, expire_time, ..known.clone() } == attestation
            });
            Ok(if same { Vec::new() } else { vec![draft(Kind::CriterionAttested(attestation))] })
        };
        self.carry_out(&command, &statement.rollout, &statement.criterion, decide).await
    }

    /// Withdraws every statement in force on a criterion.
    pub(crate) async fn withdraw(
        &self,
        command: Command,
        rollout: &str,
        criterion: &str,
    ) -> Result<pb::Attestation, Fault> {
        let decide = |state: &State| {
            let watched = find(state, rollout)?;
            if known(watched, criterion).next().is_none() {
                return Err(Refusal::NothingToWithdraw(criterion.to_owned()));
            }
            let in_force = known(watched, criterion).filter(|statement| !statement.withdrawn);
            let withdrawn = in_force.map(|one| pb::Attestation { withdrawn: true, ..one.clone() });
            Ok(withdrawn.map(|one| draft(Kind::AttestationWithdrawn(one))).collect())
        };
        self.carry_out(&command, rollout, criterion, decide).await
    }

    async fn carry_out(
        &self,
        command: &Command,
        rollout: &str,
        criterion: &str,
        mut decide: impl FnMut(&State) -> Result<Vec<store::Draft>, Refusal> + Send,
    ) -> Result<pb::Attestation, Fault> {
        let done = self.replica.execute(command, |state, _| decide(state)).await;
        let done = done.map_err(|error| refused(DOMAIN, error))?;
        let watched = find(&done.snapshot.state, rollout)?;
        let own = command.actor.subject.as_str();
        let by_caller = known(watched, criterion).rfind(|one| one.actor == own);
        let newest = by_caller.or_else(|| known(watched, criterion).next_back()).cloned();
        Ok(newest.ok_or_else(|| Refusal::CriterionNotFound(criterion.to_owned()))?)
    }
}

fn known<'a>(
    watched: &'a Watched,
    criterion: &str,
) -> impl DoubleEndedIterator<Item = &'a pb::Attestation> {
    watched.attestations.get(criterion).into_iter().flatten()
}

fn find<'a>(state: &'a State, rollout: &str) -> Result<&'a Watched, Refusal> {
    state
        .rollouts
        .get(rollout)
        .map(Arc::as_ref)
        .ok_or_else(|| Refusal::RolloutNotFound(rollout.to_owned()))
}

/// How long the statement counts, where it may be made.
fn check(
    watched: &Watched,
    statement: &Statement,
    command: &Command,
) -> Result<Option<Duration>, Refusal> {
    let id = &statement.criterion;
    let criterion = watched.plan().criteria().find(|one| one.id.as_str() == id);
    let criterion = criterion.ok_or_else(|| Refusal::CriterionNotFound(id.clone()))?;
    let not_attested = |judged| Refusal::NotAttested { criterion: id.clone(), judged };
    let roles = match &criterion.judged {
        Judged::Attestation { roles } | Judged::SignOff { roles } => roles,
        Judged::Metric(_) => return Err(not_attested("a metric")),
        Judged::Observed(_) => return Err(not_attested("what the system observes")),
    };
    if !roles.contains(&statement.role) {
        return Err(Refusal::RoleNotAsked {
            criterion: id.clone(),
            role: statement.role.clone(),
            roles: roles.clone(),
        });
    }
    if !command.actor.holds(&statement.role) {
        return Err(Refusal::RoleMissing {
            actor: command.actor.subject.clone(),
            role: statement.role.clone(),
        });
    }
    Ok(criterion.expires_after)
}
