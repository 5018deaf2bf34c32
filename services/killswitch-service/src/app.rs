//! Commands: load, decide, append.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use killswitch_core::{Scope, engage, release};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use store::{Replica, Snapshot};
use vocab::Actor;

use crate::convert;
use crate::error::{DOMAIN, Refused};
use crate::state::{State, draft_of};
use crate::workers::Workers;

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) heartbeat: Duration,
    pub(crate) shutdown: Shutdown,
    pub(crate) workers: Workers,
}

impl App {
    pub(crate) fn new(
        replica: Arc<Replica<State>>,
        clock: Clock,
        heartbeat: Duration,
        shutdown: Shutdown,
    ) -> Self {
        Self { replica, clock, heartbeat, shutdown, workers: Workers::new() }
    }

    pub(crate) fn state(&self) -> Snapshot<State> {
        self.replica.snapshot()
    }

    /// Stops a scope.
    pub(crate) async fn engage(
        &self,
        scope: Scope,
        actor: Actor,
        reason: String,
        drill: bool,
    ) -> Result<pb::KillSwitch, Fault> {
        let command = command(&self.clock, actor, reason.clone(), None);
        let done = self
            .replica
            .execute(&command, |state, _| {
                let event = engage(&state.switches, scope.clone(), reason.clone(), drill);
                Ok::<_, Refused>(event.iter().map(draft_of).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        tracing::warn!(scope = scope.id(), drill, reason, "kill switch engaged");
        Ok(convert::kill_switch(&done.snapshot.state.switches, &scope))
    }

    /// Lets a scope go on.
    pub(crate) async fn release(
        &self,
        scope: Scope,
        seen: u64,
        actor: Actor,
        reason: String,
    ) -> Result<pb::KillSwitch, Fault> {
        let command = command(&self.clock, actor, reason.clone(), None);
        let done = self
            .replica
            .execute(&command, |state, _| {
                let event = release(&state.switches, scope.clone(), seen, reason.clone());
                Ok::<_, Refused>(event.map_err(Refused)?.iter().map(draft_of).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        tracing::warn!(scope = scope.id(), reason, "kill switch released");
        Ok(convert::kill_switch(&done.snapshot.state.switches, &scope))
    }
}
