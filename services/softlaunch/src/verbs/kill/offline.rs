//! `softlaunch kill engage --offline`: breaking the glass.

use std::sync::Arc;

use contracts::killswitch as pb;
use killswitch_service::offline::engage_offline;
use service_kit::clock::{Clock, real_now};
use store::{Location, Store, StoreError};
use tonic::Status;

use crate::arguments::StoreAt;
use crate::connect::Connection;
use crate::failure::Failure;

/// Engages straight on the store.
pub(super) async fn engage(
    scope: &pb::Scope,
    reason: &str,
    at: &StoreAt,
    connection: &Connection,
) -> Result<pb::KillSwitch, Failure> {
    let actor = connection.actor()?;
    let location = Location::parse(&at.store)?;
    let opening = Store::open_existing(&location, Arc::new(real_now), &at.tls.options()).await;
    let store = opening.map_err(|error| match error {
        StoreError::InUse(_) => Failure::refused(format!(
            "{location} is in use: the process that holds it (e.g. `softlaunch up`) takes the \
             call without --offline, or must be stopped"
        )),
        StoreError::Unavailable(_)
        | StoreError::Corrupt(_)
        | StoreError::Lost { .. }
        | StoreError::Diverged { .. }
        | StoreError::Settings(_) => Failure::refused(error.to_string()),
    })?;
    let clock = Clock::system();
    let engaged = engage_offline(&store, &clock, Some(scope), actor, reason).await;
    Ok(engaged.map_err(Status::from)?)
}
