//! Between the journal and the core.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use killswitch_core::{Event, Rules, Scope};
use service_kit::wire::signed;

use super::{rules, scope, wire_policy, wire_scope};

/// Reads an event from the journal; `None` for those that change no switch.
pub(crate) fn event(stored: Kind) -> Result<Option<Event>, String> {
    Ok(Some(match stored {
        Kind::Engaged(pb::Engaged { scope, epoch, reason, drill }) => {
            Event::Engaged { scope: restore(scope)?, epoch: unsigned(epoch)?, reason, drill }
        }
        Kind::Released(pb::Released { scope, epoch, reason, drill, evidence, ramp_duration }) => {
            Event::Released {
                scope: restore(scope)?,
                epoch: unsigned(epoch)?,
                reason,
                drill,
                evidence,
                ramp: Duration::try_from(ramp_duration.unwrap_or_default())
                    .map_err(|_e| "a negative ramp".to_owned())?,
            }
        }
        Kind::ReleaseRequested(pb::ReleaseRequested { scope, epoch, reason, evidence }) => {
            let (scope, epoch) = (restore(scope)?, unsigned(epoch)?);
            Event::ReleaseRequested { scope, epoch, reason, evidence }
        }
        Kind::EpochRaised(pb::EpochRaised { epoch, worker_id }) => {
            Event::EpochRaised { epoch: unsigned(epoch)?, worker: worker_id }
        }
        Kind::Rules(wire) => {
            Event::RulesTaken(rules(Some(wire)).map_err(|_f| "rules that do not read".to_owned())?)
        }
        Kind::DrillCompleted(_) => return Ok(None),
    }))
}

fn restore(wire: Option<pb::Scope>) -> Result<Scope, String> {
    scope(wire.as_ref()).map_err(|_f| "a scope that does not read".to_owned())
}

fn unsigned(epoch: i64) -> Result<u64, String> {
    u64::try_from(epoch).map_err(|_e| "a negative epoch".to_owned())
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
        Event::Released { scope, epoch, reason, drill, evidence, ramp } => {
            Kind::Released(pb::Released {
                scope: Some(wire_scope(scope)),
                epoch: signed(*epoch),
                reason: reason.clone(),
                drill: *drill,
                evidence: evidence.clone(),
                ramp_duration: (*ramp).try_into().ok(),
            })
        }
        Event::ReleaseRequested { scope, epoch, reason, evidence } => {
            Kind::ReleaseRequested(pb::ReleaseRequested {
                scope: Some(wire_scope(scope)),
                epoch: signed(*epoch),
                reason: reason.clone(),
                evidence: evidence.clone(),
            })
        }
        Event::EpochRaised { epoch, worker } => {
            Kind::EpochRaised(pb::EpochRaised { epoch: signed(*epoch), worker_id: worker.clone() })
        }
        Event::RulesTaken(rules) => Kind::Rules(wire_rules(rules)),
    }
}

fn wire_rules(rules: &Rules) -> pb::Rules {
    pb::Rules {
        pipeline: rules.pipeline.to_string(),
        generation: signed(rules.generation),
        policy: Some(wire_policy(rules.lease, rules.on_stale)),
        second_person: rules.second_person,
        drill_valid_duration: rules.drill_valid.try_into().ok(),
    }
}
