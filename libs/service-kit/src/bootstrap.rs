//! The beginning and end of a process: settings, telemetry, exit codes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde::de::DeserializeOwned;
use store::{Durability, Location, Store};
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::entrance;
use crate::settings::{
    self, ClockSettings, IdentitySettings, ServerSettings, SettingsError, StoreSettings,
    TelemetrySettings,
};
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
    /// Opens what the settings name, and says what the store promises.
    ///
    /// # Errors
    /// Names the setting or the store that is wrong, or what makes the store promise too little.
    pub async fn connect(store: &StoreSettings, clock: &ClockSettings) -> Result<Self, Error> {
        let clock = clock.clock()?;
        let location = Location::parse(&store.location)?;
        let options = store.options()?;
        let real_now = Arc::new(crate::clock::real_now);
        let store = Store::open_with(&location, real_now, &options).await?;
        store.promise.require(options.durability)?;
        let (survives, facts) = (store.promise.level(), store.promise.facts().join(", "));
        if survives < Durability::PowerLoss {
            tracing::warn!(%location, %survives, facts, "a power cut may lose what is acknowledged");
        } else {
            tracing::info!(%location, %survives, facts, "store opened");
        }
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
    if let Some(page) = telemetry.metrics_page() {
        tracing::info!("metrics are shown at http://{page}/metrics");
    }
    let outcome = service(settings).await;
    let code = match &outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, error.as_ref(), EXIT_FAILURE),
    };
    telemetry.flush().await;
    code
}

/// Binds the listener of a service: any address where it is guarded, and only a loopback address
/// where it is open.
///
/// # Errors
/// Names the address and what is wrong with it, or what is missing to guard the service.
pub async fn listen(
    server: &ServerSettings,
    identity: &IdentitySettings,
) -> Result<TcpListener, Error> {
    let missing = entrance::missing(server, identity);
    if missing.is_empty() || server.listen_address.ip().is_loopback() {
        return bound(server.listen_address).await;
    }
    let why = format!(
        "server.listen_address {} is not a loopback address: without TLS and authentication only \
         127.0.0.0/8 and ::1 are served; {} missing",
        server.listen_address,
        entrance::are(&missing)
    );
    Err(SettingsError(why).into())
}

/// Binds a listener at an address whose settings have been asked whether others may reach it.
///
/// # Errors
/// Names the address and what is wrong with it.
pub async fn bound(address: SocketAddr) -> Result<TcpListener, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use test_kit::{Certificates, RedisServer};

    async fn connect(location: String, durability: &str) -> Result<Dependencies, String> {
        let store = StoreSettings {
            location,
            durability: durability.to_owned(),
            tls_ca_file: String::new(),
            tls_cert_file: String::new(),
            tls_key_file: String::new(),
        };
        let clock = ClockSettings { demo_origin: String::new(), demo_factor: 1 };
        Dependencies::connect(&store, &clock).await.map_err(|error| error.to_string())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_may_lose_the_last_second_is_refused_unless_that_is_allowed() {
        let server = RedisServer::start_with(&["--appendfsync", "everysec"]).await;
        let refusal = connect(server.url(), "power-loss").await.unwrap_err();
        assert!(
            refusal.contains("appendfsync is everysec: set it to always, or allow"),
            "{refusal}"
        );
        let allowed = connect(server.url(), "process-crash").await.unwrap();
        assert_eq!(allowed.store.promise.level(), Durability::ProcessCrash);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_keeps_or_evicts_is_told_apart() {
        let good = RedisServer::start().await;
        let promise = connect(good.url(), "power-loss").await.unwrap().store.promise;
        assert_eq!(promise.level(), Durability::PowerLoss);
        assert!(promise.facts().contains(&"appendfsync always".to_owned()), "{promise:?}");

        let evicts = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
        let refusal = connect(evicts.url(), "process-crash").await.unwrap_err();
        assert!(refusal.contains("maxmemory-policy is allkeys-lru: set it to noeviction"));
        let forgets = RedisServer::start_with(&["--appendonly", "no"]).await;
        let refusal = connect(forgets.url(), "process-crash").await.unwrap_err();
        assert!(refusal.contains("appendonly is no: set it to yes"), "{refusal}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_does_not_tell_counts_as_one_that_survives_a_crash_of_a_process() {
        for silent in [
            &["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config"][..],
            &["--rename-command", "CONFIG", ""],
        ] {
            let server = RedisServer::start_with(silent).await;
            let refusal = connect(server.url(), "power-loss").await.unwrap_err();
            assert!(refusal.contains("appendfsync is not known"), "{refusal}");
            let allowed = connect(server.url(), "process-crash").await.unwrap();
            assert_eq!(allowed.store.promise.level(), Durability::ProcessCrash);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_over_tls_is_trusted_by_the_file_that_the_settings_name() {
        let certificates = Certificates::new();
        let (_server, port) =
            RedisServer::start_tls(&certificates, &["--tls-auth-clients", "no"]).await;
        let mut store = StoreSettings {
            location: format!("rediss://127.0.0.1:{port}"),
            durability: "power-loss".to_owned(),
            tls_ca_file: String::new(),
            tls_cert_file: String::new(),
            tls_key_file: String::new(),
        };
        let clock = ClockSettings { demo_origin: String::new(), demo_factor: 1 };
        let refused = Dependencies::connect(&store, &clock).await.unwrap_err().to_string();
        assert!(refused.contains("UnknownIssuer"), "{refused}");
        store.tls_ca_file = certificates.file("ca.pem").display().to_string();
        Dependencies::connect(&store, &clock).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_embedded_store_is_enough_and_a_misspelt_level_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let location = format!("embedded:{}", dir.path().display());
        connect(location.clone(), "power-loss").await.unwrap();
        let refusal = connect(location, "powerloss").await.unwrap_err();
        assert!(
            refusal.contains("store.durability") && refusal.contains("power-loss"),
            "{refusal}"
        );
    }
}
