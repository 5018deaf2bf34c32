//! The rpcs: decode, call the app, encode.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::flag_service_server::FlagService;
use flag_core::Flag;
use service_kit::fault::{Fault, check_text, checked};
use service_kit::identity::actor;
use service_kit::journaled::{command, request_key};
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use tonic::{Request, Response, Status};
use vocab::{Actor, FlagKey, PhaseId, PipelineId};

use crate::app::{App, Given, Step};
use crate::convert::{self, public_flag};
use crate::error::DOMAIN;

mod evaluation;
mod history;
mod mask;
mod radius;

/// Bytes of flags in one page, so that it fits into a message.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The services on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

type Answer<T> = Result<Response<T>, Status>;

fn required<'a, T>(path: &str, value: Option<&'a T>) -> Result<&'a T, Fault> {
    value.ok_or_else(|| Fault::field(DOMAIN, path, "is required"))
}

impl Api {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// How a person gives a command. `contents` is the whole request.
    fn given(
        &self,
        actor: Actor,
        method: &str,
        reason: &str,
        request_id: &str,
        contents: &impl prost::Message,
    ) -> Result<Given, Fault> {
        let reason = check_text(DOMAIN, "reason", reason, true)?;
        let key = request_key(DOMAIN, method, request_id, contents)?;
        let command = command(&self.app.clock, actor, reason, key);
        Ok(Given { command, etag: String::new(), validate_only: false })
    }
}

#[tonic::async_trait]
impl FlagService for Api {
    async fn get_flag(&self, request: Request<pb::GetFlagRequest>) -> Answer<pb::Flag> {
        let key = convert::flag_key("name", &request.get_ref().name)?;
        Ok(Response::new(public_flag(&*self.app.any_flag(&key)?)))
    }

    async fn list_flags(
        &self,
        request: Request<pb::ListFlagsRequest>,
    ) -> Answer<pb::ListFlagsResponse> {
        let request = request.into_inner();
        let list = if request.show_deleted { "flags, deleted" } else { "flags" };
        let mut page = page(DOMAIN, list, request.page_size, &request.page_token)?;
        let snapshot = self.app.replica.snapshot();
        let shown = snapshot.state.flags.iter();
        let shown = shown.filter(|(_, stored)| request.show_deleted || !stored.is_deleted());
        let rest = shown.clone().filter(|(key, _)| **key > page.after).take(page.size);
        let mut bytes = 0;
        let fitting = rest.take_while(|(_, stored)| {
            bytes += stored.bytes;
            bytes <= PAGE_BYTES_MAX
        });
        page.size = fitting.count().max(1);
        let all = shown.map(|(key, one)| (key.clone(), one));
        let (flags, next_page_token) = cut(list, &page, all);
        let flags = flags.into_iter().map(|stored| public_flag(stored)).collect();
        Ok(Response::new(pb::ListFlagsResponse { flags, next_page_token }))
    }

    async fn create_flag(&self, request: Request<pb::CreateFlagRequest>) -> Answer<pb::Flag> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let key = checked(DOMAIN, "flag_id", FlagKey::new(&request.flag_id))?;
        let wire = required("flag", request.flag.as_ref())?;
        let mut given =
            self.given(actor, "CreateFlag", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        let no_limits = pb::UploadLimits::default();
        let flag = Flag {
            key,
            pipeline: checked(DOMAIN, "flag.pipeline", PipelineId::new(&wire.pipeline))?,
            definition: convert::definition(
                "flag.definition",
                required("flag.definition", wire.definition.as_ref())?,
            )?,
            limits: convert::limits("flag.limits", wire.limits.as_ref().unwrap_or(&no_limits))?,
            rollout: String::new(),
            phase: None,
            generation: 0,
            paused: false,
            about: flag_wire::about("flag", wire).map_err(convert::fault)?,
        };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(public_flag(&*app.create(given, flag).await?)) })
            .await
            .map(Response::new)
    }

    async fn update_flag(&self, request: Request<pb::UpdateFlagRequest>) -> Answer<pb::Flag> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let wire = required("flag", request.flag.as_ref())?.clone();
        let key = convert::flag_key("flag.name", &wire.name)?;
        let mut given =
            self.given(actor, "UpdateFlag", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        given.etag.clone_from(&wire.etag);
        let paths = mask::paths(request.update_mask.as_ref())?;
        // What is malformed in itself is refused before the flag is looked for.
        if paths.contains(&"definition") {
            mask::overlay(&pb::Flag::default(), &wire, &["definition"])?;
        }
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let change =
                move |flag: &Flag| mask::overlay(&flag_wire::wire_flag(flag), &wire, &paths);
            Ok(public_flag(&*app.update(given, key, change).await?))
        })
        .await
        .map(Response::new)
    }

    async fn delete_flag(&self, request: Request<pb::DeleteFlagRequest>) -> Answer<pb::Flag> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let key = convert::flag_key("name", &request.name)?;
        let mut given =
            self.given(actor, "DeleteFlag", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        given.etag = request.etag;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(public_flag(&*app.delete(given, key).await?)) })
            .await
            .map(Response::new)
    }

    async fn undelete_flag(&self, request: Request<pb::UndeleteFlagRequest>) -> Answer<pb::Flag> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let key = convert::flag_key("name", &request.name)?;
        let mut given =
            self.given(actor, "UndeleteFlag", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        given.etag = required_etag(&request.etag)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(public_flag(&*app.undelete(given, key).await?)) })
            .await
            .map(Response::new)
    }

    async fn apply_rollout_step(
        &self,
        request: Request<pb::ApplyRolloutStepRequest>,
    ) -> Answer<pb::Flag> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let generation = u64::try_from(request.generation).ok().filter(|number| *number > 0);
        let step = Step {
            key: convert::flag_key("name", &request.name)?,
            rollout: request.rollout.clone(),
            generation: generation
                .ok_or_else(|| Fault::field(DOMAIN, "generation", "expected 1 or more"))?,
            phase: checked(DOMAIN, "phase_id", PhaseId::new(&request.phase_id))?,
            pipeline: checked(DOMAIN, "pipeline", PipelineId::new(&request.pipeline))?,
            definition: convert::definition(
                "definition",
                required("definition", request.definition.as_ref())?,
            )?,
            limits: convert::limits("limits", required("limits", request.limits.as_ref())?)?,
            paused: request.paused,
        };
        if !step.rollout.starts_with("rollouts/") {
            return Err(Fault::field(DOMAIN, "rollout", "expected rollouts/{rollout}").into());
        }
        let reason = format!("{} generation {}", step.rollout, step.generation);
        let command = command(&self.app.clock, actor, reason, None);
        let given = Given { command, etag: String::new(), validate_only: false };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(public_flag(&*app.apply_step(given, step).await?)) })
            .await
            .map(Response::new)
    }
}

/// An etag that has to be given: what is done with it is considered.
fn required_etag(etag: &str) -> Result<String, Fault> {
    if etag.is_empty() {
        return Err(Fault::field(DOMAIN, "etag", "is required: look at the flag first"));
    }
    Ok(etag.to_owned())
}
