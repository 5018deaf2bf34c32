//! The kill-switch service as it is shipped, by itself or with others in one process.

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

/// Serves kill switches, flags and gates over one embedded store, as `softlaunch up` does.
pub(crate) async fn serve_together(dir: &str) -> Result<(), Error> {
    let location = Location::Embedded(dir.into());
    let store = Store::open(&location, Arc::new(real_now)).await?;
    let on = || Dependencies { store: store.clone(), clock: Clock::system() };
    let (_trigger, end) = shutdown::channel();
    let mut listeners = Vec::new();
    for _service in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let addresses: Result<Vec<_>, _> = listeners
        .iter()
        .map(|one| Ok::<_, Error>(format!("http://{}", one.local_addr()?)))
        .collect();
    let addresses = addresses?;
    println!("{}", addresses.join(" "));
    let mut of_kills: Settings = settings::defaults(Settings::DEFAULTS)?;
    of_kills.release.ramp = "0s".to_owned();
    of_kills.watch.heartbeat = "60s".to_owned();
    let mut of_flags: flag_service::Settings =
        settings::defaults(flag_service::Settings::DEFAULTS)?;
    of_flags.peers.killswitch.clone_from(&addresses[0]);
    let mut of_gates: gate_service::Settings =
        settings::defaults(gate_service::Settings::DEFAULTS)?;
    of_gates.peers.killswitch.clone_from(&addresses[0]);
    of_gates.peers.comms = "http://127.0.0.1:9".to_owned(); // Nobody: no communications.
    let [kills, flags, gates] = listeners.try_into().map_err(|_e| "three were made above")?;
    tokio::try_join!(
        killswitch_service::serve(of_kills, on(), kills, end.clone()),
        flag_service::serve(of_flags, on(), flags, end.clone()),
        gate_service::serve(of_gates, on(), gates, end),
    )?;
    Ok(())
}
