//! Breaking the glass: a kill straight on the store, while no service answers.

use std::sync::Arc;

use contracts::killswitch as pb;
use killswitch_core::{Switches, engage};
use service_kit::clock::Clock;
use service_kit::fault::{Fault, check_text};
use service_kit::journaled::{command, refused, store_failed};
use store::{Replica, Store, StoreError, StreamName};
use vocab::Actor;

use crate::convert;
use crate::error::{DOMAIN, Refused};
use crate::state::{State, draft_of};

/// Stops a scope by appending what the service would append, so that it is audited like any kill.
/// Services that follow the store take it over at once; those that are started later read it then.
/// The actor is marked `offline:`.
///
/// # Errors
/// Refuses a malformed scope and a missing reason; fails where the store does not take it.
pub async fn engage_offline(
    store: &Store,
    clock: &Clock,
    scope: Option<&pb::Scope>,
    actor: Actor,
    reason: &str,
) -> Result<pb::KillSwitch, Fault> {
    let scope = convert::scope(scope)?;
    let reason = check_text(DOMAIN, "reason", reason, true)?;
    let failed = |error: StoreError| store_failed(DOMAIN, &error);
    let stream = StreamName::new("killswitch")
        .map_err(|why| failed(StoreError::Settings(why.to_string())))?;
    let replica: Arc<Replica<State>> =
        Replica::open(Arc::clone(&store.journal), stream).await.map_err(failed)?;
    let actor = Actor { subject: format!("offline:{}", actor.subject), ..actor };
    let command = command(clock, actor, reason.clone(), None);
    let decide = |switches: &Switches| engage(switches, 0, scope.clone(), reason.clone(), false);
    let done = replica
        .execute(&command, |state, _| {
            Ok::<_, Refused>(decide(&state.switches).iter().map(draft_of).collect())
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
    let survives = store.promise.level().to_string();
    Ok(convert::kill_switch(&done.snapshot.state.switches, &scope, Some(&survives)))
}
