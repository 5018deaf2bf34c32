//! Sockets on their way in: a bound on how many, a handshake that must end, and who is at the
//! other end.

mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpIncoming};

use places::{Place, Places};

use crate::access::Noun;
use crate::sparing::Sparing;
use crate::tls::{ServerTls, service_of};

const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// What a handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50); // After a failure to accept: no spinning.
const WAITING_MAX: usize = 64; // Ready, and not yet taken by the server.

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) shown: Shown,
}

/// What the other end has shown of itself, verified.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    Nothing,
    Service(Noun),
    /// A certificate of our authority that is of no service of ours.
    Stranger(Arc<str>),
}

/// A connection that a server may talk on. Frees its place when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    _place: Place,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// How many connections there may be: in all, and from one address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max: usize,
    /// 0 for no bound.
    pub(crate) per_address_max: usize,
}

/// Takes sockets for as long as the returned stream lives; those beyond the bounds are closed at
/// once.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<ServerTls>,
    bounds: Bounds,
) -> ReceiverStream<io::Result<Connection>> {
    // What a server is told of sockets holds only for those that it binds itself.
    let sockets =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    let (tx, rx) = mpsc::channel(WAITING_MAX);
    let places = Places::new(bounds.max, bounds.per_address_max);
    tokio::spawn(run(sockets, tls, places, tx));
    ReceiverStream::new(rx)
}

async fn run(
    mut sockets: TcpIncoming,
    tls: Option<ServerTls>,
    places: Places,
    tx: mpsc::Sender<io::Result<Connection>>,
) {
    let lines = Arc::new(Sparing::new());
    loop {
        let socket = tokio::select! {
            socket = sockets.next() => socket,
            () = tx.closed() => return,
        };
        let socket = match socket {
            Some(Ok(socket)) => socket,
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            None => return,
        };
        let address = socket.peer_addr().ok();
        let Some(place) = places.take(address.map(|address| address.ip())) else {
            if lines.may_say() {
                tracing::warn!(target: "audit", ?address, "too many connections: closed");
            }
            continue;
        };
        let Some(tls) = &tls else {
            let peer = Peer { address, shown: Shown::Nothing };
            let connection = Connection { stream: Stream::Plain(socket), peer, _place: place };
            if tx.send(Ok(connection)).await.is_err() {
                return;
            }
            continue;
        };
        let (acceptor, tx, lines) = (tls.acceptor(), tx.clone(), Arc::clone(&lines));
        tokio::spawn(async move {
            let why = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer { address, shown: shown(&stream) };
                    let stream = Stream::Tls(Box::new(stream));
                    // Nobody takes it where the server has ended meanwhile.
                    tx.send(Ok(Connection { stream, peer, _place: place })).await.ok();
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "it took too long".to_owned(),
            };
            if lines.may_say() {
                tracing::warn!(target: "audit", ?address, why, "handshake refused");
            }
        });
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> Shown {
    let (_, session) = stream.get_ref();
    match session.peer_certificates().and_then(<[_]>::first) {
        None => Shown::Nothing,
        Some(leaf) => match service_of(leaf) {
            Ok(noun) => Shown::Service(noun),
            Err(why) => Shown::Stranger(why.into()),
        },
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
