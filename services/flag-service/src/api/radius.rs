//! Reports of what a change would do.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::blast_radius_service_server::BlastRadiusService;
use service_kit::identity::actor;
use service_kit::journaled::command;
use service_kit::uncancelled::uncancelled;
use tonic::{Request, Response, Streaming};

use super::{Answer, Api};

#[tonic::async_trait]
impl BlastRadiusService for Api {
    async fn compute_blast_radius(
        &self,
        request: Request<Streaming<pb::ComputeBlastRadiusRequest>>,
    ) -> Answer<pb::BlastRadius> {
        let actor = actor(&request)?;
        let command = command(&self.app.clock, actor, "blast radius", None);
        let (app, requests) = (Arc::clone(&self.app), request.into_inner());
        uncancelled(async move { app.blast_radius(command, requests).await })
            .await
            .map(Response::new)
    }

    async fn get_blast_radius(
        &self,
        request: Request<pb::GetBlastRadiusRequest>,
    ) -> Answer<pb::BlastRadius> {
        Ok(Response::new(self.app.kept_radius(&request.get_ref().digest)?))
    }

    async fn compute_stratification(
        &self,
        request: Request<Streaming<pb::ComputeStratificationRequest>>,
    ) -> Answer<pb::Stratification> {
        Ok(Response::new(self.app.stratification(request.into_inner()).await?))
    }
}
