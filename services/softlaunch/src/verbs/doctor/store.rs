//! A store, looked at without any service.

use std::sync::Arc;

use service_kit::clock::real_now;
use store::{Location, Options, Store, StoreError};

use crate::failure::Failure;

use super::{Check, Verdict, durability};

/// Checks the store at `location`; wrong usage where that is not a location at all.
pub(super) async fn check(location: &str, options: &Options) -> Result<Vec<Check>, Failure> {
    let location = Location::parse(location)?;
    let subject = location.to_string();
    Ok(match Store::open_existing(&location, Arc::new(real_now), options).await {
        Ok(store) => {
            let facts = store.promise.facts().join(", ");
            let level = store.promise.level().to_string();
            vec![
                Check::ok(&subject, "reachable", "it answers"),
                durability(&subject, &level, &facts),
            ]
        }
        Err(error) => vec![not_opened(&subject, &error)],
    })
}

fn not_opened(subject: &str, error: &StoreError) -> Check {
    let (verdict, right) = match error {
        // The services on it tell of it themselves.
        StoreError::InUse(_) => (Verdict::Warning, "the process that holds it answers for it"),
        StoreError::Unavailable(_) => (Verdict::Failure, "a server that answers at this address"),
        StoreError::Settings(_) => (Verdict::Failure, "a store at this location"),
        StoreError::Corrupt(_) | StoreError::Lost { .. } | StoreError::Diverged { .. } => {
            (Verdict::Failure, "what was written: restore it from a copy")
        }
    };
    Check::new(subject, "reachable", verdict, error.to_string(), right)
}
