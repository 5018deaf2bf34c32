//! What `softlaunch tokens` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const ROLES: [&str; 5] = ["worker", "viewer", "operator", "approver", "admin"];

#[derive(Debug, Clone, Args)]
pub(crate) struct TokenAt {
    /// The token file that services read: their setting identity.tokens_file.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensVerb {
    /// Adds a token and shows it, once. --holding gives its holder roles in plans.
    Add {
        #[command(flatten)]
        at: TokenAt,
        /// Whose it is. All tokens of one person have the same name.
        #[arg(long, value_name = "NAME")]
        subject: String,
        /// What it is good for. Can be given more than once.
        #[arg(long, required = true, value_delimiter = ',', value_parser = ROLES)]
        role: Vec<String>,
        /// When it ends, e.g. 90d or 12h; or never.
        #[arg(long, value_name = "DURATION", default_value = "90d")]
        expires_in: String,
        /// Writes the token to this new file, which only you can read, instead of showing it.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// What it is for.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Shows the tokens, none of them so that it could be used.
    List {
        #[command(flatten)]
        at: TokenAt,
    },
    /// Takes tokens out of the file: services refuse them within a second or two.
    Revoke {
        #[command(flatten)]
        at: TokenAt,
        /// This token, as `tokens list` shows it.
        #[arg(long, required_unless_present = "subject", conflicts_with = "subject")]
        id: Option<String>,
        /// All tokens of this person or worker.
        #[arg(long, value_name = "NAME")]
        subject: Option<String>,
    },
}
