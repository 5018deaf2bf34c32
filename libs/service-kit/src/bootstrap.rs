//! The beginning and end of a process: settings, telemetry, exit codes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde::de::DeserializeOwned;
use store::{Location, Store};
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::settings::{self, ClockSettings, SettingsError, StoreSettings, TelemetrySettings};
use crate::telemetry::Telemetry;

const EXIT_USAGE: u8 = 64; // EX_USAGE of sysexits.h.
const EXIT_FAILURE: u8 = 1;

/// What went wrong, as a chain of lowercase fragments.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Command line of every service.
#[derive(Debug, Parser)]
#[command(about = "A service of Softlaunch; see --print-settings for what can be set.", version)]
struct Arguments {
    /// Reads settings from this TOML file, over the defaults and under the environment.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Prints the documented default settings and ends.
    #[arg(long)]
    print_settings: bool,
}

/// What every service stands on.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Where its journal is, and what else it keeps.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
}

impl Dependencies {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Names the setting or the store that is wrong.
    pub async fn connect(store: &StoreSettings, clock: &ClockSettings) -> Result<Self, Error> {
        let clock = clock.clock()?;
        let location = Location::parse(&store.location)?;
        let store = Store::open(&location, Arc::new(crate::clock::real_now)).await?;
        Ok(Self { store, clock })
    }
}

/// Settings of a service.
pub trait ServiceSettings: DeserializeOwned {
    /// The documented defaults, in TOML.
    const DEFAULTS: &'static str;

    /// What is logged and exported.
    fn telemetry(&self) -> &TelemetrySettings;
}

/// Runs a service from settings to exit code: 64 where settings are wrong, 1 where serving fails.
pub async fn run<S: ServiceSettings>(
    name: &'static str,
    service: impl AsyncFnOnce(S) -> Result<(), Error>,
) -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.print_settings {
        return print(S::DEFAULTS);
    }
    let settings: S = match settings::load(S::DEFAULTS, arguments.settings.as_deref()) {
        Ok(settings) => settings,
        Err(error) => return fail(name, &error, EXIT_USAGE),
    };
    let telemetry = match Telemetry::start(name, settings.telemetry()) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(name, &error, EXIT_USAGE),
    };
    tracing::info!(service = name, version = env!("CARGO_PKG_VERSION"), "starting");
    let outcome = service(settings).await;
    let code = match &outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, error.as_ref(), EXIT_FAILURE),
    };
    telemetry.flush().await;
    code
}

/// Binds a listener. Without authentication only loopback addresses are allowed.
///
/// # Errors
/// Names the address and what is wrong with it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().is_loopback() {
        let why = format!(
            "server.listen_address {address} is not a loopback address: without TLS and \
             authentication only 127.0.0.0/8 and ::1 are served"
        );
        return Err(SettingsError(why).into());
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

#[expect(clippy::print_stdout, reason = "the output asked for")]
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the log may not be set up yet")]
fn fail(name: &str, error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprint!("{name}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
    ExitCode::from(code)
}
