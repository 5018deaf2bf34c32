//! Clients of the services, calling as whoever sits at the terminal.

use std::time::Duration;

use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::flag::blast_radius_service_client::BlastRadiusServiceClient;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::flag_history_service_client::FlagHistoryServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::signal_service_client::SignalServiceClient;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use credentials::{Credentials, Files};
use service_kit::identity;
use service_kit::peers::{Peer, peer};
use service_kit::propagation::Outgoing;
use tonic::service::Interceptor as _;
use tonic::{Request, Status};
use vocab::{Actor, Role};

use crate::arguments::CommandLine;
use crate::endpoints::Endpoints;
use crate::failure::Failure;

const TIMEOUT: Duration = Duration::from_secs(15);
const REPORT_TIMEOUT: Duration = Duration::from_secs(120); // A million workspaces take a while.
const DRILL_TIMEOUT: Duration = Duration::from_secs(70); // Longer than any drill.

/// Connections to all services, made when they are used.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    endpoints: Endpoints,
    outgoing: Outgoing,
    credentials: Credentials,
}

/// What the person at the terminal trusts and shows.
pub(crate) fn credentials(line: &CommandLine) -> Result<Credentials, Failure> {
    let files = Files {
        authority: line.tls_ca.clone(),
        token: line.token_file.clone(),
        ..Files::default()
    };
    let credentials = Credentials::read(&files);
    let credentials = credentials.map_err(|error| Failure::usage(error.to_string()))?;
    if credentials.has_token() && (line.subject.is_some() || !line.holding.is_empty()) {
        let why = "--as and --holding only claim who you are, and --token-file proves it: leave \
                   them out (SOFTLAUNCH_AS as well)";
        return Err(Failure::usage(why));
    }
    Ok(credentials)
}

macro_rules! clients {
    ($($name:ident: $client:ident at $endpoint:ident for $timeout:ident;)*) => {
        $(pub(crate) fn $name(&self) -> Result<$client<Peer>, Failure> {
            let (address, outgoing) = (&self.endpoints.$endpoint, self.outgoing.clone());
            let shown = &self.credentials;
            let channel = peer(stringify!($endpoint), address, outgoing, shown, $timeout);
            channel.map($client::new).map_err(|error| Failure::usage(error.to_string()))
        })*
    };
}

impl Connection {
    pub(crate) fn new(line: &CommandLine) -> Result<Self, Failure> {
        let credentials = credentials(line)?;
        let endpoints = Endpoints::find(line.endpoints.as_deref(), &credentials)?;
        let subject = match &line.subject {
            Some(name) => Actor::check_subject(name)?,
            None => String::new(),
        };
        let roles = line.holding.iter().map(|role| Role::new(role)).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, outgoing: Outgoing::acting_as(&subject, roles), credentials })
    }

    /// Connections on behalf of somebody.
    pub(crate) fn acting_as(endpoints: &Endpoints, subject: &str, roles: &[&str]) -> Self {
        let roles = roles.iter().filter_map(|role| Role::new(role).ok()).collect();
        Self {
            endpoints: endpoints.clone(),
            outgoing: Outgoing::acting_as(subject, roles),
            credentials: Credentials::default(),
        }
    }

    /// Whoever sits at the terminal, as an open service would read it from a call: where no service
    /// is asked, nobody can prove who they are.
    pub(crate) fn actor(&self) -> Result<Actor, Failure> {
        let request = self.outgoing.clone().call(Request::new(()))?;
        Ok(identity::claimed(request.metadata()).map_err(Status::from)?)
    }

    clients! {
        flags: FlagServiceClient at flag for TIMEOUT;
        flag_history: FlagHistoryServiceClient at flag for TIMEOUT;
        flag_reports: BlastRadiusServiceClient at flag for REPORT_TIMEOUT;
        evaluations: EvaluationServiceClient at flag for TIMEOUT;
        gates: GateServiceClient at gate for TIMEOUT;
        signals: SignalServiceClient at gate for TIMEOUT;
        kills: KillSwitchServiceClient at killswitch for DRILL_TIMEOUT;
        comms: CommsServiceClient at comms for TIMEOUT;
        rollouts: RolloutServiceClient at rollout for TIMEOUT;
    }
}
