//! Asking the gate service: what it judges now, and what somebody saw earlier.

use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::{EvaluateGateRequest, GetGateReportRequest};
use rollout_core::Report;
use service_kit::fault::Fault;
use tonic::{Code, Status};

use crate::app::App;
use crate::convert::report;
use crate::error::DOMAIN;

impl App {
    /// Judges a gate now; the report is kept, since a decision may rest on it.
    pub(crate) async fn judge(
        &self,
        rollout: &str,
        gate: &str,
        validate_only: bool,
    ) -> Result<Report, Fault> {
        let name = format!("{rollout}/gates/{gate}");
        let request = EvaluateGateRequest { name, validate_only };
        let answer = GateServiceClient::new(self.gate.clone()).evaluate_gate(request).await;
        Ok(report(&answer.map_err(|status| passed_on(&status))?.into_inner()))
    }

    /// The report with a digest, as it was kept.
    pub(crate) async fn kept(&self, rollout: &str, digest: &str) -> Result<Report, Fault> {
        let (name, digest) = (rollout.to_owned(), digest.to_owned());
        let request = GetGateReportRequest { name, digest };
        let answer = GateServiceClient::new(self.gate.clone()).get_gate_report(request).await;
        Ok(report(&answer.map_err(|status| passed_on(&status))?.into_inner()))
    }
}

/// What the gate service refused is refused alike; what it could not do can be tried again.
fn passed_on(status: &Status) -> Fault {
    let why = status.message().to_owned();
    match status.code() {
        Code::NotFound => Fault::new(Code::NotFound, DOMAIN, "REPORT_NOT_FOUND", why),
        Code::FailedPrecondition => {
            Fault::new(Code::FailedPrecondition, DOMAIN, "GATE_NOT_JUDGED", why)
        }
        Code::InvalidArgument => Fault::new(Code::InvalidArgument, DOMAIN, "FIELD_INVALID", why),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Fault::peer_unavailable(DOMAIN, "the gate service", why),
    }
}
