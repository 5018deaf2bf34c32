//! What `softlaunch doctor` is told.

use clap::Args;

use super::store::TlsArguments;

const NOUNS: [&str; 5] = ["flag", "gate", "killswitch", "comms", "rollout"];

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Looks at this store directly as well: redis://HOST:PORT or embedded:DIRECTORY. Nothing is
    /// made where there is none.
    #[arg(long, value_name = "LOCATION", env = "SOFTLAUNCH_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    /// Asks this service only: as a container does that looks after itself. Can be given more than
    /// once.
    #[arg(long, value_name = "NOUN", value_parser = NOUNS, conflicts_with = "store_only")]
    pub(crate) only: Vec<String>,
    /// Looks at the store only, and asks no service.
    #[arg(long, requires = "store")]
    pub(crate) store_only: bool,
}
