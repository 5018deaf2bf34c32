//! How commands are given: by whom, on what they saw, and run to their end.

use std::sync::Arc;

use contracts::rollout as pb;
use rollout_core::{Event, Refusal, Rollout};
use service_kit::fault::{Fault, checked, last_part};
use service_kit::identity::actor;
use service_kit::journaled::command;
use service_kit::uncancelled::uncancelled;
use tonic::{Request, Response};
use vocab::{Role, Timestamp};

use super::{Answer, Api};
use crate::app::{App, Given};
use crate::error::DOMAIN;

impl Api {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub(super) fn given<T>(&self, request: &Request<T>, reason: &str) -> Result<Given, Fault> {
        let command = command(&self.app.clock, actor(request)?, reason, None);
        Ok(Given { command, etag: String::new(), validate_only: false })
    }

    /// Carries out a command on one rollout.
    pub(super) async fn changed(
        &self,
        given: Given,
        name: String,
        decide: impl Fn(&Rollout, Timestamp) -> Result<Vec<Event>, Refusal> + Send + Sync + 'static,
    ) -> Answer<pb::Rollout> {
        rollout_name(&name)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.change(given, &name, decide).await?) })
            .await
            .map(Response::new)
    }
}

pub(super) fn required_role(role: &str) -> Result<Role, Fault> {
    if role.is_empty() {
        let why = "is required: name the role in which you approve, e.g. engineering_lead";
        return Err(Fault::field(DOMAIN, "role", why));
    }
    checked(DOMAIN, "role", Role::new(role))
}

pub(super) fn required_etag(etag: String, what: &str) -> Result<String, Fault> {
    if etag.is_empty() {
        let why = format!("is required: name the etag you saw, {what} is considered");
        return Err(Fault::field(DOMAIN, "etag", why));
    }
    Ok(etag)
}

pub(super) fn rollout_name(name: &str) -> Result<(), Fault> {
    last_part(DOMAIN, "name", name, "rollouts").map(drop)
}
