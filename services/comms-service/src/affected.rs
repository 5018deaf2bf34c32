//! Whom a rollback touches, and by which revision of the flag they were on.

use std::collections::BTreeSet;

use comms_core::News;
use contracts::flag as flag_pb;
use contracts::flag::flag_history_service_client::FlagHistoryServiceClient;
use contracts::gate::ListMetricsRequest;
use contracts::gate::gate_service_client::GateServiceClient;
use service_kit::peers::Peer;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::wire::time_of;
use vocab::{Timestamp, WorkspaceId};

use crate::app::App;
use crate::convert::{Concern, Occurrence, What};

/// As many as the gate service tells apart.
const WORKSPACES_MAX: u8 = 100;
/// Looked at for the one that was in force: a page, in which a rollback's own are the newest.
const REVISIONS_MAX: i32 = 50;

/// Who can say.
#[derive(Debug, Clone)]
pub(crate) struct Askable {
    pub(crate) gate: Peer,
    pub(crate) flag: Peer,
}

/// Those whom an event touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Affected {
    /// The workspaces with uploads in the phase that is left; `None` where nobody can name them all.
    pub(crate) workspaces: Option<Vec<WorkspaceId>>,
    /// The revision of the flag that was in force when it happened; 0 where nobody can say.
    pub(crate) flag_revision: u64,
}

/// Those whom a rollback touches; of anything else nobody in particular. Nothing waits for it: told
/// in vain beats not told.
pub(crate) async fn of(app: &App, askable: &Askable, occurrence: &Occurrence) -> Affected {
    let What::News(Concern::Rollout(rollout), News::RollbackStarted { .. }) = &occurrence.what
    else {
        return Affected::default();
    };
    let plan = app.state().state.plans.get(rollout).map(|applied| applied.plan.flag.clone());
    let flag_revision = match plan {
        None => 0,
        Some(flag) => in_force(&askable.flag, &format!("flags/{flag}"), occurrence.time).await,
    };
    Affected { workspaces: workspaces(&askable.gate, rollout).await, flag_revision }
}

async fn workspaces(gate: &Peer, rollout: &str) -> Option<Vec<WorkspaceId>> {
    let mut client =
        GateServiceClient::new(gate.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX);
    let request = ListMetricsRequest {
        parent: rollout.to_owned(),
        by_platform: false,
        workspace_count: WORKSPACES_MAX.into(),
    };
    let metrics = match client.list_metrics(request).await {
        Ok(listed) => listed.into_inner().metrics,
        Err(status) => {
            let why = status.message();
            tracing::warn!(rollout, why, "cannot learn who is affected: all clients are told");
            return None;
        }
    };
    let named: BTreeSet<_> = metrics
        .into_iter()
        .filter(|one| !one.workspace_id.is_empty() && one.sample_count > 0)
        .map(|one| one.workspace_id)
        .collect();
    let all =
        !named.is_empty() && !named.contains("other") && named.len() < usize::from(WORKSPACES_MAX);
    all.then(|| named.iter().filter_map(|id| WorkspaceId::new(id).ok()).collect())
}

async fn in_force(flag: &Peer, name: &str, at: Timestamp) -> u64 {
    let mut client =
        FlagHistoryServiceClient::new(flag.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX);
    let request = flag_pb::ListFlagRevisionsRequest {
        name: name.to_owned(),
        page_size: REVISIONS_MAX,
        page_token: String::new(),
    };
    match client.list_flag_revisions(request).await {
        Ok(listed) => newest_before(&listed.into_inner().revisions, at),
        Err(status) => {
            let why = status.message();
            tracing::warn!(
                flag = name,
                why,
                "cannot learn which revision of the flag was in force"
            );
            0
        }
    }
}

/// The newest revision that is not younger than `at`; they come newest first.
fn newest_before(revisions: &[flag_pb::FlagRevision], at: Timestamp) -> u64 {
    let then = revisions.iter().find(|one| time_of(one.occur_time.as_ref()) <= at);
    then.map_or(0, |one| u64::try_from(one.revision).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::wire::wire_time;

    #[test]
    fn the_revision_in_force_is_the_last_one_before_the_rollback_lowers_the_flag() {
        let revision = |revision: i64, at_ms: i64| flag_pb::FlagRevision {
            revision,
            occur_time: Some(wire_time(Timestamp::from_millis(at_ms))),
            ..flag_pb::FlagRevision::default()
        };
        let newest_first = [revision(9, 5_000), revision(7, 3_000), revision(2, 1_000)];
        let at = |at_ms| newest_before(&newest_first, Timestamp::from_millis(at_ms));
        assert_eq!((at(4_999), at(5_000), at(3_500), at(999)), (7, 9, 7, 0));
    }
}
