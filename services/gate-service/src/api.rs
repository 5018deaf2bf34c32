//! The rpcs: decode, call the app, encode.

use std::sync::Arc;

use contracts::gate as pb;
use contracts::gate::gate_service_server::GateService;
use service_kit::access::Access;
use service_kit::fault::{Fault, check_text, checked, last_part};
use service_kit::identity::{actor, require};
use service_kit::journaled::{command, request_key, stream_records};
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use store::Record;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use vocab::Role;

use crate::app::App;
use crate::attestation::Statement;
use crate::convert::gate_plan;
use crate::error::{DOMAIN, Refusal};
use crate::state::happened;
use crate::unread::Unread;
use crate::unread::server::signal_service_server::SignalService;
use crate::watched::{Reading, find_gate};

const EVIDENCE_LENGTH_MAX: usize = 2_000;
const REPORTS_HANDLED_KEY: &str = "softlaunch-reports-counted"; // Of a stream that was refused.

/// The services on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

impl Api {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

type Answer<T> = Result<Response<T>, Status>;

/// Splits `rollouts/r/<collection>/id` into the rollout's name and the id.
fn child<'a>(path: &str, name: &'a str, collection: &str) -> Result<(&'a str, &'a str), Fault> {
    let middle = format!("/{collection}/");
    let parts = name.split_once(&middle).filter(|(_, id)| !id.is_empty() && !id.contains('/'));
    let (rollout, id) = parts.ok_or_else(|| {
        let shown = vocab::excerpt(name);
        let why =
            format!("`{shown}` is not of the form `rollouts/{{rollout}}/{collection}/{{id}}`");
        Fault::field(DOMAIN, path, why)
    })?;
    last_part(DOMAIN, path, rollout, "rollouts")?;
    Ok((rollout, id))
}

#[tonic::async_trait]
impl GateService for Api {
    async fn apply_gate_plan(
        &self,
        request: Request<pb::ApplyGatePlanRequest>,
    ) -> Answer<pb::GatePlan> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        Reading::of(&request.plan_source)
            .map_err(|why| Fault::field(DOMAIN, "plan_source", why))?;
        if !(0..=10_000).contains(&request.percentage_basis_points) {
            let why = "expected 0 to 10000";
            return Err(Fault::field(DOMAIN, "percentage_basis_points", why).into());
        }
        if request.generation < 1 || request.phase_generation < 1 {
            return Err(Fault::field(DOMAIN, "generation", "expected 1 or more").into());
        }
        let applied = pb::GatePlanApplied {
            rollout: request.rollout,
            plan_source: request.plan_source,
            generation: request.generation,
            phase_id: request.phase_id,
            start_time: request.start_time,
            passed_gates: request.passed_gates,
            phase_generation: request.phase_generation,
            percentage_basis_points: request.percentage_basis_points,
            rearm_generation: request.rearm_generation,
        };
        let command = command(&self.app.clock, actor, "told by the conductor", None);
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let watched = app.apply_plan(command, applied).await?;
            Ok(gate_plan(&watched))
        })
        .await
        .map(Response::new)
    }

    async fn get_gate_plan(
        &self,
        request: Request<pb::GetGatePlanRequest>,
    ) -> Answer<pb::GatePlan> {
        let name = &request.get_ref().name;
        let rollout = name
            .strip_suffix("/gatePlan")
            .ok_or_else(|| Fault::field(DOMAIN, "name", "expected rollouts/{rollout}/gatePlan"))?;
        let watched = self.app.watched(rollout).map_err(Fault::from)?;
        Ok(Response::new(gate_plan(&watched)))
    }

    async fn evaluate_gate(
        &self,
        request: Request<pb::EvaluateGateRequest>,
    ) -> Answer<pb::GateReport> {
        if !request.get_ref().validate_only {
            require(&request, &[Access::Operator, Access::Approver])?;
        }
        let actor = actor(&request)?;
        let request = request.into_inner();
        child("name", &request.name, "gates")?;
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let (rollout, gate) = child("name", &request.name, "gates")?;
            let keep = (!request.validate_only).then_some(actor);
            Ok(app.evaluate(rollout, gate, keep).await?)
        })
        .await
        .map(Response::new)
    }

    async fn get_gate_report(
        &self,
        request: Request<pb::GetGateReportRequest>,
    ) -> Answer<pb::GateReport> {
        let request = request.into_inner();
        let rollout = request.name.split("/gates/").next().unwrap_or_default();
        let watched = self.app.watched(rollout).map_err(Fault::from)?;
        let wanted = |report: &&Arc<pb::GateReport>| {
            if request.digest.is_empty() {
                report.name == request.name
            } else {
                report.digest == request.digest
            }
        };
        let found = watched.reports.iter().find(wanted);
        let shown = if request.digest.is_empty() { &request.name } else { &request.digest };
        let found = found.ok_or_else(|| Refusal::ReportNotFound(vocab::excerpt(shown)));
        Ok(Response::new(found.map_err(Fault::from)?.as_ref().clone()))
    }

    async fn list_gate_reports(
        &self,
        request: Request<pb::ListGateReportsRequest>,
    ) -> Answer<pb::ListGateReportsResponse> {
        let request = request.into_inner();
        let (rollout, gate) = child("parent", &request.parent, "gates")?;
        let watched = self.app.watched(rollout).map_err(Fault::from)?;
        find_gate(&watched, gate).map_err(Fault::from)?;
        let page = page(DOMAIN, &request.parent, request.page_size, &request.page_token)?;
        // Newest first. The key counts from the oldest: new reports do not shift pages behind them.
        let nth = (0..watched.reports_kept).rev();
        let own = nth.zip(&watched.reports).filter(|(_, report)| report.gate == request.parent);
        let own = own.map(|(nth, report)| (format!("{:020}", u64::MAX - nth), (**report).clone()));
        let (gate_reports, next_page_token) = cut(&request.parent, &page, own);
        Ok(Response::new(pb::ListGateReportsResponse { gate_reports, next_page_token }))
    }

    async fn list_metrics(
        &self,
        request: Request<pb::ListMetricsRequest>,
    ) -> Answer<pb::ListMetricsResponse> {
        let metrics = self.app.metrics(&request.into_inner()).await?;
        Ok(Response::new(pb::ListMetricsResponse { metrics }))
    }

    async fn attest_criterion(
        &self,
        request: Request<pb::AttestCriterionRequest>,
    ) -> Answer<pb::Attestation> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let (rollout, criterion) = child("name", &request.name, "criteria")?;
        let link =
            ["http://", "https://"].iter().any(|scheme| request.evidence.starts_with(scheme));
        if !link || request.evidence.len() > EVIDENCE_LENGTH_MAX {
            let why = "expected a link to the evidence: an http or https address, at most 2000 characters";
            return Err(Fault::field(DOMAIN, "evidence", why).into());
        }
        let statement = Statement {
            rollout: rollout.to_owned(),
            criterion: criterion.to_owned(),
            role: checked(DOMAIN, "role", Role::new(&request.role))?,
            evidence: request.evidence.clone(),
            statement: check_text(DOMAIN, "statement", &request.statement, false)?,
        };
        let key = request_key(DOMAIN, "AttestCriterion", &request.request_id, &request)?;
        let command = command(&self.app.clock, actor, request.statement, key);
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.attest(command, statement).await?) })
            .await
            .map(Response::new)
    }

    async fn withdraw_attestation(
        &self,
        request: Request<pb::WithdrawAttestationRequest>,
    ) -> Answer<pb::Attestation> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        child("name", &request.name, "criteria")?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let command = command(&self.app.clock, actor, reason, None);
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let (rollout, criterion) = child("name", &request.name, "criteria")?;
            Ok(app.withdraw(command, rollout, criterion).await?)
        })
        .await
        .map(Response::new)
    }

    async fn list_triggers(
        &self,
        request: Request<pb::ListTriggersRequest>,
    ) -> Answer<pb::ListTriggersResponse> {
        let request = request.into_inner();
        let triggers = self.app.triggers(&request.parent, request.kind()).await?;
        Ok(Response::new(pb::ListTriggersResponse { triggers }))
    }

    type WatchTriggersStream = ReceiverStream<Result<pb::WatchTriggersResponse, Status>>;

    async fn watch_triggers(
        &self,
        request: Request<pb::WatchTriggersRequest>,
    ) -> Answer<Self::WatchTriggersStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        let (replica, shutdown) = (Arc::clone(&self.app.replica), self.app.shutdown.clone());
        let convert = |record: &Record| happened(record).transpose();
        Ok(Response::new(stream_records(replica, after, shutdown, convert)))
    }

    async fn get_ga_record(
        &self,
        request: Request<pb::GetGaRecordRequest>,
    ) -> Answer<pb::GaRecord> {
        let name = &request.get_ref().name;
        let rollout = name
            .strip_suffix("/gaRecord")
            .ok_or_else(|| Fault::field(DOMAIN, "name", "expected rollouts/{rollout}/gaRecord"))?;
        Ok(Response::new(self.app.ga_record(rollout).map_err(Fault::from)?))
    }
}

/// Counts report after report, each in a task of its own, until the caller ends its half.
async fn streamed(
    app: &Arc<App>,
    mut reports: Streaming<Unread>,
) -> Result<pb::StreamOutcomesResponse, Status> {
    let mut answer = pb::StreamOutcomesResponse::default();
    let mut handled: i64 = 0;
    while let Some(next) = reports.message().await? {
        let app = Arc::clone(app);
        let counted = uncancelled(async move {
            let missing = || Fault::field(DOMAIN, "report", "is required");
            app.count(&next.report()?.ok_or_else(missing)?).await
        });
        match counted.await {
            Ok(true) => answer.duplicate_count += 1,
            Ok(false) => answer.counted_count += 1,
            Err(mut status) => {
                status.metadata_mut().insert(REPORTS_HANDLED_KEY, handled.into());
                return Err(status);
            }
        }
        handled += 1;
    }
    Ok(answer)
}

#[tonic::async_trait]
impl SignalService for Api {
    async fn stream_outcomes(
        &self,
        request: Request<Streaming<Unread>>,
    ) -> Answer<pb::StreamOutcomesResponse> {
        streamed(&self.app, request.into_inner()).await.map(Response::new)
    }

    async fn report_outcomes(
        &self,
        request: Request<Unread>,
    ) -> Answer<pb::ReportOutcomesResponse> {
        let (app, report) = (Arc::clone(&self.app), request.into_inner());
        uncancelled(async move {
            Ok(pb::ReportOutcomesResponse { duplicate: app.count(&report).await? })
        })
        .await
        .map(Response::new)
    }

    async fn report_signals(
        &self,
        request: Request<pb::ReportSignalsRequest>,
    ) -> Answer<pb::ReportSignalsResponse> {
        let actor = actor(&request)?;
        let command = command(&self.app.clock, actor, "signals reported", None);
        let (app, request) = (Arc::clone(&self.app), request.into_inner());
        uncancelled(async move {
            Ok(pb::ReportSignalsResponse { duplicate: app.record(&request, command).await? })
        })
        .await
        .map(Response::new)
    }
}
