//! Between the wire and the core; the journal's events are in `events`.

mod events;

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::policy::OnStale as WireOnStale;
use contracts::killswitch::scope::Kind as ScopeKind;
use killswitch_core::{OnStale, PendingRelease, Rules, Scope, Switch, Switches};
use service_kit::fault::{Fault, checked};
use service_kit::wire::{signed, wire_time};
use vocab::{Pattern, PhaseId, PipelineId};

use crate::error::DOMAIN;

pub(crate) use events::{event, stored};

const EVIDENCE_LENGTH_MAX: usize = 2_000;

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

/// Reads the address of evidence. It may be empty: whether it must be there says the core.
pub(crate) fn evidence(text: &str) -> Result<String, Fault> {
    let length = text.chars().count();
    if length > EVIDENCE_LENGTH_MAX {
        let why =
            format!("{length} characters are too many: expected at most {EVIDENCE_LENGTH_MAX}");
        return Err(Fault::field(DOMAIN, "evidence", why));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let good = rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_alphanumeric() || c == '[') && rest.chars().all(plain)
    });
    if text.is_empty() || good {
        return Ok(text.to_owned());
    }
    let why = format!("`{}` is not an http or https address", vocab::excerpt(text));
    Err(Fault::field(DOMAIN, "evidence", why))
}

/// The rules of a plan, from the wire or the journal.
pub(crate) fn rules(wire: Option<pb::Rules>) -> Result<Rules, Fault> {
    let wire = wire.ok_or_else(|| Fault::field(DOMAIN, "rules", "is required"))?;
    let duration = |path: &str, wire: Option<prost_types::Duration>| {
        let wrong = || Fault::field(DOMAIN, path, "expected a duration of 0 or more");
        Duration::try_from(wire.unwrap_or_default()).map_err(|_e| wrong())
    };
    let generation = u64::try_from(wire.generation).ok().filter(|one| *one > 0);
    let generation =
        generation.ok_or_else(|| Fault::field(DOMAIN, "rules.generation", "expected 1 or more"))?;
    let policy = wire.policy.unwrap_or_default();
    let lease = duration("rules.policy.lease_duration", policy.lease_duration)?;
    if lease.is_zero() {
        return Err(Fault::field(DOMAIN, "rules.policy.lease_duration", "is required"));
    }
    let bound = duration("rules.policy.static_duration_max", policy.static_duration_max)?;
    let on_stale = match policy.on_stale() {
        WireOnStale::Unspecified | WireOnStale::FailClosed => OnStale::FailClosed,
        WireOnStale::FailStatic => OnStale::FailStatic(bound),
    };
    Ok(Rules {
        pipeline: checked(DOMAIN, "rules.pipeline", PipelineId::new(&wire.pipeline))?,
        generation,
        lease,
        on_stale,
        second_person: wire.second_person,
        drill_valid: duration("rules.drill_valid_duration", wire.drill_valid_duration)?,
    })
}

pub(crate) fn wire_policy(lease: Duration, on_stale: OnStale) -> pb::Policy {
    let mut wire = pb::Policy { lease_duration: lease.try_into().ok(), ..pb::Policy::default() };
    match on_stale {
        OnStale::FailClosed => wire.set_on_stale(WireOnStale::FailClosed),
        OnStale::FailStatic(bound) => {
            wire.static_duration_max = bound.try_into().ok();
            wire.set_on_stale(WireOnStale::FailStatic);
        }
    }
    wire
}

/// The switch of a scope; released at epoch 0 where it was never engaged. `survives`: what the
/// store promises, or `None` where it has not taken the switch yet.
pub(crate) fn kill_switch(
    switches: &Switches,
    scope: &Scope,
    survives: Option<&str>,
) -> pb::KillSwitch {
    switches.get(scope).map_or_else(
        || pb::KillSwitch {
            name: format!("killSwitches/{}", scope.id()),
            scope: Some(wire_scope(scope)),
            state: pb::kill_switch::State::Released.into(),
            durability: pb::Durability::Stored.into(),
            survives: survives.unwrap_or_default().to_owned(),
            etag: "\"0\"".to_owned(),
            ..pb::KillSwitch::default()
        },
        |switch| wire_switch(switch, survives),
    )
}

/// A switch as it is told.
pub(crate) fn wire_switch(switch: &Switch, survives: Option<&str>) -> pb::KillSwitch {
    let state = if switch.engaged {
        pb::kill_switch::State::Engaged
    } else {
        pb::kill_switch::State::Released
    };
    let durability =
        if survives.is_some() { pb::Durability::Stored } else { pb::Durability::NotYet };
    pb::KillSwitch {
        name: format!("killSwitches/{}", switch.scope.id()),
        scope: Some(wire_scope(&switch.scope)),
        state: state.into(),
        epoch: signed(switch.epoch),
        reason: switch.reason.clone(),
        actor: switch.actor.clone(),
        change_time: Some(wire_time(switch.time)),
        drill: switch.drill,
        durability: durability.into(),
        survives: survives.unwrap_or_default().to_owned(),
        pending_release: switch.pending.as_ref().map(wire_pending),
        evidence: switch.evidence.clone(),
        etag: format!("\"{}\"", switch.epoch),
    }
}

fn wire_pending(pending: &PendingRelease) -> pb::PendingRelease {
    pb::PendingRelease {
        actor: pending.actor.clone(),
        reason: pending.reason.clone(),
        evidence: pending.evidence.clone(),
        request_time: Some(wire_time(pending.time)),
    }
}
