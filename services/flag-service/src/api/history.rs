//! What flags were, and documents of flags.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::flag_history_service_server::FlagHistoryService;
use flag_core::Flag;
use service_kit::fault::{Fault, checked};
use service_kit::identity::actor;
use service_kit::paging::page;
use service_kit::uncancelled::uncancelled;
use tonic::{Request, Response};
use vocab::PipelineId;

use super::{Answer, Api, required_etag};
use crate::app::Parts;
use crate::convert::{self, public_flag};
use crate::error::DOMAIN;

/// Bytes of a document: it comes in one message.
const DOCUMENT_BYTES_MAX: usize = 3 * 1024 * 1024;

fn revision(path: &str, wire: i64) -> Result<u64, Fault> {
    u64::try_from(wire).map_err(|_e| Fault::field(DOMAIN, path, "is negative"))
}

#[tonic::async_trait]
impl FlagHistoryService for Api {
    async fn list_flag_revisions(
        &self,
        request: Request<pb::ListFlagRevisionsRequest>,
    ) -> Answer<pb::ListFlagRevisionsResponse> {
        let request = request.into_inner();
        let key = convert::flag_key("name", &request.name)?;
        let list = format!("revisions of {key}");
        let page = page(DOMAIN, &list, request.page_size, &request.page_token)?;
        let before = page.after.parse().ok();
        let stored = self.app.any_flag(&key)?;
        let (revisions, next) = self.app.revisions(&stored, before, page.size).await?;
        let next_page_token =
            next.map_or_else(String::new, |at| service_kit::paging::token(&list, &at.to_string()));
        Ok(Response::new(pb::ListFlagRevisionsResponse { revisions, next_page_token }))
    }

    async fn diff_flag(&self, request: Request<pb::DiffFlagRequest>) -> Answer<pb::FlagDiff> {
        let request = request.into_inner();
        let key = convert::flag_key("name", &request.name)?;
        let from = revision("from_revision", request.from_revision)?;
        let to = revision("to_revision", request.to_revision)?;
        Ok(Response::new(self.app.diff(&key, from, to).await?))
    }

    async fn restore_flag(&self, request: Request<pb::RestoreFlagRequest>) -> Answer<pb::Flag> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let key = convert::flag_key("name", &request.name)?;
        let wanted = revision("revision", request.revision)?;
        let mut given =
            self.given(actor, "RestoreFlag", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        given.etag = required_etag(&request.etag)?;
        let stored = self.app.any_flag(&key)?;
        let then = self.app.flag_at(&stored, "revision", wanted).await?;
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let change = move |_: &Flag| {
                Ok(Parts {
                    definition: then.definition.clone(),
                    limits: then.limits,
                    about: then.about.clone(),
                })
            };
            Ok(public_flag(&*app.update(given, key, change).await?))
        })
        .await
        .map(Response::new)
    }

    async fn import_flags(
        &self,
        request: Request<pb::ImportFlagsRequest>,
    ) -> Answer<pb::ImportFlagsResponse> {
        let (actor, request) = (actor(&request)?, request.into_inner());
        let mut given =
            self.given(actor, "ImportFlags", &request.reason, &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        let pipeline = checked(DOMAIN, "pipeline", PipelineId::new(&request.pipeline))?;
        if request.document.len() > DOCUMENT_BYTES_MAX {
            let count = request.document.len();
            let why = format!("{count} bytes are too many: expected at most {DOCUMENT_BYTES_MAX}");
            return Err(Fault::field(DOMAIN, "document", why).into());
        }
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let form = request.form();
            Ok(app.import(given, form, &request.document, &pipeline).await?)
        })
        .await
        .map(Response::new)
    }

    async fn export_flags(
        &self,
        request: Request<pb::ExportFlagsRequest>,
    ) -> Answer<pb::ExportFlagsResponse> {
        let request = request.into_inner();
        let exported = self.app.export(request.form(), &request.names, request.definitions_only)?;
        Ok(Response::new(exported))
    }
}
