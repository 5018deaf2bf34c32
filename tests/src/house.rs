//! Five real servers over one store, on ports of their own, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use capture::{Mail, Slack};
use comms_service::ChannelSettings;
use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::flag::admission_service_client::AdmissionServiceClient;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::signal_service_client::SignalServiceClient;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::rollout::ApprovePlanVersionRequest;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use service_kit::bootstrap::ServiceSettings;
use service_kit::clock::{Clock, Demo, real_now};
use service_kit::identity::claim;
use service_kit::{settings, shutdown};
use store::{Head, Location, Store, StreamName};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use vocab::Role;

/// A person with the roles they hold.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// The name claimed.
    pub name: &'static str,
    /// The roles claimed.
    pub roles: &'static [&'static str],
}

/// What callers had written to every stream but that of comms: equal means that no command wrote
/// anything. What a service writes by itself, e.g. that a threshold is not met, is left out.
pub type Journals = BTreeMap<&'static str, Vec<Head>>;

const NOUNS: [&str; 5] = ["flag", "gate", "killswitch", "comms", "rollout"];
/// Streams that only commands write: comms tells what happened in its own time.
const STREAMS: [&str; 4] = ["flag", "gate", "killswitch", "rollout"];
const RECORDS_MAX: usize = 1_000;
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Where messages go.
#[derive(Debug)]
pub struct Outlets {
    /// Stands in for a mail server.
    pub mail: Mail,
    /// Stands in for Slack.
    pub slack: Slack,
    /// Contacts that are in no plan.
    pub contacts: PathBuf,
}

/// A client that the plan does not know: the one of `internal-test-workspace`.
pub const CLIENT: &str = "ops@acme.example";

/// All five services, serving. They end with it.
#[derive(Debug)]
pub struct House {
    /// What time it is in the house.
    pub clock: Clock,
    /// The store they share.
    pub store: Store,
    /// Where each serves, by noun.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
    /// What stands in for a mail server and for Slack; `None` where no channel is set up.
    pub outlets: Option<Outlets>,
    channels: BTreeMap<&'static str, Channel>,
    _trigger: shutdown::Trigger,
    _dir: Option<TempDir>,
}

/// A message as `person` sends it.
///
/// # Panics
/// Where a test made up a malformed person.
pub fn ask<T>(person: Person, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let roles: Vec<_> =
        person.roles.iter().map(|role| Role::new(role).expect("a role is well-formed")).collect();
    claim(request.metadata_mut(), person.name, &roles).expect("a name is well-formed");
    request
}

fn defaults<S: ServiceSettings>() -> S {
    settings::defaults(S::DEFAULTS).expect("the documented defaults are valid")
}

impl House {
    /// Starts the house on the system's clock.
    pub async fn start() -> Self {
        Self::on(Clock::system()).await
    }

    /// Starts the house on a clock that runs `factor` times as fast from now on.
    pub async fn hurried(factor: u32) -> Self {
        Self::on(Clock::new(Some(Demo { origin: real_now(), factor }))).await
    }

    /// Starts the house on `clock`, with an empty store.
    ///
    /// # Panics
    /// Where a port or a directory cannot be had.
    pub async fn on(clock: Clock) -> Self {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let location = Location::Embedded(dir.path().to_owned());
        let outlets = Outlets {
            mail: Mail::start().await.expect("a port is free"),
            slack: Slack::start().await.expect("a port is free"),
            contacts: dir.path().join("contacts.yaml"),
        };
        let contacts = format!(
            "contacts:\n  - {{ id: acme, addresses: [{CLIENT}], workspaces: \
             [internal-test-workspace] }}\n"
        );
        std::fs::write(&outlets.contacts, contacts).expect("the temporary directory is writable");
        Self { _dir: Some(dir), ..Self::over(&location, clock, Some(outlets)).await }
    }

    /// Starts `count` houses over one store: as many replicas of every service, each with
    /// connections of its own. No channel of theirs is set up: what they tell ends as dead.
    ///
    /// # Panics
    /// Where the location is none, or the store does not open.
    pub async fn replicas(count: usize, location: &str) -> Vec<Self> {
        let location = Location::parse(location).expect("a test names a location");
        let mut houses = Vec::with_capacity(count);
        for _place in 0..count {
            houses.push(Self::over(&location, Clock::system(), None).await);
        }
        houses
    }

    async fn over(location: &Location, clock: Clock, outlets: Option<Outlets>) -> Self {
        let store = Store::open(location, Arc::new(real_now)).await.expect("the store opens");
        let mut listeners = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for noun in NOUNS {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            addresses.insert(noun, listener.local_addr().expect("a bound listener is somewhere"));
            listeners.insert(noun, listener);
        }
        let (trigger, end) = shutdown::channel();
        let channels = addresses.iter().map(|(noun, address)| (*noun, channel(*address))).collect();
        let (_trigger, _dir) = (trigger, None);
        let house = Self { clock, store, addresses, outlets, channels, _trigger, _dir };
        for (noun, listener) in listeners {
            house.serve(noun, listener, end.clone());
        }
        house
    }

    /// Mail and Slack go to what stands in for them, where there is that.
    fn comms_settings(&self) -> comms_service::Settings {
        let mut settings: comms_service::Settings = defaults();
        let Some(Outlets { mail, slack, contacts }) = &self.outlets else { return settings };
        settings.contacts.file = contacts.display().to_string();
        let address = mail.address();
        settings.smtp.host = address.ip().to_string();
        settings.smtp.port = address.port();
        settings.smtp.from = "Softlaunch <softlaunch@example.com>".to_owned();
        for channel in ["slack-engineering", "slack-incidents"] {
            let webhook_url = comms_service::Secret::new(slack.url(channel));
            let one = ChannelSettings { webhook_url, ..ChannelSettings::default() };
            settings.channels.insert(channel.to_owned(), one);
        }
        settings
    }

    fn serve(&self, noun: &'static str, listener: TcpListener, end: shutdown::Shutdown) {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let [flag, gate, killswitch, comms, rollout] =
            NOUNS.map(|noun| format!("http://{}", self.addresses[noun]));
        let of_comms = self.comms_settings();
        tokio::spawn(async move {
            let served = match noun {
                "flag" => {
                    let mut settings: flag_service::Settings = defaults();
                    settings.peers.killswitch = killswitch;
                    let on = service_kit::bootstrap::Dependencies { store, clock };
                    flag_service::serve(settings, on, listener, end).await
                }
                "gate" => {
                    let mut settings: gate_service::Settings = defaults();
                    settings.peers.killswitch = killswitch;
                    settings.peers.comms = comms;
                    // On a hurried clock a day is a moment.
                    settings.signals.gauge_stale_after = "365d".to_owned();
                    let on = service_kit::bootstrap::Dependencies { store, clock };
                    gate_service::serve(settings, on, listener, end).await
                }
                "comms" => {
                    let mut settings = of_comms;
                    settings.peers.rollout = rollout;
                    settings.peers.killswitch = killswitch;
                    settings.peers.flag = flag;
                    settings.peers.gate = gate;
                    let on = service_kit::bootstrap::Dependencies { store, clock };
                    comms_service::serve(settings, on, listener, end).await
                }
                "killswitch" => {
                    let on = service_kit::bootstrap::Dependencies { store, clock };
                    let mut settings: killswitch_service::Settings = defaults();
                    settings.release.ramp = "0s".to_owned();
                    killswitch_service::serve(settings, on, listener, end).await
                }
                _ => {
                    let mut settings: rollout_service::Settings = defaults();
                    settings.peers.flag = flag;
                    settings.peers.gate = gate;
                    settings.peers.killswitch = killswitch;
                    let on = service_kit::bootstrap::Dependencies { store, clock };
                    rollout_service::serve(settings, on, listener, end).await
                }
            };
            served.unwrap_or_else(|error| panic!("{noun}-service ended badly: {error}"));
        });
    }

    /// A connection to the service of that noun.
    #[must_use]
    pub fn channel(&self, noun: &str) -> Channel {
        self.channels[noun].clone()
    }

    /// Keeps flags.
    #[must_use]
    pub fn flags(&self) -> FlagServiceClient<Channel> {
        FlagServiceClient::new(self.channel("flag"))
    }

    /// Answers who is on.
    #[must_use]
    pub fn evaluation(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.channel("flag"))
    }

    /// Admits uploads.
    #[must_use]
    pub fn admission(&self) -> AdmissionServiceClient<Channel> {
        AdmissionServiceClient::new(self.channel("flag"))
    }

    /// Judges gates.
    #[must_use]
    pub fn gates(&self) -> GateServiceClient<Channel> {
        GateServiceClient::new(self.channel("gate"))
    }

    /// Takes in what happened.
    #[must_use]
    pub fn signals(&self) -> SignalServiceClient<Channel> {
        SignalServiceClient::new(self.channel("gate"))
    }

    /// Stops work.
    #[must_use]
    pub fn kills(&self) -> KillSwitchServiceClient<Channel> {
        KillSwitchServiceClient::new(self.channel("killswitch"))
    }

    /// Shows what was told.
    #[must_use]
    pub fn comms(&self) -> CommsServiceClient<Channel> {
        CommsServiceClient::new(self.channel("comms"))
    }

    /// Conducts rollouts.
    #[must_use]
    pub fn rollouts(&self) -> RolloutServiceClient<Channel> {
        RolloutServiceClient::new(self.channel("rollout"))
    }

    /// Has a stored plan version approved by everybody it needs (D7 §10).
    ///
    /// # Panics
    /// Where an approval is refused.
    pub async fn approve_plan(&self, version: &str) {
        const LEADS: [Person; 3] = [
            Person { name: "ada", roles: &["engineering_lead"] },
            Person { name: "pia", roles: &["product_manager"] },
            Person { name: "sam", roles: &["sre_lead"] },
        ];
        for lead in LEADS {
            let (name, role) = (version.to_owned(), lead.roles[0].to_owned());
            let request = ApprovePlanVersionRequest { name, role, reason: String::new() };
            let approved = self.rollouts().approve_plan_version(ask(lead, request)).await;
            approved.expect("a lead approves the plan");
        }
    }

    /// What callers had written to every stream.
    ///
    /// # Panics
    /// Where the store does not answer.
    pub async fn journals(&self) -> Journals {
        let mut journals = BTreeMap::new();
        for name in STREAMS {
            let stream = StreamName::new(name).expect("a noun is a stream name");
            let records = self.store.journal.read(&stream, 0, RECORDS_MAX).await;
            let records = records.expect("the store answers");
            assert!(records.len() < RECORDS_MAX, "too long a journal for a test");
            let of_callers =
                records.into_iter().filter(|one| !one.actor.subject.starts_with("system:"));
            let heads = of_callers.map(|one| Head { version: one.version, hash: one.hash });
            journals.insert(name, heads.collect());
        }
        journals
    }
}

fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a URI");
    endpoint.timeout(CALL_TIMEOUT).connect_lazy()
}
