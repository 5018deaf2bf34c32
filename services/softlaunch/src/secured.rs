//! A directory that guards services: what `softlaunch certs` made, and a token file.

use std::path::{Path, PathBuf};

use service_kit::access::Noun;
use service_kit::settings::{IdentitySettings, ServerSettings};

use crate::failure::Failure;
use crate::verbs::certs::AUTHORITY;

const TOKENS: &str = "tokens.toml";

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    directory: PathBuf,
}

impl Secured {
    /// The directory, if what services need is in it.
    pub(crate) fn find(directory: &Path) -> Result<Self, Failure> {
        let shown = directory.display();
        let lacks = |file: &str| !directory.join(file).is_file();
        if lacks(AUTHORITY) {
            let why = format!("{shown} has no {AUTHORITY}: make one with `softlaunch certs`");
            return Err(Failure::usage(why));
        }
        if lacks(TOKENS) {
            let why = format!("{shown} has no {TOKENS}: make one with `softlaunch tokens add`");
            return Err(Failure::usage(why));
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// Where the authority's certificate is.
    pub(crate) fn authority(&self) -> String {
        self.path(AUTHORITY)
    }

    /// Authority, certificate and key of a service.
    pub(crate) fn files(&self, noun: Noun) -> [String; 3] {
        [self.authority(), self.path(&format!("{noun}.pem")), self.path(&format!("{noun}.key"))]
    }

    /// Has a service let in by certificates and tokens only.
    pub(crate) fn guard(
        &self,
        noun: Noun,
        server: &mut ServerSettings,
        identity: &mut IdentitySettings,
    ) {
        [server.tls_client_ca_file, server.tls_cert_file, server.tls_key_file] = self.files(noun);
        identity.tokens_file = self.path(TOKENS);
    }

    fn path(&self, file: &str) -> String {
        self.directory.join(file).display().to_string()
    }
}
