//! Between the wire and the core.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::scope::Kind;
use killswitch_core::{Engaged, Reopening, Scope};
use vocab::{Pattern, PhaseId, PipelineId};

pub(super) fn signed(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(epoch: i64) -> u64 {
    u64::try_from(epoch).unwrap_or(0)
}

/// Reads an engaged switch. A scope that does not read is the widest.
pub(super) fn engaged(wire: &pb::KillSwitch) -> Engaged {
    let scope = wire.scope.as_ref().and_then(scope).unwrap_or(Scope::Global);
    Engaged { scope, epoch: unsigned(wire.epoch) }
}

/// Reads a scope that is let go on bit by bit. A scope that does not read is the widest, and a time
/// that does not read is none: without a ramp everybody has gone on.
pub(super) fn reopening(wire: &pb::Reopening) -> Reopening {
    let time = |wire: Option<prost_types::Duration>| {
        wire.and_then(|wire| Duration::try_from(wire).ok()).unwrap_or_default()
    };
    Reopening {
        scope: wire.scope.as_ref().and_then(scope).unwrap_or(Scope::Global),
        epoch: unsigned(wire.epoch),
        elapsed: time(wire.elapsed_duration),
        ramp: time(wire.ramp_duration),
    }
}

fn scope(wire: &pb::Scope) -> Option<Scope> {
    let pipeline = PipelineId::new(&wire.pipeline).ok();
    match wire.kind() {
        Kind::Unspecified | Kind::Global => None,
        Kind::Pipeline => Some(Scope::Pipeline(pipeline?)),
        Kind::Cohort => Some(Scope::Cohort(pipeline?, PhaseId::new(&wire.phase_id).ok()?)),
        Kind::Workspace => {
            Some(Scope::Workspace(pipeline?, Pattern::new(&wire.workspace_pattern).ok()?))
        }
    }
}

pub(super) fn wire_engaged(engaged: &Engaged) -> pb::KillSwitch {
    pb::KillSwitch {
        scope: Some(wire_scope(&engaged.scope)),
        state: pb::kill_switch::State::Engaged.into(),
        epoch: signed(engaged.epoch),
        ..pb::KillSwitch::default()
    }
}

pub(super) fn wire_scope(scope: &Scope) -> pb::Scope {
    let mut wire = pb::Scope::default();
    let (kind, pipeline) = match scope {
        Scope::Global => (Kind::Global, None),
        Scope::Pipeline(pipeline) => (Kind::Pipeline, Some(pipeline)),
        Scope::Cohort(pipeline, phase) => {
            wire.phase_id = phase.to_string();
            (Kind::Cohort, Some(pipeline))
        }
        Scope::Workspace(pipeline, pattern) => {
            wire.workspace_pattern = pattern.to_string();
            (Kind::Workspace, Some(pipeline))
        }
    };
    wire.set_kind(kind);
    wire.pipeline = pipeline.map_or_else(String::new, ToString::to_string);
    wire
}
