//! What `softlaunch certs` is told.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CertsArguments {
    /// Where the files are written; made where it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Another name or address that every service is reached by, besides localhost and its own, e.g.
    /// softlaunch.example.com. Can be given more than once.
    #[arg(long = "name", value_name = "NAME", value_delimiter = ',')]
    pub(crate) names: Vec<String>,
    /// How long the services' certificates are good for, in days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    pub(crate) days: u16,
}
