//! Engages and releases.

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use service_kit::identity::claim;
use tonic::Request;
use tonic::transport::Channel;

use crate::Error;

pub(crate) const PIPELINE: &str = "ingestion_v2";

/// Somebody with a connection of their own.
#[derive(Debug)]
pub(crate) struct Operator {
    client: KillSwitchServiceClient<Channel>,
}

impl Operator {
    pub(crate) async fn connect(address: &str) -> Result<Self, Error> {
        Ok(Self { client: KillSwitchServiceClient::connect(address.to_owned()).await? })
    }

    pub(crate) async fn engage(&mut self, reason: &str) -> Result<pb::KillSwitch, Error> {
        let request =
            pb::EngageKillSwitchRequest { scope: Some(scope()), reason: reason.to_owned() };
        Ok(self.client.engage_kill_switch(asked(request)?).await?.into_inner())
    }

    pub(crate) async fn release(&mut self, epoch: i64) -> Result<pb::KillSwitch, Error> {
        let request = pb::ReleaseKillSwitchRequest {
            scope: Some(scope()),
            epoch,
            reason: "the round is over".to_owned(),
            evidence: "https://wiki.example.com/round".to_owned(),
        };
        Ok(self.client.release_kill_switch(asked(request)?).await?.into_inner())
    }
}

fn asked<T>(message: T) -> Result<Request<T>, Error> {
    let mut request = Request::new(message);
    claim(request.metadata_mut(), "bench", &[]).map_err(|_e| "a malformed name")?;
    Ok(request)
}

fn scope() -> pb::Scope {
    let kind = Kind::Pipeline.into();
    pb::Scope { kind, pipeline: PIPELINE.to_owned(), ..pb::Scope::default() }
}
