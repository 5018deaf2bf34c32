//! Five real servers that are guarded: TLS, certificates and tokens, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use credentials::{Credentials, Files};
use service_kit::access::{Access, Noun};
use service_kit::bootstrap::{Dependencies, ServiceSettings, listen};
use service_kit::clock::{Clock, real_now};
use service_kit::settings::{IdentitySettings, ServerSettings};
use service_kit::tls::SPIFFE;
use service_kit::tokens::{TokenEntry, TokenFile, mint};
use service_kit::{settings, shutdown};
use store::{Location, Store};
use tempfile::TempDir;
use test_kit::Certificates;
use tokio::net::TcpListener;

/// Settings of the guarded services that tests change.
#[derive(Debug, Clone, Copy)]
pub struct Guards {
    /// Whether methods may be asked for.
    pub reflection: bool,
    /// Calls at a time.
    pub calls_max: usize,
    /// How often each person and worker may call.
    pub calls_per_second: u32,
}

impl Default for Guards {
    fn default() -> Self {
        Self { reflection: true, calls_max: 1_000, calls_per_second: 0 }
    }
}

/// All five services, guarded. They end with it.
#[derive(Debug)]
pub struct Guarded {
    /// The store they share.
    pub store: Store,
    /// Their authority, and everybody's certificate as `NOUN.pem` and `NOUN.key`.
    pub certificates: Certificates,
    /// Where each serves.
    pub addresses: BTreeMap<Noun, SocketAddr>,
    dir: TempDir,
    _trigger: shutdown::Trigger,
}

fn defaults<S: ServiceSettings>() -> S {
    settings::defaults(S::DEFAULTS).expect("the documented defaults are valid")
}

/// A token for `subject`, valid from now on.
#[must_use]
pub fn entry(subject: &str, access: &[Access], holding: &[&str]) -> TokenEntry {
    TokenEntry {
        id: String::new(),
        sha256: String::new(),
        subject: subject.to_owned(),
        access: access.to_vec(),
        holding: holding.iter().map(|role| (*role).to_owned()).collect(),
        not_before: None,
        expires: None,
        note: String::new(),
    }
}

impl Guarded {
    /// Starts them, with nobody let in but services.
    ///
    /// # Panics
    /// Where a port or a directory cannot be had.
    pub async fn start(guards: Guards) -> Self {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let certificates = Certificates::new();
        for noun in Noun::ALL {
            let uri = format!("{SPIFFE}{noun}");
            certificates.make(noun.as_str(), &["localhost", "127.0.0.1"], &[&uri]);
        }
        let location = Location::Embedded(dir.path().join("store"));
        let store = Store::open(&location, Arc::new(real_now)).await.expect("the store opens");
        let (trigger, end) = shutdown::channel();
        let addresses = BTreeMap::new();
        let mut house = Self { store, certificates, addresses, dir, _trigger: trigger };
        house.write_tokens(&TokenFile::default());
        let mut listeners = Vec::new();
        for noun in Noun::ALL {
            let (server, identity) = (house.server(noun, guards), house.identity(guards));
            let listener = listen(&server, &identity).await.expect("a port is free");
            house.addresses.insert(noun, listener.local_addr().expect("it is somewhere"));
            listeners.push((noun, listener, server, identity));
        }
        for (noun, listener, server, identity) in listeners {
            house.serve(noun, listener, (server, identity), end.clone());
        }
        house
    }

    /// Where tokens are kept.
    #[must_use]
    pub fn tokens_file(&self) -> PathBuf {
        self.dir.path().join("tokens.toml")
    }

    /// The tokens there are.
    ///
    /// # Panics
    /// Where the file is malformed.
    #[must_use]
    pub fn read_tokens(&self) -> TokenFile {
        let text = std::fs::read_to_string(self.tokens_file()).expect("there is a token file");
        TokenFile::parse(&text).expect("it was written here")
    }

    /// Puts these tokens in the place of all others. Services notice within a second or two.
    ///
    /// # Panics
    /// Where the directory is not writable.
    pub fn write_tokens(&self, file: &TokenFile) {
        let text = toml::to_string(file).expect("tokens can be written down");
        let beside = self.dir.path().join("tokens.toml.new");
        std::fs::write(&beside, text).expect("the directory is writable");
        std::fs::rename(beside, self.tokens_file()).expect("the directory is writable");
    }

    /// Adds a token, and returns the secret.
    ///
    /// # Panics
    /// Where there is no randomness.
    pub fn add(&self, entry: TokenEntry) -> String {
        let minted = mint().expect("there is randomness");
        let mut file = self.read_tokens();
        file.token.push(TokenEntry { id: minted.id, sha256: minted.sha256, ..entry });
        self.write_tokens(&file);
        minted.secret
    }

    /// What a caller holds: the authority, a certificate by its file, and a token.
    ///
    /// # Panics
    /// Where there is no such certificate.
    #[must_use]
    pub fn credentials(&self, certificate: Option<&str>, token: Option<&str>) -> Credentials {
        let file = |name: &str, ending: &str| self.certificates.file(&format!("{name}.{ending}"));
        let token_file = token.map(|token| {
            let path = tempfile::NamedTempFile::new_in(self.dir.path());
            let path = path.expect("the directory is writable").into_temp_path();
            std::fs::write(&path, token).expect("the directory is writable");
            path
        });
        let files = Files {
            authority: Some(self.certificates.file("ca.pem")),
            certificate: certificate.map(|name| file(name, "pem")),
            key: certificate.map(|name| file(name, "key")),
            token: token_file.as_ref().map(|path| path.to_path_buf()),
        };
        Credentials::read(&files).expect("the files were made here")
    }

    /// The address of a service.
    #[must_use]
    pub fn address(&self, noun: Noun) -> String {
        format!("https://{}", self.addresses[&noun])
    }

    fn server(&self, noun: Noun, guards: Guards) -> ServerSettings {
        let [authority, certificate, key] = self.files(noun);
        ServerSettings {
            listen_address: ([127, 0, 0, 1], 0).into(),
            tls_cert_file: certificate,
            tls_key_file: key,
            tls_client_ca_file: authority,
            reflection: guards.reflection,
            connections_max: 1_000,
            connections_per_address_max: 0,
            calls_max: guards.calls_max,
        }
    }

    fn identity(&self, guards: Guards) -> IdentitySettings {
        IdentitySettings {
            tokens_file: self.tokens_file().display().to_string(),
            calls_per_second: guards.calls_per_second,
        }
    }

    fn files(&self, noun: Noun) -> [String; 3] {
        ["ca.pem".to_owned(), format!("{noun}.pem"), format!("{noun}.key")]
            .map(|file| self.certificates.file(&file).display().to_string())
    }

    fn serve(
        &self,
        noun: Noun,
        listener: TcpListener,
        guard: (ServerSettings, IdentitySettings),
        end: shutdown::Shutdown,
    ) {
        let on = Dependencies { store: self.store.clone(), clock: Clock::system() };
        let address = |noun: Noun| self.address(noun);
        macro_rules! run {
            ($service:ident, to $($peer:ident: $of:ident),*) => {{
                let mut settings: $service::Settings = defaults();
                (settings.server, settings.identity) = guard;
                $(settings.peers.$peer = address(Noun::$of);)*
                let peers = &mut settings.peers;
                [peers.tls_ca_file, peers.tls_cert_file, peers.tls_key_file] = self.files(noun);
                tokio::spawn($service::serve(settings, on, listener, end))
            }};
        }
        let serving = match noun {
            Noun::Flag => run!(flag_service, to killswitch: Killswitch),
            Noun::Gate => run!(gate_service, to killswitch: Killswitch, comms: Comms),
            Noun::Comms => {
                run!(comms_service, to rollout: Rollout, killswitch: Killswitch, flag: Flag, gate: Gate)
            }
            Noun::Rollout => {
                run!(rollout_service, to flag: Flag, gate: Gate, killswitch: Killswitch)
            }
            Noun::Killswitch => {
                let mut settings: killswitch_service::Settings = defaults();
                (settings.server, settings.identity) = guard;
                tokio::spawn(killswitch_service::serve(settings, on, listener, end))
            }
        };
        tokio::spawn(async move {
            let served = serving.await.expect("a service does not panic");
            served.unwrap_or_else(|error| panic!("the {noun} service ended badly: {error}"));
        });
    }
}
