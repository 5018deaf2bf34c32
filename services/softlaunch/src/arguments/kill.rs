//! What `softlaunch kill` is told.

use clap::{Args, Subcommand};

use super::store::StoreAt;

#[derive(Debug, Clone, Args)]
pub(crate) struct KillScope {
    /// Everything, of every pipeline.
    #[arg(long, conflicts_with_all = ["phase", "workspaces"])]
    pub(crate) global: bool,
    /// The pipeline.
    #[arg(long, default_value = "ingestion_v2")]
    pub(crate) pipeline: String,
    /// Only the cohort of this phase.
    #[arg(long, conflicts_with = "workspaces")]
    pub(crate) phase: Option<String>,
    /// Only these workspaces, as a glob.
    #[arg(long, value_name = "GLOB")]
    pub(crate) workspaces: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KillVerb {
    /// Stops a scope at once: one call, one person.
    Engage {
        #[command(flatten)]
        scope: KillScope,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Breaks the glass: writes straight to the store, while no service answers. Services that
        /// follow the store take it over at once, others when they are started.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        at: StoreAt,
    },
    /// Lets a scope go on. Must name the epoch that `kill status` shows; where the plan wants a
    /// second person, another one calls the same again.
    Release {
        #[command(flatten)]
        scope: KillScope,
        /// The epoch you saw.
        #[arg(long)]
        epoch: i64,
        /// Why it is safe: the resume criterion.
        #[arg(long)]
        reason: String,
        /// The evidence that it is met: an http or https address.
        #[arg(long, value_name = "URL")]
        evidence: String,
    },
    /// Shows every switch and which workers have applied what.
    Status {
        /// Goes on until every worker has applied the newest epoch, or is proven to have stopped.
        #[arg(long)]
        watch: bool,
    },
    /// Runs a drill on a scope that stops nobody.
    Drill {
        /// The pipeline.
        #[arg(long, default_value = "ingestion_v2")]
        pipeline: String,
        /// Why.
        #[arg(long, default_value = "drill")]
        reason: String,
    },
}
