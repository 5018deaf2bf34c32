//! Storing what was in force first: every kill the store did not take, until it has.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch::kill_switch_event::Kind;
use killswitch_core::Kill;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused, store_failed};
use service_kit::propagation::current_traceparent;
use service_kit::shutdown::Shutdown;
use store::{Command, Record};
use vocab::Actor;

use crate::app::App;
use crate::convert;
use crate::error::{DOMAIN, Refused};
use crate::state::{decode, draft_of};

const RETRY_DELAY: Duration = Duration::from_millis(250);
const PAGE: usize = 500;

/// Stores what is not stored yet, now and whenever there is more, until asked to end.
pub(crate) async fn run(app: Arc<App>, shutdown: Shutdown) {
    let storing = async {
        loop {
            app.in_force.unstored.notified().await;
            while let Err(fault) = app.store_all().await {
                tracing::debug!(code = ?fault.code(), "a kill is not stored yet");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    };
    tokio::select! {
        () = storing => {}
        () = shutdown.wait_owned() => {}
    }
}

impl App {
    /// Stores every kill that is not stored yet, as given by whom and when, and then an epoch above
    /// all that was told.
    pub(crate) async fn store_all(&self) -> Result<(), Fault> {
        for kill in self.in_force.kills() {
            if !self.was_stored(&kill).await? {
                self.store(&kill).await?;
            }
            tracing::warn!(scope = kill.switch.scope.id(), "a kill in force is stored by now");
            self.in_force.stored(&kill.switch.scope);
        }
        let stored = self.state();
        if self.in_force.provisional().raising(&stored.state.switches).is_some() {
            let actor = Actor::system("killswitch");
            let command = command(&self.clock, actor, "above every epoch told", None);
            self.replica
                .execute(&command, |state, _| {
                    let event = self.in_force.provisional().raising(&state.switches);
                    Ok::<_, Refused>(event.iter().map(draft_of).collect())
                })
                .await
                .map_err(|error| refused(DOMAIN, error))?;
        }
        self.tell();
        Ok(())
    }

    async fn store(&self, kill: &Kill) -> Result<(), Fault> {
        let command = Command {
            time: kill.switch.time,
            actor: kill.actor.clone(),
            reason: kill.switch.reason.clone(),
            traceparent: current_traceparent(),
            request: None,
        };
        self.replica
            .execute(&command, |state, _| {
                let event = self.in_force.provisional().storing(&state.switches, kill);
                Ok::<_, Refused>(event.iter().map(draft_of).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }

    /// Whether the attempt that got no answer was carried out after all: then the switch may have
    /// been released since, and is not engaged again.
    async fn was_stored(&self, kill: &Kill) -> Result<bool, Fault> {
        let mut after = kill.revision;
        loop {
            let page = self.replica.records(after, PAGE).await;
            let page = page.map_err(|error| store_failed(DOMAIN, &error))?;
            let Some(last) = page.last() else { return Ok(false) };
            after = last.version;
            if page.iter().any(|record| is_of(record, kill)) {
                return Ok(true);
            }
        }
    }
}

fn is_of(record: &Record, kill: &Kill) -> bool {
    let switch = &kill.switch;
    let same =
        record.actor == kill.actor && record.time == switch.time && record.reason == switch.reason;
    same && matches!(decode(record), Ok(Kind::Engaged(engaged))
        if engaged.scope == Some(convert::wire_scope(&switch.scope)))
}
