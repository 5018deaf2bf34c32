//! Where a store is, and opening it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use vocab::{Invalid, Timestamp};

use crate::durability::{Durability, Promise};
use crate::embedded::{self, EmbeddedStore};
use crate::error::StoreError;
use crate::redis_store::{RedisAddress, RedisStore};
use crate::transfer::{self, Transfer};
use crate::{Counters, Journal, Leases, Quotas, Store};

/// Tells the time. The embedded store drops by it what is over; Redis has a clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where a store is. Prints without passwords.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory that this process has to itself.
    Embedded(PathBuf),
    /// A Redis deployment, 7.0 or later, or Valkey.
    Redis(RedisAddress),
}

/// What a store is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What acknowledged data must survive: Redis is asked to confirm every write where it would
    /// answer too soon for that. What it comes to says [`Promise::require`].
    pub durability: Durability,
    /// What TLS goes by, where the location is spoken to over TLS.
    pub tls: TlsFiles,
}

/// PEM files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authorities that are trusted, and no others; those of the system
    /// where there is none.
    pub authority: Option<PathBuf>,
    /// The certificate that this client shows; needs a key.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key.
    pub key: Option<PathBuf>,
}

/// Tells what a store promises, at the time it is asked.
#[async_trait]
pub(crate) trait Probe: Send + Sync + fmt::Debug {
    /// Asks.
    async fn probe(&self) -> Result<Promise, StoreError>;
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::PowerLoss, tls: TlsFiles::default() }
    }
}

impl Location {
    /// Reads `embedded:DIR` or the URL of Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]` for
    /// one server, `redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],.../NAME[/DB]` for the primary
    /// that sentinels know as NAME, `redis+cluster://[[USER]:PASSWORD@]HOST[:PORT],...` for a
    /// cluster; each with `rediss` for TLS. User and password are those of the servers; those of
    /// the sentinels are `?sentinel_user=USER&sentinel_password=PASSWORD` at the end.
    ///
    /// # Errors
    /// Says what is right, and never repeats a password.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix("embedded:") {
            Some("") => Err(Invalid::new(
                "no directory after `embedded:`: expected e.g. embedded:/var/lib/softlaunch",
            )),
            Some(dir) => Ok(Self::Embedded(dir.into())),
            None if text.starts_with("redis") => RedisAddress::parse(text).map(Self::Redis),
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
            Self::Redis(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[async_trait]
impl Probe for EmbeddedStore {
    async fn probe(&self) -> Result<Promise, StoreError> {
        Ok(Promise::embedded())
    }
}

impl Store {
    /// Opens the store at `location` with the default options; an embedded one is made where there
    /// is none.
    ///
    /// # Errors
    /// `InUse` where another process holds the directory, `Unavailable` where Redis does not
    /// answer, `Settings` where the location cannot be used at all.
    pub async fn open(location: &Location, clock: Clock) -> Result<Self, StoreError> {
        Self::open_with(location, clock, &Options::default()).await
    }

    /// Opens the store at `location` as [`open`](Self::open) does, for what `options` say.
    ///
    /// # Errors
    /// As `open`; `Settings` where TLS files cannot be used.
    pub async fn open_with(
        location: &Location,
        clock: Clock,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let store = open_unchecked(location, clock, options).await?;
        match store.transfer.unfinished_import().await? {
            Some(export) => Err(transfer::half_imported(location, &export)),
            None => Ok(store),
        }
    }

    /// Opens the store at `location` as [`open_with`](Self::open_with) does, but makes none.
    ///
    /// # Errors
    /// `Settings` where the directory holds no store, and as `open_with`.
    pub async fn open_existing(
        location: &Location,
        clock: Clock,
        options: &Options,
    ) -> Result<Self, StoreError> {
        if let Location::Embedded(dir) = location
            && !EmbeddedStore::is_in(dir)
        {
            return Err(StoreError::Settings(format!("there is no store in {}", dir.display())));
        }
        Self::open_with(location, clock, options).await
    }

    /// Asks again what the store promises now: the settings of a server may change under it.
    ///
    /// # Errors
    /// `Unavailable` where it does not answer, `Settings` where it is not what it was.
    pub async fn probe(&self) -> Result<Promise, StoreError> {
        self.probe.probe().await
    }

    fn of<S>(store: Arc<S>, promise: Promise) -> Self
    where
        S: Journal + Counters + Quotas + Leases + Probe + Transfer + 'static,
    {
        let opened = Self {
            journal: store.clone(),
            counters: store.clone(),
            quotas: store.clone(),
            leases: store.clone(),
            promise,
            probe: store.clone(),
            transfer: store,
        };
        #[cfg(feature = "seeded-bugs")]
        let opened = crate::seeded::infect(opened);
        opened
    }
}

/// Opens a store, even one that an import has half filled.
pub(crate) async fn open_unchecked(
    location: &Location,
    clock: Clock,
    options: &Options,
) -> Result<Store, StoreError> {
    match location {
        Location::Embedded(dir) => {
            let dir = dir.clone();
            let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(&dir, clock));
            let store = opening.await.map_err(embedded::ended_early)??;
            Ok(Store::of(Arc::new(store), Promise::embedded()))
        }
        Location::Redis(address) => {
            let (store, promise) = RedisStore::open(address, options).await?;
            Ok(Store::of(Arc::new(store), promise))
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
            ("redis+sentinel://:secret@h", "/mymaster"),
            ("redis://:secret@h:notaport", "redis://HOST:PORT"),
            ("/var/lib/secret", "embedded:DIR"),
        ] {
            let refusal = Location::parse(bad).unwrap_err().to_string();
            assert!(refusal.contains(right) && !refusal.contains("secret"), "{bad}: {refusal}");
        }
    }
}
