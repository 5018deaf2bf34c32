//! The roof: one binary to run everything on a laptop, and to operate what runs elsewhere.
//!
//! **Invariant:** nothing is decided here. What is printed is read from the services, or, for an
//! audit, from their journals.

mod allinone;
mod arguments;
mod clockfile;
mod connect;
mod demo;
mod endpoints;
mod failure;
mod output;
mod private;
mod secured;
mod up;
mod verbs;

use std::net::SocketAddr;
use std::process::ExitCode;

use service_kit::settings::{LogFormat, TelemetrySettings};
use service_kit::telemetry::Telemetry;
use tracing::Instrument as _;

pub use crate::arguments::CommandLine;
use crate::arguments::Verb;
use crate::failure::Failure;

/// Does what the command line says; the exit code is 0, 1 for a refusal, 2 for wrong usage.
pub async fn run(line: CommandLine) -> ExitCode {
    let settings = TelemetrySettings {
        log_format: LogFormat::Pretty,
        log_filter: line.log_filter.clone().unwrap_or_else(|| default_filter(&line.verb)),
        otlp_endpoint: line.otlp_endpoint.clone().unwrap_or_default(),
        metrics_address: metrics_address(&line.verb),
        metrics_exposed: false,
    };
    let telemetry = match Telemetry::start("softlaunch", &settings) {
        Ok(telemetry) => telemetry,
        Err(error) => return failure::report(&Failure::usage(error.to_string())),
    };
    let span = match &line.verb {
        // A process that serves for days has no span of its own.
        Verb::Up(_) | Verb::Demo(_) | Verb::SampleWorker(_) => tracing::Span::none(),
        Verb::Plan(_)
        | Verb::Rollout(_)
        | Verb::Advise(_)
        | Verb::Rehearse(_)
        | Verb::Flag(_)
        | Verb::Gate(_)
        | Verb::Kill(_)
        | Verb::Comms(_)
        | Verb::Audit(_)
        | Verb::Store(_)
        | Verb::Certs(_)
        | Verb::Tokens(_)
        | Verb::Doctor(_) => tracing::info_span!("softlaunch", otel.kind = "client"),
    };
    let metrics_page = telemetry.metrics_page();
    let done = dispatch(line, metrics_page).instrument(span).await;
    let code = match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure::report(&failure),
    };
    telemetry.flush().await;
    code
}

/// Only `up` serves for long enough to be looked at.
fn metrics_address(verb: &Verb) -> String {
    let Verb::Up(up) = verb else { return String::new() };
    if up.free_ports { "127.0.0.1:0".to_owned() } else { up.metrics_address.clone() }
}

fn default_filter(verb: &Verb) -> String {
    match verb {
        Verb::Up(_) => "info",
        // What a doctor finds is in its table.
        Verb::Demo(_) | Verb::SampleWorker(_) | Verb::Doctor(_) => "error",
        Verb::Plan(_)
        | Verb::Rollout(_)
        | Verb::Advise(_)
        | Verb::Rehearse(_)
        | Verb::Flag(_)
        | Verb::Gate(_)
        | Verb::Kill(_)
        | Verb::Comms(_)
        | Verb::Audit(_)
        | Verb::Certs(_)
        | Verb::Tokens(_)
        | Verb::Store(_) => "warn",
    }
    .to_owned()
}

async fn dispatch(line: CommandLine, metrics_page: Option<SocketAddr>) -> Result<(), Failure> {
    let output = line.output;
    let connection = || connect::Connection::new(&line);
    match &line.verb {
        Verb::Up(arguments) => up::run(arguments, metrics_page).await,
        Verb::Demo(arguments) => demo::run(arguments).await,
        Verb::SampleWorker(arguments) => ingestion_worker::worker::run((**arguments).clone())
            .await
            .map_err(|error| Failure::refused(error.to_string())),
        Verb::Plan(verb) => verbs::plan::run(verb, &connection()?, output).await,
        Verb::Advise(arguments) => verbs::rollout::advise(arguments, &connection()?, output).await,
        Verb::Rehearse(arguments) => verbs::rehearse::run(arguments, output),
        Verb::Rollout(verb) => verbs::rollout::run(verb, &connection()?, output).await,
        Verb::Flag(verb) => verbs::flag::run(verb, &connection()?, output).await,
        Verb::Gate(verb) => verbs::gate::run(verb, &connection()?, output).await,
        Verb::Kill(verb) => verbs::kill::run(verb, &connection()?, output).await,
        Verb::Audit(verb) => verbs::audit::run(verb, output).await,
        Verb::Store(verb) => verbs::store::run(verb, output).await,
        Verb::Doctor(arguments) => {
            let credentials = connect::credentials(&line)?;
            verbs::doctor::run(arguments, line.endpoints.as_deref(), &credentials, output).await
        }
        Verb::Certs(arguments) => verbs::certs::run(arguments),
        Verb::Tokens(verb) => verbs::tokens::run(verb, &line.holding, output),
        Verb::Comms(verb) => verbs::comms::run(verb, &connection()?, output).await,
    }
}
