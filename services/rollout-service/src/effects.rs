//! Effects: flag and gate are told what was decided, in order, until they have taken it in.

use std::sync::Arc;
use std::time::Duration;

use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::flag::{ApplyRolloutStepRequest, FlagDefinition, UploadLimits};
use contracts::gate::ApplyGatePlanRequest;
use contracts::gate::gate_service_client::GateServiceClient;
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
    /// Tells flag and gate what was decided, and records that they know. Safe to repeat.
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

    async fn record_applied(&self, application: &Application) -> Result<(), Fault> {
        let command = command(&self.clock, Actor::system("rollout"), "flag and gate know", None);
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
