//! A gate service that fails as often as it is told to, and remembers every attempt.

use std::collections::VecDeque;
use std::sync::Mutex;

use contracts::gate as pb;
use contracts::gate::signal_service_server::SignalService;
use tonic::{Request, Response, Status, Streaming};

use crate::platform::locked;

#[derive(Default)]
pub(crate) struct Gate {
    failures: Mutex<VecDeque<Status>>,
    outcomes: Mutex<Vec<pb::ReportOutcomesRequest>>,
    signals: Mutex<Vec<pb::ReportSignalsRequest>>,
}

impl Gate {
    /// Answers the next calls with these, and then counts.
    pub(crate) fn fail(&self, failures: impl IntoIterator<Item = Status>) {
        locked(&self.failures).extend(failures);
    }

    /// Every attempt to report outcomes.
    pub(crate) fn outcomes(&self) -> Vec<pb::ReportOutcomesRequest> {
        locked(&self.outcomes).clone()
    }

    /// Every attempt to report signals.
    pub(crate) fn signals(&self) -> Vec<pb::ReportSignalsRequest> {
        locked(&self.signals).clone()
    }

    fn next(&self) -> Result<(), Status> {
        locked(&self.failures).pop_front().map_or(Ok(()), Err)
    }
}

#[tonic::async_trait]
impl SignalService for Gate {
    async fn report_outcomes(
        &self,
        request: Request<pb::ReportOutcomesRequest>,
    ) -> Result<Response<pb::ReportOutcomesResponse>, Status> {
        locked(&self.outcomes).push(request.into_inner());
        self.next()?;
        Ok(Response::new(pb::ReportOutcomesResponse { duplicate: false }))
    }

    async fn stream_outcomes(
        &self,
        _reports: Request<Streaming<pb::StreamOutcomesRequest>>,
    ) -> Result<Response<pb::StreamOutcomesResponse>, Status> {
        Err(Status::unimplemented("the client sends batches"))
    }

    async fn report_signals(
        &self,
        request: Request<pb::ReportSignalsRequest>,
    ) -> Result<Response<pb::ReportSignalsResponse>, Status> {
        locked(&self.signals).push(request.into_inner());
        self.next()?;
        Ok(Response::new(pb::ReportSignalsResponse { duplicate: false }))
    }
}
