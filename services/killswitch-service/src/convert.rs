//! Between the wire, the journal and the core.

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use contracts::killswitch::scope::Kind as ScopeKind;
use killswitch_core::{Event, Scope, Switch, Switches};
use service_kit::fault::{Fault, checked};
use service_kit::wire::{signed, wire_time};
use vocab::{Pattern, PhaseId, PipelineId};

use crate::error::DOMAIN;

/// Reads a scope from a request.
pub(crate) fn scope(wire: Option<&pb::Scope>) -> Result<Scope, Fault> {
    let wire = wire.ok_or_else(|| Fault::field(DOMAIN, "scope", "is required"))?;
    let pipeline = || checked(DOMAIN, "scope.pipeline", PipelineId::new(&wire.pipeline));
    match ScopeKind::try_from(wire.kind) {
        Ok(ScopeKind::Global) => Ok(Scope::Global),
        Ok(ScopeKind::Pipeline) => Ok(Scope::Pipeline(pipeline()?)),
        Ok(ScopeKind::Cohort) => {
            let phase = checked(DOMAIN, "scope.phase_id", PhaseId::new(&wire.phase_id))?;
            Ok(Scope::Cohort(pipeline()?, phase))
        }
        Ok(ScopeKind::Workspace) => {
            let pattern = Pattern::new(&wire.workspace_pattern);
            let pattern = checked(DOMAIN, "scope.workspace_pattern", pattern)?;
            Ok(Scope::Workspace(pipeline()?, pattern))
        }
        Ok(ScopeKind::Unspecified) | Err(_) => Err(Fault::field(
            DOMAIN,
            "scope.kind",
            format!("{} is not a kind: expected GLOBAL, PIPELINE, COHORT or WORKSPACE", wire.kind),
        )),
    }
}

pub(crate) fn wire_scope(scope: &Scope) -> pb::Scope {
    let mut wire = pb::Scope::default();
    let (kind, pipeline) = match scope {
        Scope::Global => (ScopeKind::Global, None),
        Scope::Pipeline(pipeline) => (ScopeKind::Pipeline, Some(pipeline)),
        Scope::Cohort(pipeline, phase) => {
            wire.phase_id = phase.to_string();
            (ScopeKind::Cohort, Some(pipeline))
        }
        Scope::Workspace(pipeline, pattern) => {
            wire.workspace_pattern = pattern.to_string();
            (ScopeKind::Workspace, Some(pipeline))
        }
    };
    wire.set_kind(kind);
    wire.pipeline = pipeline.map_or_else(String::new, ToString::to_string);
    wire
}

/// The switch of a scope; released at epoch 0 where it was never engaged.
pub(crate) fn kill_switch(switches: &Switches, scope: &Scope) -> pb::KillSwitch {
    switches.get(scope).map_or_else(
        || pb::KillSwitch {
            name: format!("killSwitches/{}", scope.id()),
            scope: Some(wire_scope(scope)),
            state: pb::kill_switch::State::Released.into(),
            durability: pb::Durability::Stored.into(),
            etag: "\"0\"".to_owned(),
            ..pb::KillSwitch::default()
        },
        wire_switch,
    )
}

pub(crate) fn wire_switch(switch: &Switch) -> pb::KillSwitch {
    let state = if switch.engaged {
        pb::kill_switch::State::Engaged
    } else {
        pb::kill_switch::State::Released
    };
    pb::KillSwitch {
        name: format!("killSwitches/{}", switch.scope.id()),
        scope: Some(wire_scope(&switch.scope)),
        state: state.into(),
        epoch: signed(switch.epoch),
        reason: switch.reason.clone(),
        actor: switch.actor.clone(),
        change_time: Some(wire_time(switch.time)),
        drill: switch.drill,
        durability: pb::Durability::Stored.into(),
        etag: format!("\"{}\"", switch.epoch),
        ..pb::KillSwitch::default()
    }
}

pub(crate) fn kill_state(switches: &Switches) -> pb::KillState {
    pb::KillState {
        epoch: signed(switches.epoch),
        engaged: switches.engaged().map(wire_switch).collect(),
        reopening: Vec::new(),
    }
}

/// Reads an event from the journal; `None` for those that change no switch.
pub(crate) fn event(stored: Kind) -> Result<Option<Event>, String> {
    let restore = |scope_: Option<pb::Scope>| {
        scope(scope_.as_ref()).map_err(|_f| "a scope that does not read".to_owned())
    };
    let unsigned = |epoch: i64| u64::try_from(epoch).map_err(|_e| "a negative epoch".to_owned());
    Ok(match stored {
        Kind::Engaged(pb::Engaged { scope, epoch, reason, drill }) => {
            Some(Event::Engaged { scope: restore(scope)?, epoch: unsigned(epoch)?, reason, drill })
        }
        Kind::Released(pb::Released { scope, epoch, reason, drill, .. }) => {
            Some(Event::Released { scope: restore(scope)?, epoch: unsigned(epoch)?, reason, drill })
        }
        Kind::DrillCompleted(_)
        | Kind::ReleaseRequested(_)
        | Kind::EpochRaised(_)
        | Kind::Rules(_) => None,
    })
}

/// The storage form of an event.
pub(crate) fn stored(event: &Event) -> Kind {
    match event {
        Event::Engaged { scope, epoch, reason, drill } => Kind::Engaged(pb::Engaged {
            scope: Some(wire_scope(scope)),
            epoch: signed(*epoch),
            reason: reason.clone(),
            drill: *drill,
        }),
        Event::Released { scope, epoch, reason, drill } => Kind::Released(pb::Released {
            scope: Some(wire_scope(scope)),
            epoch: signed(*epoch),
            reason: reason.clone(),
            drill: *drill,
            ..pb::Released::default()
        }),
    }
}
