//! Where a store is, and opening it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use vocab::{Invalid, Timestamp};

use crate::durability::Promise;
use crate::embedded::EmbeddedStore;
use crate::error::StoreError;
use crate::redis_store::RedisStore;
use crate::{Counters, Journal, Leases, Quotas, Store};

/// Tells the time. The embedded store drops by it what is over; Redis has a clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where a store is. Prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory that this process has to itself.
    Embedded(PathBuf),
    /// The URL of a Redis server, 7.0 or later.
    Redis(String),
}

impl Location {
    /// Reads `embedded:DIR` or `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`.
    ///
    /// # Errors
    /// Says what is right, and never repeats a password.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Some(dir) = text.strip_prefix("embedded:") {
            if dir.is_empty() {
                return Err(Invalid::new(
                    "no directory after `embedded:`: expected e.g. embedded:/var/lib/softlaunch",
                ));
            }
            return Ok(Self::Embedded(dir.into()));
        }
        if text.starts_with("rediss://") {
            return Err(Invalid::new(
                "Redis over TLS is not built in: expected redis:// and, where the network is not \
                 trusted, a tunnel",
            ));
        }
        match text.starts_with("redis://").then(|| text.into_connection_info()) {
            Some(Ok(_)) => Ok(Self::Redis(text.to_owned())),
            Some(Err(_)) => Err(Invalid::new(
                "not a Redis URL: expected redis://HOST:PORT or redis://USER:PASSWORD@HOST:PORT/DB",
            )), // The library's own words could repeat the URL, and with it the password.
            None => Err(Invalid::new(
                "not a store: expected embedded:DIR for one process or redis://HOST:PORT for any \
                 number of replicas",
            )),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(dir) => write!(f, "embedded:{}", dir.display()),
            Self::Redis(url) => match url.as_str().into_connection_info() {
                Ok(info) => write!(f, "redis://{}/{}", address(&info), info.redis_settings().db()),
                Err(_) => f.write_str("redis://?"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

fn address(info: &ConnectionInfo) -> String {
    if let ConnectionAddr::Tcp(host, port) = info.addr() {
        return format!("{host}:{port}");
    }
    "?".to_owned()
}

impl Store {
    /// Opens the store at `location`; an embedded one is made where there is none.
    ///
    /// # Errors
    /// `InUse` where another process holds the directory, `Unavailable` where Redis does not
    /// answer, `Settings` where the location cannot be used at all.
    pub async fn open(location: &Location, clock: Clock) -> Result<Self, StoreError> {
        match location {
            Location::Embedded(dir) => {
                let dir = dir.clone();
                let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir, clock));
                let store = opening.await.map_err(|error| {
                    StoreError::Unavailable(format!("opening the store ended early: {error}"))
                })??;
                Ok(Self::of(Arc::new(store), Promise::embedded()))
            }
            Location::Redis(url) => {
                let (store, promise) = RedisStore::open(url).await?;
                Ok(Self::of(Arc::new(store), promise))
            }
        }
    }

    /// Opens the store at `location` as [`open`](Self::open) does, but makes none.
    ///
    /// # Errors
    /// `Settings` where the directory holds no store, and as `open`.
    pub async fn open_existing(location: &Location, clock: Clock) -> Result<Self, StoreError> {
        if let Location::Embedded(dir) = location
            && !EmbeddedStore::is_in(dir)
        {
            return Err(StoreError::Settings(format!("there is no store in {}", dir.display())));
        }
        Self::open(location, clock).await
    }

    fn of<S>(store: Arc<S>, promise: Promise) -> Self
    where
        S: Journal + Counters + Quotas + Leases + 'static,
    {
        Self {
            journal: store.clone(),
            counters: store.clone(),
            quotas: store.clone(),
            leases: store,
            promise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_and_printed_without_its_password() {
        let embedded = Location::parse("embedded:/var/lib/x").unwrap();
        assert_eq!(embedded, Location::Embedded("/var/lib/x".into()));
        let redis = Location::parse("redis://ada:secret@db.example:6380/2").unwrap();
        assert_eq!(redis.to_string(), "redis://db.example:6380/2");
        assert!(!format!("{redis:?}").contains("secret"));
    }

    #[test]
    fn a_wrong_location_is_refused_with_what_is_right_and_without_its_password() {
        for (bad, right) in [
            ("", "embedded:DIR"),
            ("embedded:", "embedded:/var/lib/softlaunch"),
            ("rediss://:secret@h", "redis://"),
            ("redis://:secret@h:notaport", "redis://HOST:PORT"),
            ("/var/lib/secret", "embedded:DIR"),
        ] {
            let refusal = Location::parse(bad).unwrap_err().to_string();
            assert!(refusal.contains(right) && !refusal.contains("secret"), "{bad}: {refusal}");
        }
    }
}
