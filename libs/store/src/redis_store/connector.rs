//! Opening connections to the servers of a deployment.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsCertificates,
};

use crate::error::StoreError;
use crate::open::TlsFiles;

use super::address::{Host, Login, RedisAddress};

const USER_TIMEOUT: Duration = Duration::from_secs(5); // A peer gone without a word is given up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Opens connections to any server of one deployment.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    is_tls: bool,
    certificates: Option<TlsCertificates>,
    login: Login,
    db: i64,
}

impl Connector {
    /// For the servers that keep data.
    pub(super) fn of(address: &RedisAddress, tls: &TlsFiles) -> Result<Self, StoreError> {
        let certificates = if address.is_tls {
            // Best effort because another part of the process may have installed the same one.
            rustls::crypto::ring::default_provider().install_default().ok();
            certificates(tls)?
        } else if *tls == TlsFiles::default() {
            None
        } else {
            return Err(StoreError::Settings(format!(
                "TLS files are named and {address} does not speak TLS: expected rediss"
            )));
        };
        let login = address.login.clone();
        let connector = Self { is_tls: address.is_tls, certificates, login, db: address.db };
        let tried = address.hosts.first().map(|host| connector.client(host));
        if let Some(Err(error)) = tried {
            return Err(StoreError::Settings(format!("the TLS files cannot be used: {error}")));
        }
        Ok(connector)
    }

    /// For the sentinels of the same deployment.
    pub(super) fn for_sentinels(&self, address: &RedisAddress) -> Self {
        Self { login: address.sentinel_login.clone(), db: 0, ..self.clone() }
    }

    /// Connects to `host` and logs in, within `patience`; commands over the connection are
    /// answered within `answer` or fail.
    pub(super) async fn connect(
        &self,
        host: &Host,
        patience: Duration,
        answer: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(answer));
        self.client(host)?.get_multiplexed_async_connection_with_config(&config).await
    }

    fn client(&self, host: &Host) -> Result<Client, RedisError> {
        let (name, port) = (host.name.clone(), host.port);
        let address = if self.is_tls {
            ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(name, port)
        };
        let keepalive =
            TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(USER_TIMEOUT)
            .set_keepalive(keepalive);
        let mut session = RedisConnectionInfo::default().set_db(self.db);
        if let Some(user) = &self.login.user {
            session = session.set_username(user);
        }
        if let Some(password) = &self.login.password {
            session = session.set_password(password);
        }
        let info =
            address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(session);
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

fn certificates(tls: &TlsFiles) -> Result<Option<TlsCertificates>, StoreError> {
    let client_tls = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(StoreError::Settings(
                "a client certificate needs a key, and a key a certificate: expected both files \
                 or none"
                    .to_owned(),
            ));
        }
    };
    let root_cert = tls.authority.as_deref().map(read).transpose()?;
    if client_tls.is_none() && root_cert.is_none() {
        return Ok(None);
    }
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}

fn read(file: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(file).map_err(|error| {
        StoreError::Settings(format!("cannot read the TLS file {}: {error}", file.display()))
    })
}
