//! What `softlaunch doctor` is told.

use clap::Args;

use super::store::TlsArguments;

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Looks at this store directly as well: redis://HOST:PORT or embedded:DIRECTORY. Nothing is
    /// made where there is none.
    #[arg(long, value_name = "LOCATION", env = "SOFTLAUNCH_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    /// Looks at the store only, and asks no service.
    #[arg(long, requires = "store")]
    pub(crate) store_only: bool,
}
