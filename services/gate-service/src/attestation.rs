//! Attestations: a person states that a criterion is met, with a link to evidence.

use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use plan::Judged;
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use service_kit::wire::{signed, wire_time};
use store::Command;
use vocab::Role;

use crate::app::App;
use crate::error::{DOMAIN, Refusal};
use crate::state::{State, Watched, draft};

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
            check(watched, &statement, &command)?;
            let attestation = pb::Attestation {
                name: format!("{}/criteria/{}", statement.rollout, statement.criterion),
                actor: command.actor.subject.clone(),
                role: statement.role.to_string(),
                evidence: statement.evidence.clone(),
                statement: statement.statement.clone(),
                create_time: Some(wire_time(command.time)),
                withdrawn: false,
                generation: signed(watched.phase_generation),
                expire_time: None,
            };
            let known = watched.attestations.get(&statement.criterion);
            let same = known.is_some_and(|known| {
                let known =
                    pb::Attestation { create_time: attestation.create_time, ..known.clone() };
                known == attestation
            });
            Ok(if same { Vec::new() } else { vec![draft(Kind::CriterionAttested(attestation))] })
        };
        self.carry_out(&command, &statement.rollout, &statement.criterion, decide).await
    }

    pub(crate) async fn withdraw(
        &self,
        command: Command,
        rollout: &str,
        criterion: &str,
    ) -> Result<pb::Attestation, Fault> {
        let decide = |state: &State| {
            let known = find(state, rollout)?.attestations.get(criterion);
            let known = known.ok_or_else(|| Refusal::NothingToWithdraw(criterion.to_owned()))?;
            let withdrawn = pb::Attestation { withdrawn: true, ..known.clone() };
            Ok(if known.withdrawn {
                Vec::new()
            } else {
                vec![draft(Kind::AttestationWithdrawn(withdrawn))]
            })
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
        let known = watched.attestations.get(criterion).cloned();
        Ok(known.ok_or_else(|| Refusal::CriterionNotFound(criterion.to_owned()))?)
    }
}

fn find<'a>(state: &'a State, rollout: &str) -> Result<&'a Watched, Refusal> {
    state.rollouts.get(rollout).ok_or_else(|| Refusal::RolloutNotFound(rollout.to_owned()))
}

fn check(watched: &Watched, statement: &Statement, command: &Command) -> Result<(), Refusal> {
    let id = &statement.criterion;
    let criterion = watched.plan.criteria().find(|one| one.id.as_str() == id);
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
    Ok(())
}
