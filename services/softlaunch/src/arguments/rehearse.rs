//! Rehearsals on the command line.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RehearseArguments {
    /// The plan file; the shipped plan where absent.
    pub(crate) plan: Option<PathBuf>,
    /// What happens and what is expected of it, e.g. deploy/scenarios/healthy.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    /// Where chance begins: the same seed gives the same output.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prints also who was told what, and every statement.
    #[arg(long)]
    pub(crate) all: bool,
}
