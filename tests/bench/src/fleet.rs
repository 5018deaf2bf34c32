//! Many watchers over a few connections, each of which says when it holds what.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::watch_kill_switches_request::{Acknowledgement, Hello, Message};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::Error;
use crate::operator::PIPELINE;

const STREAMS_PER_CONNECTION: usize = 800; // A server takes 1,024.
const PATIENCE: Duration = Duration::from_secs(30);

/// An epoch that a watcher holds from an instant on, and the size of what said so.
type Held = (i64, Instant, usize);

/// The watchers. They end with it.
#[derive(Debug)]
pub(crate) struct Fleet {
    watchers: usize,
    held: mpsc::UnboundedReceiver<Held>,
    _tasks: JoinSet<()>,
}

impl Fleet {
    /// Connects so many watchers.
    pub(crate) async fn connect(address: &str, watchers: usize) -> Result<Self, Error> {
        let (tx, held) = mpsc::unbounded_channel();
        let (mut tasks, mut opening) = (JoinSet::new(), JoinSet::new());
        for first in (0..watchers).step_by(STREAMS_PER_CONNECTION) {
            let channel = Endpoint::from_shared(address.to_owned())?.connect().await?;
            let last = (first + STREAMS_PER_CONNECTION).min(watchers);
            opening.spawn(open(channel, first..last, tx.clone()));
        }
        while let Some(opened) = opening.join_next().await {
            for watching in opened?? {
                tasks.spawn(watching);
            }
        }
        Ok(Self { watchers, held, _tasks: tasks })
    }

    /// Waits until every watcher holds `epoch`; returns when each did, and the size in bytes of
    /// what it was sent.
    pub(crate) async fn hold(&mut self, epoch: i64) -> Result<(Vec<Instant>, usize), Error> {
        let mut instants = Vec::with_capacity(self.watchers);
        let mut size = 0;
        let all = async {
            while instants.len() < self.watchers {
                let (held, at, bytes) = self.held.recv().await.ok_or("every watcher has gone")?;
                if held == epoch {
                    instants.push(at);
                    size = bytes;
                }
            }
            Ok::<_, Error>(())
        };
        let waited = tokio::time::timeout(PATIENCE, all).await;
        waited.map_err(|_e| format!("{} of {} hold {epoch}", instants.len(), self.watchers))??;
        Ok((instants, size))
    }
}

async fn open(
    channel: Channel,
    numbers: std::ops::Range<usize>,
    held: mpsc::UnboundedSender<Held>,
) -> Result<Vec<impl Future<Output = ()>>, Error> {
    let mut watching = Vec::new();
    for number in numbers {
        let (tx, rx) = mpsc::channel(4);
        let worker_id = format!("watcher-{number}");
        let hello = Hello { worker_id, pipeline: PIPELINE.to_owned(), ..Hello::default() };
        let message = Some(Message::Hello(hello));
        tx.send(pb::WatchKillSwitchesRequest { message }).await?;
        let mut client = KillSwitchServiceClient::new(channel.clone());
        let states = client.watch_kill_switches(ReceiverStream::new(rx)).await?.into_inner();
        watching.push(watch(states, tx, held.clone()));
    }
    Ok(watching)
}

async fn watch(
    mut states: tonic::Streaming<pb::WatchKillSwitchesResponse>,
    tx: mpsc::Sender<pb::WatchKillSwitchesRequest>,
    held: mpsc::UnboundedSender<Held>,
) {
    let mut newest = -1;
    while let Ok(Some(response)) = states.message().await {
        let epoch = response.state.as_ref().map_or(0, |state| state.epoch);
        if epoch > newest {
            newest = epoch;
            // Whoever measures may have gone.
            held.send((epoch, Instant::now(), response.encoded_len())).ok();
        }
        let message = Some(Message::Acknowledgement(Acknowledgement { epoch }));
        if tx.send(pb::WatchKillSwitchesRequest { message }).await.is_err() {
            return;
        }
    }
}
