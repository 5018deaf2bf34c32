//! A service with everything around it, on ports and in a directory of its own.

use std::time::Duration;

use capture::{Mail, Slack};
use comms_service::{ChannelSettings, Secret, Settings, serve};
use contracts::comms as pb;
use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::comms::message::State;
use contracts::killswitch::watch_kill_switch_events_response::Event as SwitchEvent;
use contracts::killswitch::{KillSwitch, Scope, WatchKillSwitchEventsResponse, kill_switch, scope};
use contracts::rollout as ro;
use contracts::rollout::rollout_event::Kind;
use service_kit::bootstrap::Dependencies;
use service_kit::bootstrap::{Error, ServiceSettings as _};
use service_kit::shutdown::{self, Trigger};
use tempfile::TempDir;
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::fakes::Fakes;

const PATIENCE: Duration = Duration::from_secs(40);
pub(crate) const ROLLOUT: &str = "rollouts/ingestion-v2";
/// The secret part of every webhook.
pub(crate) const HUSH: &str = "T0/B0/hush";

/// Waits for something that must happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("gave up after {PATIENCE:?} waiting until {what}"),
    }
}

/// Everything around the service; it can be started in it again and again.
pub(crate) struct Site {
    pub(crate) engineering: Slack,
    pub(crate) incidents: Slack,
    pub(crate) mail: Mail,
    pub(crate) fakes: Fakes,
    pub(crate) settings: Settings,
    _directory: TempDir,
}

/// The service, running.
pub(crate) struct Running {
    pub(crate) client: CommsServiceClient<Channel>,
    trigger: Trigger,
    serving: JoinHandle<Result<(), Error>>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (engineering, incidents) =
            (Slack::start().await.unwrap(), Slack::start().await.unwrap());
        let (mail, fakes) = (Mail::start().await.unwrap(), Fakes::start().await);
        let mut settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        settings.store.location = format!("embedded:{}", directory.path().display());
        let peers = format!("http://{}", fakes.address);
        (settings.peers.rollout, settings.peers.killswitch) = (peers.clone(), peers);
        for (id, slack) in [("slack-engineering", &engineering), ("slack-incidents", &incidents)] {
            let webhook_url = Secret::new(slack.url(HUSH));
            settings.channels.insert(
                id.to_owned(),
                ChannelSettings { webhook_url, ..ChannelSettings::default() },
            );
        }
        settings.smtp.host = "127.0.0.1".to_owned();
        settings.smtp.port = mail.address().port();
        settings.smtp.from = "Softlaunch <softlaunch@example.com>".to_owned();
        Self { engineering, incidents, mail, fakes, settings, _directory: directory }
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_on(self.connect().await).await
    }

    pub(crate) async fn connect(&self) -> Dependencies {
        // The service before may take a moment to let go of its directory.
        eventually("the store can be opened", async || {
            Dependencies::connect(&self.settings.store, &self.settings.clock).await.ok()
        })
        .await
    }

    /// Starts a replica on a store.
    pub(crate) async fn start_on(&self, dependencies: Dependencies) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, ended) = shutdown::channel();
        let serving = tokio::spawn(serve(self.settings.clone(), dependencies, listener, ended));
        let client = eventually("the service answers", async || {
            CommsServiceClient::connect(format!("http://{address}")).await.ok()
        });
        Running { client: client.await, trigger, serving }
    }

    pub(crate) fn happens(&self, kind: Kind) {
        self.rollout_event(kind);
    }

    fn rollout_event(&self, kind: Kind) {
        self.fakes.rollouts.push(|revision| ro::WatchRolloutEventsResponse {
            revision,
            actor: "ada".to_owned(),
            event: Some(ro::RolloutEvent { rollout: ROLLOUT.to_owned(), kind: Some(kind) }),
            ..ro::WatchRolloutEventsResponse::default()
        });
    }

    pub(crate) fn create_rollout(&self) {
        let plan_version = "plans/ingestion_v2/versions/1".to_owned();
        self.rollout_event(Kind::RolloutCreated(ro::RolloutCreated { plan_version, demo: false }));
    }

    pub(crate) fn enter_phase(&self, phase: &str) {
        let phase_id = phase.to_owned();
        self.rollout_event(Kind::PhaseEntered(ro::PhaseEntered {
            phase_id,
            ..ro::PhaseEntered::default()
        }));
    }

    pub(crate) fn pause(&self, reason: &str) {
        let reason = reason.to_owned();
        let paused = ro::RolloutPaused { reason, ..ro::RolloutPaused::default() };
        self.rollout_event(Kind::RolloutPaused(paused));
    }

    pub(crate) fn engage(&self, pipeline: &str, drill: bool) {
        let scope = Scope {
            kind: scope::Kind::Pipeline.into(),
            pipeline: pipeline.to_owned(),
            ..Scope::default()
        };
        let switch = KillSwitch {
            scope: Some(scope),
            state: kill_switch::State::Engaged.into(),
            reason: "bad data".to_owned(),
            drill,
            ..KillSwitch::default()
        };
        self.fakes.switches.push(|revision| WatchKillSwitchEventsResponse {
            revision,
            actor: "grace".to_owned(),
            event: Some(SwitchEvent::Change(switch)),
            ..WatchKillSwitchEventsResponse::default()
        });
    }
}

impl Running {
    pub(crate) async fn list(&self, state: State) -> Vec<pb::Message> {
        let request = pb::ListMessagesRequest {
            state: state.into(),
            page_size: 1_000,
            ..pb::ListMessagesRequest::default()
        };
        self.client.clone().list_messages(request).await.unwrap().into_inner().messages
    }

    /// Waits for the message in `channel` to come to `state`; there is one at most.
    pub(crate) async fn reaches(&self, channel: &str, state: State) -> pb::Message {
        eventually(&format!("the message in {channel} is {state:?}"), async || {
            self.list(state).await.into_iter().find(|message| message.channel == channel)
        })
        .await
    }

    /// Asks the service to end, and waits until it has.
    pub(crate) async fn stop(self) {
        self.trigger.shut_down();
        drop(self.client);
        within("the service has ended", self.serving).await.unwrap().unwrap();
    }
}
