//! Lanes: how many calls are worked on at a time, with room of its own for what must get through.
//!
//! A call that finds its lane full is refused at once, before its body is read: whoever waits in a
//! queue only to time out has cost more. A stream takes a place until it is open, not longer.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

use crate::fault::Fault;
use crate::metrics::meter;

const DOMAIN: &str = "server.softlaunch.dev";
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Calls at a time, where the settings do not say.
pub const CALLS_MAX: usize = 1_024;
const STOPS_MAX: usize = 64; // Each is one command, and few people give them.
const LISTENERS_MAX: usize = 256; // A fleet that comes back opens its streams at once.
const HEALTH_MAX: usize = 32; // Nobody has to say who they are.

/// What a call is for, as far as room goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Lowers exposure: engages a kill switch, pauses, rolls back.
    Stop,
    /// Opens the stream that kill switches are heard on.
    Listen,
    /// Asks how the service is.
    Health,
    /// Everything else.
    Rest,
}

impl Lane {
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch"
            | "/softlaunch.rollout.v1.RolloutService/PauseRollout"
            | "/softlaunch.rollout.v1.RolloutService/RollBackRollout" => Self::Stop,
            "/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitches" => Self::Listen,
            "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" => Self::Health,
            _ => Self::Rest,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Listen => "listen",
            Self::Health => "health",
            Self::Rest => "rest",
        }
    }
}

/// Whether a call of `path` lowers exposure: such a one waits for nobody, and has no rate.
pub(crate) fn stops(path: &str) -> bool {
    Lane::of(path) == Lane::Stop
}

/// The lanes of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lanes {
    stop: Arc<Semaphore>,
    listen: Arc<Semaphore>,
    health: Arc<Semaphore>,
    rest: Arc<Semaphore>,
    shed: Counter<u64>,
}

impl Lanes {
    /// With room for `calls_max` calls, and for those that must get through besides.
    #[must_use]
    pub fn new(calls_max: usize) -> Self {
        let room = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        let shed = meter()
            .u64_counter("softlaunch.server.shed")
            .with_description("Calls that were refused because their lane was full.")
            .build();
        Self {
            stop: room(STOPS_MAX),
            listen: room(LISTENERS_MAX),
            health: room(HEALTH_MAX),
            rest: room(calls_max),
            shed,
        }
    }

    /// A place for a call, until it is dropped.
    pub(crate) fn enter(&self, lane: Lane) -> Result<OwnedSemaphorePermit, Fault> {
        let room = match lane {
            Lane::Stop => &self.stop,
            Lane::Listen => &self.listen,
            Lane::Health => &self.health,
            Lane::Rest => &self.rest,
        };
        Arc::clone(room).try_acquire_owned().map_err(|_full| {
            self.shed.add(1, &[KeyValue::new("lane", lane.name())]);
            let message = "too many calls at once: try again a little later";
            Fault::new(Code::ResourceExhausted, DOMAIN, "OVERLOADED", message)
                .with("lane", lane.name())
                .retry_after(RETRY_AFTER)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGAGE: &str = "/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch";
    const LIST: &str = "/softlaunch.killswitch.v1.KillSwitchService/ListKillSwitches";
    const WATCH: &str = "/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitches";

    #[test]
    fn a_full_lane_refuses_and_leaves_room_for_what_must_get_through() {
        let lanes = Lanes::new(2);
        let enter = |path| lanes.enter(Lane::of(path));
        let taken = [enter(LIST).unwrap(), enter("/whatever").unwrap()];
        let refused = enter(LIST).unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::ResourceExhausted, "OVERLOADED"));
        for path in [ENGAGE, WATCH, "/grpc.health.v1.Health/Check"] {
            assert!(enter(path).is_ok(), "{path}");
        }
        drop(taken);
        assert!(enter(LIST).is_ok());
    }

    #[test]
    fn every_method_with_a_lane_of_its_own_is_one_that_there_is() {
        let special = crate::access::POLICY.iter().filter(|rule| Lane::of(rule.path) != Lane::Rest);
        assert_eq!(special.count(), 6);
    }
}
