//! A flag service over a store, with a kill switch beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::admission_service_client::AdmissionServiceClient;
use contracts::flag::blast_radius_service_client::BlastRadiusServiceClient;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::flag_history_service_client::FlagHistoryServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::killswitch as kill_pb;
use contracts::killswitch::kill_switch_service_server::KillSwitchServiceServer;
use contracts::killswitch::scope::Kind as ScopeKind;
use flag_service::{Settings, serve};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::identity::claim;
use service_kit::server;
use service_kit::shutdown::{self, Trigger};
use store::{Location, Store};
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::kill_fake::Kills;

pub(crate) const PIPELINE: &str = "ingestion_v2";

/// The service, running.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) kill_address: SocketAddr,
    pub(crate) store: Store,
    channel: Channel,
    kills: watch::Sender<kill_pb::KillState>,
    _trigger: Trigger,
    _dir: Option<tempfile::TempDir>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let location = format!("embedded:{}", dir.path().display());
        Self { _dir: Some(dir), ..Self::over(&location).await }
    }

    pub(crate) async fn over(location: &str) -> Self {
        let location = Location::parse(location).unwrap();
        let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
        let (trigger, end) = shutdown::channel();
        let (kills, state) = watch::channel(kill_pb::KillState::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        let kill_address = listener.local_addr().unwrap();
        settings.peers.killswitch = format!("http://{kill_address}");
        settings.evaluation.heartbeat = "100ms".to_owned();
        let router = server::hardened().add_service(KillSwitchServiceServer::new(Kills { state }));
        tokio::spawn(server::serve(router, listener, end.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let on = Dependencies { store: store.clone(), clock: Clock::system() };
        tokio::spawn(async move { serve(settings, on, listener, end).await.unwrap() });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let (_trigger, _dir) = (trigger, None);
        let site = Self { address, kill_address, store, channel, kills, _trigger, _dir };
        eventually("the service to be up", async || {
            site.flags().list_flags(pb::ListFlagsRequest::default()).await.is_ok()
        })
        .await;
        site
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn flags(&self) -> FlagServiceClient<Channel> {
        FlagServiceClient::new(self.channel())
    }

    pub(crate) fn history(&self) -> FlagHistoryServiceClient<Channel> {
        FlagHistoryServiceClient::new(self.channel())
    }

    pub(crate) fn evaluations(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.channel())
    }

    pub(crate) fn admissions(&self) -> AdmissionServiceClient<Channel> {
        AdmissionServiceClient::new(self.channel())
    }

    pub(crate) fn reports(&self) -> BlastRadiusServiceClient<Channel> {
        BlastRadiusServiceClient::new(self.channel())
    }

    /// Engages the kill switch of the pipeline, or of workspaces of it; releases it where `None`.
    pub(crate) fn kill(&self, epoch: i64, workspaces: Option<&str>) {
        let pipeline = PIPELINE.to_owned();
        let scope = match workspaces {
            None => None,
            Some("") => Some(ScopeKind::Pipeline),
            Some(_) => Some(ScopeKind::Workspace),
        };
        let engaged = scope.map(|kind| kill_pb::KillSwitch {
            scope: Some(kill_pb::Scope {
                kind: kind.into(),
                pipeline,
                workspace_pattern: workspaces.unwrap_or_default().to_owned(),
                ..kill_pb::Scope::default()
            }),
            state: kill_pb::kill_switch::State::Engaged.into(),
            epoch,
            ..kill_pb::KillSwitch::default()
        });
        let engaged = engaged.into_iter().collect();
        self.kills.send_replace(kill_pb::KillState {
            epoch,
            engaged,
            ..kill_pb::KillState::default()
        });
    }

    pub(crate) async fn create(&self, id: &str, definition: pb::FlagDefinition) -> pb::Flag {
        let request = ada(new_flag(id, definition));
        self.flags().create_flag(request).await.unwrap().into_inner()
    }

    pub(crate) async fn get(&self, id: &str) -> pb::Flag {
        let name = format!("flags/{id}");
        self.flags().get_flag(pb::GetFlagRequest { name }).await.unwrap().into_inner()
    }

    pub(crate) async fn ask(
        &self,
        id: &str,
        workspace: &str,
        attributes: &[(&str, Kind)],
    ) -> Result<pb::EvaluateFlagResponse, Status> {
        let request = pb::EvaluateFlagRequest {
            name: format!("flags/{id}"),
            workspace_id: workspace.to_owned(),
            attributes: (!attributes.is_empty()).then(|| fields(attributes)),
        };
        self.evaluations().evaluate_flag(request).await.map(tonic::Response::into_inner)
    }

    /// Until the kill switch is known, everything counts as killed.
    pub(crate) async fn knows_the_kill_switch(&self, id: &str) {
        eventually("the service knows the kill switch", async || {
            let found = self.ask(id, "ws-unlisted", &[]).await.unwrap();
            found.reason() != pb::Reason::Killed
        })
        .await;
    }
}

/// A request by a person.
pub(crate) fn ada<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    claim(request.metadata_mut(), "ada", &[]).unwrap();
    request
}

pub(crate) fn fields(fields: &[(&str, Kind)]) -> Struct {
    let fields =
        fields.iter().map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }));
    Struct { fields: fields.collect::<BTreeMap<_, _>>() }
}

pub(crate) fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

/// On for a share of everybody.
pub(crate) fn share(basis_points: i32) -> pb::FlagDefinition {
    pb::FlagDefinition {
        enabled: true,
        percentage_basis_points: basis_points,
        ..pb::FlagDefinition::default()
    }
}

pub(crate) fn new_flag(id: &str, definition: pb::FlagDefinition) -> pb::CreateFlagRequest {
    pb::CreateFlagRequest {
        flag_id: id.to_owned(),
        flag: Some(pb::Flag {
            definition: Some(definition),
            pipeline: PIPELINE.to_owned(),
            ..pb::Flag::default()
        }),
        reason: "for a test".to_owned(),
        ..pb::CreateFlagRequest::default()
    }
}

/// Three texts, a rule and a split.
pub(crate) fn typed() -> pb::FlagDefinition {
    use pb::variant::Value as V;
    let variant = |name: &str| pb::Variant {
        name: name.to_owned(),
        value: Some(V::StringValue(format!("the {name} one"))),
    };
    let test = pb::AttributeTest {
        attribute: "tier".to_owned(),
        test: Some(pb::attribute_test::Test::Equals(Value { kind: Some(text("gold")) })),
    };
    pb::FlagDefinition {
        enabled: true,
        variants: vec![variant("old"), variant("new"), variant("newest")],
        default_variant: "old".to_owned(),
        rules: vec![pb::Rule {
            condition: Some(pb::Condition { kind: Some(pb::condition::Kind::Test(test)) }),
            variant: "newest".to_owned(),
            ..pb::Rule::default()
        }],
        split: vec![pb::WeightedVariant { variant: "new".to_owned(), weight_basis_points: 1_000 }],
        ..pb::FlagDefinition::default()
    }
}

/// Expects a refusal with code and reason, and a violation of the field where one is named.
pub(crate) fn refused<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    (code, reason): (Code, &str),
    field: &str,
) -> Status {
    let status = outcome.unwrap_err();
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{}", status.message());
    if !field.is_empty() {
        let violations = &details.bad_request().unwrap().field_violations;
        assert!(violations.iter().any(|one| one.field == field), "no {field}: {violations:?}");
    }
    status
}
