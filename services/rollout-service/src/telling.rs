//! Telling the others: the gate what evidence to collect, the flag who is on, the kill switch what the
//! plan says about it.

use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::flag::{ApplyRolloutStepRequest, UploadLimits};
use contracts::gate::ApplyGatePlanRequest;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::policy::OnStale;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::{
    ApplyKillSwitchRulesRequest, EngageKillSwitchRequest, KillSwitch, Policy, Rules, Scope,
};
use rollout_core::Application;
use service_kit::wire::{signed, wire_time};
use tonic::Status;
use vocab::PipelineId;

use crate::app::App;
use crate::exposing::definition;

const REASON_LENGTH_MAX: usize = 1_000; // Of a kill's reason, in characters.

impl App {
    /// Tells the others what was decided. Ordered by its generation, and safe to repeat.
    pub(crate) async fn tell(&self, application: &Application) -> Result<(), Status> {
        self.tell_gate(application).await?;
        self.tell_flag(application).await?;
        self.tell_kill_switch(application).await
    }

    /// The gate first: evidence is collected before anybody can produce any.
    async fn tell_gate(&self, application: &Application) -> Result<(), Status> {
        let flag = application.flag.as_ref();
        let request = ApplyGatePlanRequest {
            rollout: application.rollout.clone(),
            plan_source: application.plan_source.clone(),
            generation: signed(application.generation),
            phase_id: flag.map_or_else(String::new, |flag| flag.phase.to_string()),
            start_time: flag.map(|flag| wire_time(flag.entered_at)),
            passed_gates: application.passed_gates.clone(),
            phase_generation: signed(application.phase_generation),
            percentage_basis_points: flag.map_or(0, |flag| flag.exposure.get().into()),
            rearm_generation: signed(application.rearm_generation),
        };
        GateServiceClient::new(self.gate.clone()).apply_gate_plan(request).await.map(drop)
    }

    async fn tell_flag(&self, application: &Application) -> Result<(), Status> {
        let Some(flag) = &application.flag else { return Ok(()) };
        let per_day = flag.limits.uploads_per_day.unwrap_or(0);
        let request = ApplyRolloutStepRequest {
            name: format!("flags/{}", flag.flag),
            rollout: application.rollout.clone(),
            generation: signed(application.generation),
            phase_id: flag.phase.to_string(),
            definition: Some(definition(&flag.form, flag.exposure)),
            limits: Some(UploadLimits {
                uploads_per_day_count: i32::try_from(per_day).unwrap_or(i32::MAX),
                file_size_max_bytes: signed(flag.limits.file_size_max_bytes),
            }),
            paused: flag.paused,
            pipeline: application.pipeline.to_string(),
        };
        FlagServiceClient::new(self.flag.clone()).apply_rollout_step(request).await.map(drop)
    }

    /// Last, so that a kill switch that is away keeps nobody from being paused or rolled back.
    async fn tell_kill_switch(&self, application: &Application) -> Result<(), Status> {
        let rollout = self.find(&application.rollout)?;
        let rules = &rollout.plan.plan.kill_switch;
        let on_stale = match rules.on_stale {
            plan::OnStale::FailClosed => OnStale::FailClosed,
            plan::OnStale::FailStatic => OnStale::FailStatic,
        };
        let request = ApplyKillSwitchRulesRequest {
            rules: Some(Rules {
                pipeline: application.pipeline.to_string(),
                // A plan is chosen once, with the rollout: of two rollouts the younger one counts.
                generation: rollout.created_at.as_millis(),
                policy: Some(Policy {
                    lease_duration: rules.stale_after.try_into().ok(),
                    on_stale: on_stale.into(),
                    static_duration_max: None,
                }),
                second_person: rules.release_needs_second_person,
                drill_valid_duration: rules.drill_valid_for.try_into().ok(),
            }),
        };
        let mut client = KillSwitchServiceClient::new(self.killswitch.clone());
        client.apply_kill_switch_rules(request).await.map(drop)
    }

    /// Stops a pipeline. Repeating it is harmless.
    pub(crate) async fn engage(
        &self,
        pipeline: &PipelineId,
        reason: &str,
    ) -> Result<KillSwitch, Status> {
        let scope = Scope {
            kind: Kind::Pipeline.into(),
            pipeline: pipeline.to_string(),
            ..Scope::default()
        };
        let reason = reason.chars().take(REASON_LENGTH_MAX).collect();
        let request = EngageKillSwitchRequest { scope: Some(scope), reason };
        let mut client = KillSwitchServiceClient::new(self.killswitch.clone());
        client.engage_kill_switch(request).await.map(tonic::Response::into_inner)
    }
}
