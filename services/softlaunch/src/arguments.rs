//! The command line.

mod audit;
mod comms;
mod doctor;
mod flag;
mod gate;
mod kill;
mod rehearse;
mod rollout;
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use audit::{AuditVerb, Journals, STREAMS};
pub(crate) use comms::{CommsVerb, RedriveArguments};
pub(crate) use doctor::DoctorArguments;
pub(crate) use flag::{About, Documents, FlagForm, FlagVerb, Given, Workspaces};
pub(crate) use gate::{BacktestArguments, GateVerb};
pub(crate) use kill::{KillScope, KillVerb};
pub(crate) use rehearse::RehearseArguments;
pub(crate) use rollout::{AdviseArguments, PlanVerb, RolloutId, RolloutVerb};
pub(crate) use store::{StoreAt, StoreVerb};

/// Takes a pipeline from nobody to everybody, one safe step at a time.
#[derive(Debug, Parser)]
#[command(name = "softlaunch", version, propagate_version = true)]
pub struct CommandLine {
    /// How results are printed.
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Who you are. Without configured authentication this is only claimed, and marked so.
    #[arg(long = "as", global = true, value_name = "NAME", env = "SOFTLAUNCH_AS")]
    pub(crate) subject: Option<String>,
    /// A role you hold, e.g. engineering_lead. Can be given more than once.
    #[arg(long = "holding", global = true, value_name = "ROLE", value_delimiter = ',')]
    pub(crate) holding: Vec<String>,
    /// Where the services are: the endpoints.toml of a data directory. The documented local ports
    /// (7101 to 7105) where absent.
    #[arg(long, global = true, value_name = "FILE", env = "SOFTLAUNCH_ENDPOINTS")]
    pub(crate) endpoints: Option<PathBuf>,
    /// Where spans and metrics go over OTLP/gRPC, e.g. http://127.0.0.1:4317.
    #[arg(long, global = true, value_name = "URL", env = "SOFTLAUNCH_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// What is logged to standard error, e.g. info or debug.
    #[arg(long, global = true, value_name = "FILTER", env = "SOFTLAUNCH_LOG")]
    pub(crate) log_filter: Option<String>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For scripts: the proto3 JSON form of the service's answer; JSON lines of an audit log.
    Json,
    /// For a page: gate reports as Markdown. Other verbs print their tables.
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Shows it all: a rollout of the shipped plan through P0, with real workers and real files.
    Demo(DemoArguments),
    /// Runs all five services in this process, on an embedded store.
    Up(UpArguments),
    /// Checks and shows plan files.
    #[command(subcommand)]
    Plan(PlanVerb),
    /// Conducts rollouts.
    #[command(subcommand)]
    Rollout(RolloutVerb),
    /// Names the row of the plan's decision matrix that applies: pause, or roll back.
    Advise(AdviseArguments),
    /// Plays a whole plan on virtual time, with simulated workers and people: forty days in seconds.
    /// Exit code 1 where what the scenario expects does not come.
    Rehearse(RehearseArguments),
    /// Shows, changes and evaluates flags.
    #[command(subcommand)]
    Flag(FlagVerb),
    /// Judges gates and shows metrics.
    #[command(subcommand)]
    Gate(GateVerb),
    /// Stops work at once, and lets it go on.
    #[command(subcommand)]
    Kill(KillVerb),
    /// Shows what was told to whom.
    #[command(subcommand)]
    Comms(CommsVerb),
    /// Shows and verifies the journals: who did what, when and why.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Moves everything a store keeps to another one.
    #[command(subcommand)]
    Store(StoreVerb),
    /// Checks every service and its store, and says what would be right. Exit code 1 where
    /// something fails.
    Doctor(DoctorArguments),
    /// Runs the sample ingestion worker.
    SampleWorker(Box<ingestion_worker::worker::Arguments>),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UpArguments {
    /// Where data is kept.
    #[arg(long, default_value = "softlaunch-data")]
    pub(crate) data_dir: PathBuf,
    /// Takes free ports instead of 7101 to 7105 (and 7107 for the pages); they are written to
    /// endpoints.toml in the data directory.
    #[arg(long)]
    pub(crate) free_ports: bool,
    /// Where metrics are shown as a page for Prometheus; nowhere where empty. A free port with
    /// --free-ports.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7106")]
    pub(crate) metrics_address: String,
    /// Settings of the communications service: channels and mail server.
    #[arg(long, value_name = "FILE")]
    pub(crate) comms_settings: Option<PathBuf>,
    /// Runs on a demo clock: this many seconds pass in one. Kept with the data directory.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) demo_factor: Option<u32>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArguments {
    /// Where data is kept. A demo that was cut off goes on where it was.
    #[arg(long, default_value = "softlaunch-data/demo")]
    pub(crate) data_dir: PathBuf,
    /// Ends when the tour is over, instead of leaving the services up.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Takes free ports instead of 7101 to 7105.
    #[arg(long)]
    pub(crate) free_ports: bool,
    /// How many seconds of demo time pass in one; P0 lasts three days at least.
    #[arg(long, default_value_t = 7_200)]
    pub(crate) demo_factor: u32,
    /// Size of the largest file sent, in bytes: D7's limit.
    #[arg(long, default_value_t = 50 * 1024 * 1024)]
    pub(crate) large_file_bytes: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_verb_has_two_arguments_of_one_name() {
        CommandLine::command().debug_assert();
    }
}
