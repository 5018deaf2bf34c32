//! The sample ingestion worker as a process; see `--help`.

use std::process::ExitCode;

use clap::Parser as _;
use ingestion_worker::worker::{self, Arguments};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last word of a process")]
async fn main() -> ExitCode {
    match worker::run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingestion-worker: {error}");
            ExitCode::FAILURE
        }
    }
}
