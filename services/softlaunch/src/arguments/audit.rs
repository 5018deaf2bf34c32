//! What `softlaunch audit` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::store::StoreAt;

/// The journals, one for each service.
pub(crate) const STREAMS: [&str; 5] = ["comms", "flag", "gate", "killswitch", "rollout"];

#[derive(Debug, Args)]
pub(crate) struct Journals {
    #[command(flatten)]
    pub(crate) at: StoreAt,
    /// Only this journal.
    #[arg(long, value_name = "NAME", value_parser = STREAMS)]
    pub(crate) stream: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Shows who did what, when and why.
    Log {
        #[command(flatten)]
        journals: Journals,
        /// How many of the newest records of each journal.
        #[arg(long, value_name = "COUNT", default_value_t = 200)]
        last: u64,
    },
    /// Recomputes every hash and checks that no record is missing in between. A journal that was
    /// cut at its end, or written anew as a whole, can only be told by a head hash noted before.
    Verify {
        #[command(flatten)]
        journals: Journals,
        /// Verifies a file that `audit export` wrote; no store is read.
        #[arg(long, value_name = "FILE", conflicts_with = "stream")]
        file: Option<PathBuf>,
    },
    /// Prints everything as JSON lines, with payloads and hashes, for `audit verify --file`.
    Export {
        #[command(flatten)]
        journals: Journals,
    },
}
