//! Certificates of an authority of the test's own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

/// PEM files: an authority, a server certificate for `localhost` and `127.0.0.1`, a client
/// certificate, and what tests have made besides. Gone when dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    /// Where the temporary directory is not writable.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let authority_key = key();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let authority = params.self_signed(&authority_key).expect("the parameters are right");
        write(dir.path(), "ca.pem", &authority.pem());
        let authority = Issuer::new(params, authority_key);
        let certificates = Self { dir, authority };
        certificates.make("server", &["localhost", "127.0.0.1"], &[]);
        certificates.make("client", &[], &[]);
        certificates
    }

    /// Makes `FILE.pem` and `FILE.key`, for these names and addresses, and with these URIs as the
    /// identity of whoever shows it.
    ///
    /// # Panics
    /// Where a name or a URI is malformed.
    pub fn make(&self, file: &str, names: &[&str], uris: &[&str]) {
        let own_key = key();
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("the names are right");
        params.distinguished_name.push(DnType::CommonName, file);
        for uri in uris {
            let uri = (*uri).try_into().expect("a URI is ASCII");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let own = params.signed_by(&own_key, &self.authority).expect("the parameters are right");
        let dir = self.dir.path();
        write(dir, &format!("{file}.pem"), &own.pem());
        write(dir, &format!("{file}.key"), &own_key.serialize_pem());
        keep_private(&dir.join(format!("{file}.key")));
    }

    /// One of `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, or a file of one
    /// that was [made](Self::make).
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).expect("the temporary directory is writable");
}

fn keep_private(path: &Path) {
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("the file is ours");
}
