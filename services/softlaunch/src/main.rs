//! Softlaunch: the operator's command line and the all-in-one process. See `--help`.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    softlaunch::run(softlaunch::CommandLine::parse()).await
}
