//! Events between the journal and the core.

use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use contracts::rollout::trigger_seen;
use plan::TriggerAction;
use rollout_core::{Event, Firing, Outcome, Sample, Watched};
use service_kit::wire::{signed, time_of, wire_time};
use vocab::{BasisPoints, Role};

fn share(basis_points: i32) -> Result<BasisPoints, String> {
    BasisPoints::new(basis_points.into()).map_err(|why| why.to_string())
}

fn role(role: &str) -> Result<Role, String> {
    Role::new(role).map_err(|why| why.to_string())
}

fn count(count: i64) -> Result<u64, String> {
    u64::try_from(count).map_err(|error| error.to_string())
}

const fn rollback_action(to_first: bool) -> TriggerAction {
    if to_first { TriggerAction::RollbackToFirst } else { TriggerAction::RollbackToPrevious }
}

/// Reads an event from the journal.
#[expect(clippy::too_many_lines, reason = "an arm for each kind of event")]
pub(crate) fn event(stored: pb::RolloutEvent) -> Result<Event, String> {
    let rollout = stored.rollout;
    Ok(match stored.kind.ok_or("an event of a kind this version does not know")? {
        Kind::PlanStored(pb::PlanStored { name, source }) => Event::PlanStored { name, source },
        Kind::PlanApproved(approved) => {
            Event::PlanApproved { name: approved.name, role: role(&approved.role)? }
        }
        Kind::RolloutCreated(pb::RolloutCreated { plan_version, demo }) => {
            Event::Created { rollout, plan_version, demo }
        }
        Kind::PlanChanged(pb::PlanChanged { plan_version }) => {
            Event::PlanChanged { rollout, plan_version }
        }
        Kind::PhaseEntered(entered) => Event::PhaseEntered {
            rollout,
            phase_id: entered.phase_id,
            exposure: share(entered.exposure_basis_points)?,
            left_phase_id: entered.left_phase_id,
            gate_id: entered.gate_id,
            report_digests: entered.report_digests,
        },
        Kind::GateApproved(approved) => Event::GateApproved {
            rollout,
            gate_id: approved.gate_id,
            role: role(&approved.role)?,
            report_digest: approved.report_digest,
            blast_radius_digest: approved.blast_radius_digest,
        },
        Kind::RampProposed(asked) => Event::RampProposed {
            rollout,
            exposure: share(asked.exposure_basis_points)?,
            blast_radius_digest: asked.blast_radius_digest,
        },
        Kind::RampStepTaken(step) => Event::RampStepTaken {
            rollout,
            exposure: share(step.exposure_basis_points)?,
            automatic: step.automatic,
            blast_radius_digest: step.blast_radius_digest,
        },
        Kind::HoldBroken(pb::HoldBroken { threshold_id, cursor }) => {
            Event::HoldBroken { rollout, threshold_id, cursor: count(cursor)? }
        }
        Kind::HoldMended(pb::HoldMended { threshold_id, cursor }) => {
            Event::HoldMended { rollout, threshold_id, cursor: count(cursor)? }
        }
        Kind::GenerationApplied(pb::GenerationApplied { generation }) => {
            Event::GenerationApplied { rollout, generation: count(generation)? }
        }
        Kind::PhaseOverdue(pb::PhaseOverdue { phase_id }) => {
            Event::PhaseOverdue { rollout, phase_id }
        }
        Kind::GaAnnounced(pb::GaAnnounced { report_digest }) => {
            Event::GaAnnounced { rollout, report_digest }
        }
        Kind::GaDeclared(pb::GaDeclared { report_digests }) => {
            Event::GaDeclared { rollout, report_digests }
        }
        Kind::PostGaTaskDone(pb::PostGaTaskDone { task_id, evidence }) => {
            Event::PostGaTaskDone { rollout, task_id, evidence }
        }
        Kind::RolloutArchived(pb::RolloutArchived { reason }) => {
            Event::Archived { rollout, reason }
        }
        Kind::MetricsSampled(sampled) => {
            let figure = |figure: Option<i64>| figure.map(count).transpose();
            let sample = Sample {
                uploads: count(sampled.upload_count)?,
                error_rate_ppm: figure(sampled.error_rate_ppm)?,
                latency_p99_ms: figure(sampled.latency_p99_ms)?,
            };
            Event::MetricsSampled { rollout, sample }
        }
        Kind::TimelineNoted(pb::TimelineNoted { text }) => Event::Noted { rollout, text },
        Kind::RolloutPaused(pb::RolloutPaused { reason, global, trigger_id }) => {
            Event::Paused { rollout, reason, global, trigger_id }
        }
        Kind::RolloutResumed(resumed) => Event::Resumed {
            rollout,
            reason: resumed.reason,
            evidence: resumed.evidence,
            overridden: resumed.overridden_triggers,
        },
        Kind::TriggerSeen(seen) => {
            Event::TriggerSeen { rollout, outcome: outcome(seen.outcome()), firing: firing(seen)? }
        }
        Kind::RollbackStarted(started) => rollback_started(rollout, started),
        Kind::RollbackStepDone(done) => rollback_step_done(rollout, done),
        Kind::PhaseReentered(pb::PhaseReentered {
            rollback_id,
            phase_id,
            exposure_basis_points,
        }) => {
            let exposure = share(exposure_basis_points)?;
            Event::PhaseReentered { rollout, rollback_id, phase_id, exposure }
        }
        Kind::KillSwitchEngaged(pb::KillSwitchEngaged { epoch }) => {
            Event::KillSwitchEngaged { rollout, epoch: count(epoch)? }
        }
    })
}

fn rollback_started(rollout: String, started: pb::RollbackStarted) -> Event {
    Event::RollbackStarted {
        rollout,
        rollback_id: started.rollback_id,
        action: rollback_action(started.to_first),
        from_phase_id: started.from_phase_id,
        to_phase_id: started.to_phase_id,
        reason: started.reason,
        trigger_id: started.trigger_id,
    }
}

fn rollback_step_done(rollout: String, done: pb::RollbackStepDone) -> Event {
    Event::RollbackStepDone {
        rollout,
        rollback_id: done.rollback_id,
        step_id: done.step_id,
        detail: done.detail,
        evidence: done.evidence,
        artifact: done.artifact,
    }
}

fn firing(seen: pb::TriggerSeen) -> Result<Firing, String> {
    let kind = match seen.watched() {
        trigger_seen::Watched::Trigger => Watched::Trigger,
        trigger_seen::Watched::Threshold => Watched::Threshold,
        trigger_seen::Watched::Advisory | trigger_seen::Watched::Unspecified => Watched::Advisory,
    };
    Ok(Firing {
        cursor: count(seen.cursor)?,
        phase_generation: count(seen.phase_generation)?,
        id: seen.watched_id,
        incident: seen.incident_id,
        kind,
        firing: seen.firing,
        title: seen.title,
        evidence: seen.evidence,
        at: time_of(seen.occur_time.as_ref()),
    })
}

const fn outcome(outcome: trigger_seen::Outcome) -> Outcome {
    match outcome {
        trigger_seen::Outcome::Acted => Outcome::Acted,
        trigger_seen::Outcome::InForce => Outcome::InForce,
        trigger_seen::Outcome::Stale => Outcome::Stale,
        trigger_seen::Outcome::Told | trigger_seen::Outcome::Unspecified => Outcome::Told,
    }
}

/// The storage form of an event.
pub(crate) fn stored(event: &Event) -> pb::RolloutEvent {
    let rollout = event.rollout().unwrap_or_default().to_owned();
    pb::RolloutEvent { rollout, kind: Some(kind(event.clone())) }
}

#[expect(clippy::too_many_lines, reason = "an arm for each kind of event")]
fn kind(event: Event) -> Kind {
    match event {
        Event::PlanStored { name, source } => Kind::PlanStored(pb::PlanStored { name, source }),
        Event::PlanApproved { name, role } => {
            Kind::PlanApproved(pb::PlanApproved { name, role: role.to_string() })
        }
        Event::Created { plan_version, demo, .. } => {
            Kind::RolloutCreated(pb::RolloutCreated { plan_version, demo })
        }
        Event::PlanChanged { plan_version, .. } => {
            Kind::PlanChanged(pb::PlanChanged { plan_version })
        }
        Event::PhaseEntered {
            phase_id, exposure, left_phase_id, gate_id, report_digests, ..
        } => Kind::PhaseEntered(pb::PhaseEntered {
            phase_id,
            exposure_basis_points: exposure.get().into(),
            left_phase_id,
            gate_id,
            report_digests,
        }),
        Event::GateApproved { gate_id, role, report_digest, blast_radius_digest, .. } => {
            let role = role.to_string();
            Kind::GateApproved(pb::GateApproved {
                gate_id,
                role,
                report_digest,
                blast_radius_digest,
            })
        }
        Event::RampProposed { exposure, blast_radius_digest, .. } => {
            let exposure_basis_points = exposure.get().into();
            Kind::RampProposed(pb::RampProposed { exposure_basis_points, blast_radius_digest })
        }
        Event::RampStepTaken { exposure, automatic, blast_radius_digest, .. } => {
            Kind::RampStepTaken(pb::RampStepTaken {
                exposure_basis_points: exposure.get().into(),
                automatic,
                blast_radius_digest,
            })
        }
        Event::HoldBroken { threshold_id, cursor, .. } => {
            Kind::HoldBroken(pb::HoldBroken { threshold_id, cursor: signed(cursor) })
        }
        Event::HoldMended { threshold_id, cursor, .. } => {
            Kind::HoldMended(pb::HoldMended { threshold_id, cursor: signed(cursor) })
        }
        Event::GenerationApplied { generation, .. } => {
            Kind::GenerationApplied(pb::GenerationApplied { generation: signed(generation) })
        }
        Event::PhaseOverdue { phase_id, .. } => Kind::PhaseOverdue(pb::PhaseOverdue { phase_id }),
        Event::GaAnnounced { report_digest, .. } => {
            Kind::GaAnnounced(pb::GaAnnounced { report_digest })
        }
        Event::GaDeclared { report_digests, .. } => {
            Kind::GaDeclared(pb::GaDeclared { report_digests })
        }
        Event::PostGaTaskDone { task_id, evidence, .. } => {
            Kind::PostGaTaskDone(pb::PostGaTaskDone { task_id, evidence })
        }
        Event::Archived { reason, .. } => Kind::RolloutArchived(pb::RolloutArchived { reason }),
        Event::MetricsSampled { sample, .. } => Kind::MetricsSampled(pb::MetricsSampled {
            upload_count: signed(sample.uploads),
            error_rate_ppm: sample.error_rate_ppm.map(signed),
            latency_p99_ms: sample.latency_p99_ms.map(signed),
        }),
        Event::Noted { text, .. } => Kind::TimelineNoted(pb::TimelineNoted { text }),
        Event::Paused { reason, global, trigger_id, .. } => {
            Kind::RolloutPaused(pb::RolloutPaused { reason, global, trigger_id })
        }
        Event::Resumed { reason, evidence, overridden, .. } => {
            let overridden_triggers = overridden;
            Kind::RolloutResumed(pb::RolloutResumed { reason, evidence, overridden_triggers })
        }
        Event::TriggerSeen { firing, outcome, .. } => Kind::TriggerSeen(wire_seen(firing, outcome)),
        Event::RollbackStarted {
            rollback_id,
            action,
            from_phase_id,
            to_phase_id,
            reason,
            trigger_id,
            ..
        } => Kind::RollbackStarted(pb::RollbackStarted {
            rollback_id,
            to_first: action == TriggerAction::RollbackToFirst,
            from_phase_id,
            to_phase_id,
            reason,
            trigger_id,
        }),
        Event::RollbackStepDone { rollback_id, step_id, detail, evidence, artifact, .. } => {
            let done = pb::RollbackStepDone { rollback_id, step_id, detail, evidence, artifact };
            Kind::RollbackStepDone(done)
        }
        Event::PhaseReentered { rollback_id, phase_id, exposure, .. } => {
            let exposure_basis_points = exposure.get().into();
            Kind::PhaseReentered(pb::PhaseReentered {
                rollback_id,
                phase_id,
                exposure_basis_points,
            })
        }
        Event::KillSwitchEngaged { epoch, .. } => {
            Kind::KillSwitchEngaged(pb::KillSwitchEngaged { epoch: signed(epoch) })
        }
    }
}

fn wire_seen(firing: Firing, outcome: Outcome) -> pb::TriggerSeen {
    let watched = match firing.kind {
        Watched::Trigger => trigger_seen::Watched::Trigger,
        Watched::Threshold => trigger_seen::Watched::Threshold,
        Watched::Advisory => trigger_seen::Watched::Advisory,
    };
    let outcome = match outcome {
        Outcome::Acted => trigger_seen::Outcome::Acted,
        Outcome::InForce => trigger_seen::Outcome::InForce,
        Outcome::Stale => trigger_seen::Outcome::Stale,
        Outcome::Told => trigger_seen::Outcome::Told,
    };
    pb::TriggerSeen {
        cursor: signed(firing.cursor),
        phase_generation: signed(firing.phase_generation),
        watched_id: firing.id,
        incident_id: firing.incident,
        watched: watched.into(),
        firing: firing.firing,
        title: firing.title,
        evidence: firing.evidence,
        occur_time: Some(wire_time(firing.at)),
        outcome: outcome.into(),
    }
}
