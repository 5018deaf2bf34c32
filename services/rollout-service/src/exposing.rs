//! Who would be exposed by what is approved: the report of the flag service that an approval carries.

use contracts::flag::blast_radius_service_client::BlastRadiusServiceClient;
use contracts::flag::{
    BlastRadius, ComputeBlastRadiusRequest, FlagDefinition, GetBlastRadiusRequest,
};
use plan::FlagForm;
use rollout_core::Rollout;
use service_kit::fault::Fault;
use tonic::{Code, Status};
use vocab::{BasisPoints, Pattern};

use crate::app::App;
use crate::convert::wire_exclusion;
use crate::error::DOMAIN;

impl App {
    /// The digest of the report that an approval of the current gate carries; empty where what
    /// follows exposes nobody. One that was given must be of exactly what follows; where none was,
    /// it is computed over the workspaces that the flag service has seen, and kept.
    pub(crate) async fn blast_radius(
        &self,
        rollout: &Rollout,
        given: &str,
    ) -> Result<String, Fault> {
        let Some(definition) = next_definition(rollout) else { return Ok(given.to_owned()) };
        if given.is_empty() {
            return self.computed(rollout, definition).await;
        }
        let name = format!("flags/{}", rollout.plan.plan.flag);
        let mut client = BlastRadiusServiceClient::new(self.flag.clone());
        let request = GetBlastRadiusRequest { digest: given.to_owned() };
        let report = client.get_blast_radius(request).await;
        check(&report.map_err(|status| passed_on(&status))?.into_inner(), &name, &definition)?;
        Ok(given.to_owned())
    }

    /// The digest of the report of who would change with a step of the ramp; empty before the first
    /// phase.
    pub(crate) async fn step_radius(
        &self,
        rollout: &Rollout,
        share: BasisPoints,
    ) -> Result<String, Fault> {
        match rollout.phase() {
            Some(phase) => self.computed(rollout, definition(&phase.flag, share)).await,
            None => Ok(String::new()),
        }
    }

    /// Computes a report over the workspaces that the flag service has seen, and has it kept.
    async fn computed(
        &self,
        rollout: &Rollout,
        definition: FlagDefinition,
    ) -> Result<String, Fault> {
        let request = ComputeBlastRadiusRequest {
            name: format!("flags/{}", rollout.plan.plan.flag),
            definition: Some(definition),
            keep: true,
            ..ComputeBlastRadiusRequest::default()
        };
        let mut client = BlastRadiusServiceClient::new(self.flag.clone());
        let computed = client.compute_blast_radius(tokio_stream::iter([request])).await;
        Ok(computed.map_err(|status| passed_on(&status))?.into_inner().digest)
    }
}

/// What the flag becomes once the next phase is entered, at its first step; `None` after the last.
fn next_definition(rollout: &Rollout) -> Option<FlagDefinition> {
    let next = rollout.next_phase()?;
    let first = next.ramp.iter().map(|step| step.percentage).min();
    Some(definition(&next.flag, first.unwrap_or(next.flag.percentage)))
}

/// A phase's form of the flag, at a share.
pub(crate) fn definition(form: &FlagForm, share: BasisPoints) -> FlagDefinition {
    let listed = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect();
    FlagDefinition {
        enabled: form.enabled,
        allowlist: listed(&form.allowlist),
        denylist: listed(&form.denylist),
        percentage_basis_points: share.get().into(),
        exclusions: form.exclude.iter().map(wire_exclusion).collect(),
        ..FlagDefinition::default()
    }
}

fn check(report: &BlastRadius, name: &str, definition: &FlagDefinition) -> Result<(), Fault> {
    if report.name == name && report.definition.as_ref() == Some(definition) {
        return Ok(());
    }
    let why = format!(
        "blast radius {:.12} is of {}, under another definition than the next phase begins with: \
         compute it for that one, or leave it out",
        report.digest, report.name
    );
    Err(Fault::new(Code::FailedPrecondition, DOMAIN, "WRONG_BLAST_RADIUS", why.clone())
        .precondition("WRONG_BLAST_RADIUS", name, why)
        .with("blast_radius_digest", &report.digest))
}

/// What the flag service refused is refused alike; what it could not do can be tried again.
fn passed_on(status: &Status) -> Fault {
    let why = status.message().to_owned();
    if status.code() == Code::NotFound {
        return Fault::new(Code::NotFound, DOMAIN, "BLAST_RADIUS_NOT_FOUND", why);
    }
    if status.code() == Code::InvalidArgument {
        return Fault::field(DOMAIN, "blast_radius_digest", why);
    }
    Fault::peer_unavailable(DOMAIN, "the flag service", why)
}
