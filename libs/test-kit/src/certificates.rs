//! Certificates of an authority of the test's own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// PEM files: an authority, a server certificate for `localhost` and `127.0.0.1`, and a client
/// certificate. Gone when dropped.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
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
        let issuer = Issuer::from_params(&params, &authority_key);
        for (file, names) in
            [("server", vec!["localhost".to_owned(), "127.0.0.1".to_owned()]), ("client", vec![])]
        {
            let own_key = key();
            let mut params = CertificateParams::new(names).expect("the names are right");
            params.distinguished_name.push(DnType::CommonName, file);
            let own = params.signed_by(&own_key, &issuer).expect("the parameters are right");
            write(dir.path(), &format!("{file}.pem"), &own.pem());
            write(dir.path(), &format!("{file}.key"), &own_key.serialize_pem());
            keep_private(&dir.path().join(format!("{file}.key")));
        }
        Self { dir }
    }

    /// One of `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
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
