//! Communications on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RolloutId;

#[derive(Debug, Subcommand)]
pub(crate) enum CommsVerb {
    /// Lists messages, newest first, with what became of them.
    List,
    /// Shows one message: its text and every attempt.
    Show {
        /// The message, as `comms list` names it.
        message: String,
    },
    /// Shows what the plan wants told, and who has not been told and why.
    Status {
        #[command(flatten)]
        id: RolloutId,
    },
    /// Tries a dead message again, or all that fit.
    Redrive(RedriveArguments),
    /// Shows what would be sent for an event, without sending it.
    Preview {
        /// What the plan calls it, e.g. `ga-announcement`.
        event: String,
        /// Only in this channel.
        #[arg(long, default_value = "")]
        channel: String,
        /// Goes by this plan file; by the rollout's plan where absent.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
    },
    /// Sends a message that is marked as a test, and says what the server said.
    TestChannel {
        /// The channel, as the plan calls it.
        channel: String,
        /// The mail address, for channels of mail.
        #[arg(long, default_value = "")]
        to: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
    },
    /// Tells what the plan has for an event because you ask.
    Send {
        /// What the plan calls it, e.g. `canary-invitation`.
        event: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
    },
    /// Says that you know that a review is due: nobody else is told.
    Acknowledge {
        #[command(flatten)]
        id: RolloutId,
        /// What you looked at.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArguments {
    /// The message, as `comms list` names it; all that fit where absent.
    #[arg(conflicts_with_all = ["rollout", "channel", "event", "unknown", "dry_run"])]
    pub(crate) message: Option<String>,
    /// Only messages about this rollout.
    #[arg(long)]
    pub(crate) rollout: Option<String>,
    /// Only messages to this channel.
    #[arg(long, default_value = "")]
    pub(crate) channel: String,
    /// Only messages of this event.
    #[arg(long, default_value = "")]
    pub(crate) event: String,
    /// Those of which nobody knows whether they were sent, instead of dead ones.
    #[arg(long)]
    pub(crate) unknown: bool,
    /// Only counts them.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why.
    #[arg(long)]
    pub(crate) reason: String,
}
