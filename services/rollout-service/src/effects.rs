//! Effects: flag, gate and kill switch are told what was decided, in order, until they have taken it in.

use std::sync::Arc;
use std::time::Duration;

use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::flag::{ApplyRolloutStepRequest, FlagDefinition, UploadLimits};
use contracts::gate::ApplyGatePlanRequest;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::policy::OnStale;
use contracts::killswitch::{ApplyKillSwitchRulesRequest, Policy, Rules};
use rollout_core::{Application, Event, Rollout, pending_application};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use service_kit::wire::{signed, wire_time};
use tonic::Status;
use tracing::Instrument as _;
use vocab::Actor;

use crate::app::App;
use crate::convert::wire_exclusion;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Carries out what is pending, now and after every change; what fails is tried again.
pub(crate) fn run(app: Arc<App>, mut shutdown: Shutdown) {
    tokio::spawn(async move {
        let mut changes = app.replica.changes();
        loop {
            changes.mark_unchanged();
            let snapshot = app.replica.snapshot();
            let rollouts = snapshot.state.rollouts.by_name.values();
            let pending: Vec<_> = rollouts.filter_map(pending_application).collect();
            let mut failed = false;
            for application in pending {
                if let Err(status) = app.tell(&application).await {
                    failed = true;
                    tracing::warn!(
                        rollout = application.rollout,
                        generation = application.generation,
                        code = %status.code(),
                        why = status.message(),
                        "an effect did not succeed: trying again"
                    );
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY_DELAY), if failed => continue,
                () = shutdown.wait() => return,
            }
            // The command that caused the change tells first, within its own trace.
            tokio::select! {
                () = tokio::time::sleep(RETRY_DELAY) => {}
                () = shutdown.wait() => return,
            }
        }
    });
}

impl App {
    /// Tells the others what was decided, and records that they know. Safe to repeat.
    pub(crate) async fn reconcile(&self, rollout: &Rollout) {
        if let Some(application) = pending_application(rollout)
            && let Err(status) = self.tell(&application).await
        {
            // The background loop tries again; the reply says `reconciling`.
            tracing::warn!(
                rollout = application.rollout,
                code = %status.code(),
                why = status.message(),
                "an effect did not succeed yet"
            );
        }
    }

    async fn tell(&self, application: &Application) -> Result<(), Status> {
        let span = tracing::info_span!(
            "effect",
            rollout = application.rollout,
            generation = application.generation,
        );
        async {
            self.tell_gate(application).await?;
            self.tell_flag(application).await?;
            self.tell_kill_switch(application).await?;
            Ok(self.record_applied(application).await?)
        }
        .instrument(span)
        .await
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
        };
        GateServiceClient::new(self.gate.clone()).apply_gate_plan(request).await.map(drop)
    }

    async fn tell_flag(&self, application: &Application) -> Result<(), Status> {
        let Some(flag) = &application.flag else { return Ok(()) };
        let listed = |patterns: &[vocab::Pattern]| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let per_day = flag.limits.uploads_per_day.unwrap_or(0);
        let request = ApplyRolloutStepRequest {
            name: format!("flags/{}", flag.flag),
            rollout: application.rollout.clone(),
            generation: signed(application.generation),
            phase_id: flag.phase.to_string(),
            definition: Some(FlagDefinition {
                enabled: flag.form.enabled,
                allowlist: listed(&flag.form.allowlist),
                denylist: listed(&flag.form.denylist),
                percentage_basis_points: flag.exposure.get().into(),
                exclusions: flag.form.exclude.iter().map(wire_exclusion).collect(),
                ..FlagDefinition::default()
            }),
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

    async fn record_applied(&self, application: &Application) -> Result<(), Fault> {
        let command =
            command(&self.clock, Actor::system("rollout"), "flag, gate and kill switch know", None);
        let (name, generation) = (&application.rollout, application.generation);
        self.replica
            .execute(&command, |state, _| {
                let known = state.rollouts.by_name.get(name);
                let done = known.is_none_or(|known| known.applied_generation >= generation);
                let event = || Event::GenerationApplied { rollout: name.clone(), generation };
                Ok::<_, Refused>(if done { Vec::new() } else { vec![draft(&event())] })
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }
}
