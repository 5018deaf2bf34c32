//! The services a worker talks to, all on one socket, that can be stopped and started again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Admission, Client, Options, Policy};
use contracts::flag::admission_service_server::AdmissionServiceServer;
use contracts::flag::evaluation_service_server::EvaluationServiceServer;
use contracts::gate::signal_service_server::SignalServiceServer;
use contracts::killswitch::kill_switch_service_server::KillSwitchServiceServer;
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::flag_fake::Flags;
use crate::gate_fake::Gate;
use crate::kill_fake::Kills;

pub(crate) const PIPELINE: &str = "ingestion_v2";
pub(crate) const FLAG: &str = "ingestion_v2_enabled";
/// Longer than any test: contact counts as fresh.
pub(crate) const PATIENT: Policy =
    Policy { stale_after: Duration::from_secs(120), fail_closed: true };

/// Fakes of the three services, on a socket of their own.
pub(crate) struct Platform {
    pub(crate) flags: Arc<Flags>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) kills: Arc<Kills>,
    pub(crate) address: SocketAddr,
    ending: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut platform = Self {
            flags: Arc::default(),
            gate: Arc::default(),
            kills: Arc::default(),
            address,
            ending: watch::Sender::new(false),
            serving: tokio::spawn(async {}),
        };
        platform.serving = platform.serve(listener);
        platform
    }

    /// Ends every stream and connection and takes no new ones.
    pub(crate) async fn stop(&mut self) {
        self.ending.send_replace(true);
        eventually("the fake has ended", async || {
            self.kills.hang_up();
            self.flags.hang_up();
            self.serving.is_finished()
        })
        .await;
    }

    /// Serves again at the same address.
    pub(crate) async fn start_again(&mut self) {
        let address = self.address;
        let listener =
            eventually("the port is free again", async || TcpListener::bind(address).await.ok())
                .await;
        self.ending = watch::Sender::new(false);
        self.serving = self.serve(listener);
    }

    #[expect(clippy::disallowed_methods, reason = "a fake: service-kit is above the client")]
    fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let router = Server::builder()
            .add_service(AdmissionServiceServer::from_arc(Arc::clone(&self.flags)))
            .add_service(EvaluationServiceServer::from_arc(Arc::clone(&self.flags)))
            .add_service(SignalServiceServer::from_arc(Arc::clone(&self.gate)))
            .add_service(KillSwitchServiceServer::from_arc(Arc::clone(&self.kills)));
        let mut ending = self.ending.subscribe();
        tokio::spawn(async move {
            let asked = async move { ending.wait_for(|asked| *asked).await.map_or((), drop) };
            let incoming = TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(incoming, asked).await.expect("the fake serves");
        })
    }

    pub(crate) fn options(&self, policy: Policy) -> Options {
        let address = format!("http://{}", self.address);
        Options {
            worker_id: "worker-1".to_owned(),
            flag_address: address.clone(),
            gate_address: address.clone(),
            killswitch_address: address,
            policy,
            now: Arc::new(|| Timestamp::from_millis(1_767_225_600_250)),
            ..Options::new(PIPELINE, FLAG)
        }
    }

    /// A worker that trusts what it hears for longer than a test takes.
    pub(crate) fn worker(&self) -> Client {
        self.worker_with(PATIENT)
    }

    pub(crate) fn worker_with(&self, policy: Policy) -> Client {
        Client::start(self.options(policy)).expect("the options are right")
    }

    /// Waits until a worker has acknowledged `epoch`.
    pub(crate) async fn acknowledged(&self, epoch: i64) {
        let heard = async || self.kills.acknowledged().contains(&epoch);
        eventually("the epoch is acknowledged", heard).await;
    }

    /// A worker that has heard that nothing is killed.
    pub(crate) async fn informed_worker(&self) -> Client {
        self.kills.say(0, Vec::new());
        let worker = self.worker();
        worker.kills().first_word().await;
        worker
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Admits what the worker itself does not hold back: the fake service admits everything.
pub(crate) async fn deferred(worker: &Client, id: &str) -> bool {
    let admission = worker.admit(&workspace(id), &upload("u-1"), 1_024).await;
    matches!(admission, Admission::Defer { .. })
}

pub(crate) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn workspace(id: &str) -> WorkspaceId {
    id.parse().expect("a workspace id")
}

pub(crate) fn upload(id: &str) -> UploadId {
    id.parse().expect("an upload id")
}
