//! What `softlaunch store` is told, and how any verb is told of a store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use store::{Options, TlsFiles};

/// A store that is read or written without any service.
#[derive(Debug, Args)]
pub(crate) struct StoreAt {
    /// Where the store is: redis://HOST:PORT (also rediss://, redis+sentinel://,
    /// redis+cluster://), or embedded:DIRECTORY once the process that holds the directory is
    /// stopped.
    #[arg(
        long,
        value_name = "LOCATION",
        env = "SOFTLAUNCH_STORE",
        hide_env_values = true,
        default_value = "embedded:softlaunch-data"
    )]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

/// What TLS to a Redis store goes by.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsArguments {
    /// Certificates of the authorities to trust for rediss://, PEM; those of the system otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// The certificate to show to a store that asks for one, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub(crate) tls_key_file: Option<PathBuf>,
}

impl TlsArguments {
    /// What a store is opened with.
    pub(crate) fn options(&self) -> Options {
        let tls = TlsFiles {
            authority: self.tls_ca_file.clone(),
            certificate: self.tls_cert_file.clone(),
            key: self.tls_key_file.clone(),
        };
        Options { tls, ..Options::default() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Writes everything a store keeps to a file of JSON lines, every hash checked on the way. On
    /// Redis, stop the services first.
    Export {
        #[command(flatten)]
        at: StoreAt,
        /// The file; it must not exist.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Puts an export into an empty store: checks the whole file first, then the whole store. One
    /// that was broken off goes on when it is run again.
    Import {
        #[command(flatten)]
        at: StoreAt,
        /// The file that `store export` wrote.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
