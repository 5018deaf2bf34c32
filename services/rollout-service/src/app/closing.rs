//! What ends a rollout, and the papers that go with it.

use contracts::rollout as pb;
use rollout_core::{
    GA_UNANNOUNCED_GATE, Refusal, Rollout, Rollouts, announce_ga, approve_plan, change_plan,
    declare_ga,
};
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use store::Command;
use vocab::Role;

use super::{App, Given, check_etag, find, nothing, unless_it_moved};
use crate::convert;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

impl App {
    pub(crate) async fn approve_plan(
        &self,
        command: &Command,
        name: &str,
        role: &Role,
    ) -> Result<pb::PlanVersion, Fault> {
        let actor = command.actor.clone();
        let done = self
            .replica
            .execute(command, |state, _| {
                let events = approve_plan(&state.rollouts, name, &actor, role)?;
                Ok::<_, Refused>(events.iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        let stored = done.snapshot.state.rollouts.plans.get(name);
        let stored = stored.ok_or_else(|| Refused(Refusal::PlanNotFound(name.to_owned())))?;
        Ok(convert::plan_version(name, stored))
    }

    pub(crate) async fn change_plan(
        &self,
        given: Given,
        name: &str,
        plan_version: &str,
    ) -> Result<pb::Rollout, Fault> {
        let seen = given.etag.clone();
        let decide = |rollouts: &Rollouts| {
            let rollout = find(rollouts, name)?;
            check_etag(rollout, &seen)?;
            change_plan(rollouts, rollout, plan_version)
        };
        self.carry_out(given, name, decide).await
    }

    /// Sends the announcement out, on a report that is kept only where it is.
    pub(crate) async fn announce(&self, given: Given, name: &str) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        self.reconcile(&rollout).await;
        if rollout.next_phase().is_some() || rollout.ga_announced_at.is_some() {
            let decide = |rollout: &Rollout, now| announce_ga(rollout, &nothing(), now);
            return self.change(given, name, decide).await;
        }
        let trial = self.judge(name, GA_UNANNOUNCED_GATE, true).await?;
        let on_trial = |rollout: &Rollout, now| announce_ga(rollout, &trial, now);
        if given.validate_only || !self.would_change(&given, name, on_trial) {
            return self.change(given, name, unless_it_moved(&rollout, on_trial)).await;
        }
        let kept = self.judge(name, GA_UNANNOUNCED_GATE, false).await?;
        self.change(given, name, |rollout, now| announce_ga(rollout, &kept, now)).await
    }

    /// Declares general availability, on a report that is kept only where it is.
    pub(crate) async fn declare(&self, given: Given, name: &str) -> Result<pb::Rollout, Fault> {
        let rollout = self.find(name)?;
        self.reconcile(&rollout).await;
        let actor = given.command.actor.clone();
        if rollout.next_phase().is_some() || rollout.ga_declared_at.is_some() {
            let decide = |rollout: &Rollout, now| declare_ga(rollout, &actor, &[], &nothing(), now);
            return self.change(given, name, decide).await;
        }
        let end = rollout.end_gate().map_or_else(String::new, |gate| gate.id.to_owned());
        let approved = self.approved_reports(&rollout).await?;
        let trial = self.judge(name, &end, true).await?;
        let on_trial = |rollout: &Rollout, now| declare_ga(rollout, &actor, &approved, &trial, now);
        if given.validate_only || !self.would_change(&given, name, on_trial) {
            return self.change(given, name, unless_it_moved(&rollout, on_trial)).await;
        }
        let kept = self.judge(name, &end, false).await?;
        let decide = |rollout: &Rollout, now| declare_ga(rollout, &actor, &approved, &kept, now);
        self.change(given, name, decide).await
    }
}
