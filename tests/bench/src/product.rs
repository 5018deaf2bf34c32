//! The kill-switch service as it is shipped.

use std::sync::Arc;

use killswitch_service::Settings;
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::{settings, shutdown};
use store::{Location, Store};
use tokio::net::TcpListener;

use crate::Error;

/// Serves over an embedded store in `dir`. A released scope goes on at once, so that every round
/// sends a state of the same size; and signs of life are rare, so that they are not measured.
pub(crate) async fn serve(dir: &str) -> Result<(), Error> {
    let mut settings: Settings = settings::defaults(Settings::DEFAULTS)?;
    settings.release.ramp = "0s".to_owned();
    settings.watch.heartbeat = "60s".to_owned();
    let location = Location::Embedded(dir.into());
    let store = Store::open(&location, Arc::new(real_now)).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let (_trigger, end) = shutdown::channel();
    let dependencies = Dependencies { store, clock: Clock::system() };
    killswitch_service::serve(settings, dependencies, listener, end).await
}
