//! A network between a client and a server, that fails on demand.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

const CHUNK: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Everything arrives, after this long.
    Fair(Duration),
    /// Nothing arrives and nobody is told.
    BlackHole,
    /// What goes this way does not arrive and nobody is told; the other way is fair.
    OneWay(Way),
    /// Every connection is closed, and so is every new one.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl Weather {
    fn lets_through(self, way: Way) -> bool {
        match self {
            Self::Fair(_) => true,
            Self::BlackHole | Self::Cut => false,
            Self::OneWay(swallowed) => swallowed != way,
        }
    }
}

/// Forwards TCP connections to a port of 127.0.0.1. Gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    weather: watch::Sender<Weather>,
    forwarded: Arc<AtomicU64>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Listens on a port of its own.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let weather = watch::Sender::new(Weather::Fair(Duration::ZERO));
        let forwarded = Arc::new(AtomicU64::new(0));
        let target = Arc::new(AtomicU16::new(target));
        let accepting =
            accept(listener, Arc::clone(&target), weather.subscribe(), Arc::clone(&forwarded));
        let accepting = tokio::spawn(accepting).abort_handle();
        Self { port, target, weather, forwarded, accepting }
    }

    /// Forwards new connections to another port: of a server that has only now been started, say.
    pub fn turn_to(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes have arrived on the other side, in both directions.
    #[must_use]
    pub fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Delays every chunk of bytes by so much, in each direction.
    pub fn delay(&self, by: Duration) {
        self.weather.send_replace(Weather::Fair(by));
    }

    /// Swallows everything from now on, and says nothing.
    pub fn black_hole(&self) {
        self.weather.send_replace(Weather::BlackHole);
    }

    /// Swallows what clients send from now on, and says nothing; answers arrive.
    pub fn swallow_requests(&self) {
        self.weather.send_replace(Weather::OneWay(Way::ToServer));
    }

    /// Swallows what the server sends from now on, and says nothing; requests arrive.
    pub fn swallow_answers(&self) {
        self.weather.send_replace(Weather::OneWay(Way::ToClient));
    }

    /// Closes every connection, and every new one at once.
    pub fn cut(&self) {
        self.weather.send_replace(Weather::Cut);
    }

    /// Is a good network again. What was swallowed while it was not arrives now, late.
    pub fn heal(&self) {
        self.weather.send_replace(Weather::Fair(Duration::ZERO));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<AtomicU16>,
    weather: watch::Receiver<Weather>,
    forwarded: Arc<AtomicU64>,
) {
    while let Ok((client, _address)) = listener.accept().await {
        if *weather.borrow() == Weather::Cut {
            continue;
        }
        let target = target.load(Ordering::Relaxed);
        let (weather, forwarded) = (weather.clone(), Arc::clone(&forwarded));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
                return;
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let mut ending = weather.clone();
            tokio::select! {
                () = forward(Way::ToServer, from_client, to_server, weather.clone(), &forwarded) => {}
                () = forward(Way::ToClient, from_server, to_client, weather, &forwarded) => {}
                _cut = ending.wait_for(|weather| *weather == Weather::Cut) => {}
            }
        });
    }
}

async fn forward(
    way: Way,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    forwarded: &AtomicU64,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length) = from.read(&mut chunk).await
        && length > 0
    {
        let passes = |weather: &Weather| weather.lets_through(way);
        let Ok(now) = weather.wait_for(passes).await.map(|now| *now) else { return };
        if let Weather::Fair(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
        forwarded.fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RedisServer;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_proxy_forwards_until_it_is_cut_and_again_once_it_heals() {
        let server = RedisServer::start().await;
        let proxy = Proxy::start(server.port()).await;
        let ping = async || {
            let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await?;
            connection.write_all(b"PING\r\nQUIT\r\n").await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        assert_eq!(ping().await.unwrap(), "+PONG\r\n+OK\r\n");
        assert!(proxy.forwarded() > 0);
        proxy.cut();
        assert!(!ping().await.is_ok_and(|answer| answer.contains("PONG")));
        proxy.heal();
        assert_eq!(ping().await.unwrap(), "+PONG\r\n+OK\r\n");
    }
}
