//! Whether the plans that rollouts are carried out by can be read, and the gate service judges by
//! the same.

use contracts::gate as gate_pb;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::rollout as pb;
use contracts::rollout::rollout::State;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use credentials::Credentials;
use plan::Plan;
use service_kit::peers::{Peer, peer};
use service_kit::propagation::Outgoing;
use tonic::{Code, Status};

use super::service::{TIMEOUT, words};
use super::{Check, Verdict};
use crate::endpoints::Endpoints;

const PAGE: i32 = 1_000;
const SUBJECT: &str = "rollout";
const PLAN: &str = "plan";

/// Checks the plan of every rollout that is not over. Nothing is said where the services do not
/// answer: that is said already.
pub(super) async fn check(endpoints: &Endpoints, credentials: &Credentials) -> Vec<Check> {
    let to = |name, address| peer(name, address, Outgoing::default(), credentials, TIMEOUT).ok();
    let (rollouts, gates) = (to("rollout", &endpoints.rollout), to("gate", &endpoints.gate));
    let (Some(rollouts), Some(gates)) = (rollouts, gates) else { return Vec::new() };
    let mut asking = Asking {
        rollouts: RolloutServiceClient::new(rollouts),
        gates: GateServiceClient::new(gates),
    };
    match asking.all().await {
        Ok(checks) => checks,
        Err(status) if status.code() == Code::Unavailable => Vec::new(),
        Err(status) => vec![not_told(&status, credentials)],
    }
}

/// The first call of the doctor for which somebody has to be known.
fn not_told(status: &Status, credentials: &Credentials) -> Check {
    let nobody = status.code() == Code::Unauthenticated;
    let (verdict, right) = if nobody && !credentials.has_token() {
        (Verdict::Warning, "--token-file: without one nobody is told of rollouts")
    } else if nobody {
        (Verdict::Failure, "--token-file with a token that is good")
    } else if status.code() == Code::PermissionDenied {
        (Verdict::Warning, "a token that may look: viewer, operator, approver or admin")
    } else {
        (Verdict::Failure, "an answer about its rollouts")
    };
    Check::new(SUBJECT, PLAN, verdict, words(status), right)
}

struct Asking {
    rollouts: RolloutServiceClient<Peer>,
    gates: GateServiceClient<Peer>,
}

impl Asking {
    async fn all(&mut self) -> Result<Vec<Check>, Status> {
        let mut checks = Vec::new();
        let mut request = pb::ListRolloutsRequest { page_size: PAGE, ..Default::default() };
        loop {
            let page = self.rollouts.list_rollouts(request.clone()).await?.into_inner();
            let going_on = page.rollouts.iter().filter(|one| one.state() != State::Archived);
            for rollout in going_on {
                checks.push(self.one(rollout).await?);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        if checks.is_empty() {
            checks.push(Check::ok(SUBJECT, PLAN, "no rollout is under way"));
        }
        Ok(checks)
    }

    async fn one(&mut self, rollout: &pb::Rollout) -> Result<Check, Status> {
        let name = rollout.plan_version.clone();
        let request = pb::GetPlanVersionRequest { name };
        let version = self.rollouts.get_plan_version(request).await?.into_inner();
        let name = format!("{}/gatePlan", rollout.name);
        let judged = match self.gates.get_gate_plan(gate_pb::GetGatePlanRequest { name }).await {
            Ok(judged) => Some(judged.into_inner()),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status),
        };
        Ok(judge(rollout, &version, judged.as_ref()))
    }
}

fn judge(
    rollout: &pb::Rollout,
    version: &pb::PlanVersion,
    judged: Option<&gate_pb::GatePlan>,
) -> Check {
    let id = rollout.name.strip_prefix("rollouts/").unwrap_or(&rollout.name);
    let failed = |found: String, right: &str| {
        Check::new(SUBJECT, PLAN, Verdict::Failure, format!("{id}: {found}"), right)
    };
    let text = String::from_utf8_lossy(&version.source);
    if let Err(problems) = Plan::parse(&text) {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        let found = format!("{} cannot be read: {first}", version.name);
        return failed(found, "the release that the plan was stored with, or another plan");
    }
    let waits =
        "the gate service to be told: look whether it is reachable from the rollout service";
    match judged {
        None if rollout.state() == State::Pending => {}
        None => return failed("the gate service has no plan of it".to_owned(), waits),
        Some(judged) if judged.plan_digest != version.digest && !rollout.reconciling => {
            return failed("the gate service judges by another plan".to_owned(), waits);
        }
        Some(_) if rollout.reconciling => {
            let found = format!("{id}: flag and gate service have yet to be told of a change");
            return Check::new(SUBJECT, PLAN, Verdict::Warning, found, waits);
        }
        Some(_) => {}
    }
    let open = &version.open_approval_roles;
    if rollout.state() == State::Pending && !rollout.demo && !open.is_empty() {
        let found = format!("{id}: {} is not approved by {}", version.name, open.join(", "));
        let right = "`softlaunch plan approve` by each: it does not start before";
        return Check::new(SUBJECT, PLAN, Verdict::Warning, found, right);
    }
    Check::ok(SUBJECT, PLAN, format!("{id}: {}", version.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(state: State) -> pb::Rollout {
        pb::Rollout { name: "rollouts/one".to_owned(), state: state.into(), ..Default::default() }
    }

    fn version() -> pb::PlanVersion {
        pb::PlanVersion {
            source: plan::SHIPPED.as_bytes().to_vec(),
            digest: "right".to_owned(),
            ..Default::default()
        }
    }

    fn by(digest: &str) -> gate_pb::GatePlan {
        gate_pb::GatePlan { plan_digest: digest.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_rollout_judged_by_its_own_plan_is_well_and_by_another_or_none_is_not() {
        let running = rollout(State::Running);
        let verdict = |gate: Option<&gate_pb::GatePlan>| judge(&running, &version(), gate).verdict;
        assert_eq!(verdict(Some(&by("right"))), Verdict::Ok);
        assert_eq!(verdict(Some(&by("wrong"))), Verdict::Failure);
        assert_eq!(verdict(None), Verdict::Failure);
        assert_eq!(judge(&rollout(State::Pending), &version(), None).verdict, Verdict::Ok);
        let told = pb::Rollout { reconciling: true, ..running.clone() };
        assert_eq!(judge(&told, &version(), Some(&by("wrong"))).verdict, Verdict::Warning);
    }

    #[test]
    fn a_plan_that_this_release_cannot_read_fails_and_one_nobody_approved_is_warned_of() {
        let broken = pb::PlanVersion { source: b"phases: 1".to_vec(), ..version() };
        let found = judge(&rollout(State::Running), &broken, Some(&by("right")));
        assert_eq!(found.verdict, Verdict::Failure);
        assert!(found.found.contains("cannot be read"), "{}", found.found);
        let open =
            pb::PlanVersion { open_approval_roles: vec!["sre_lead".to_owned()], ..version() };
        let found = judge(&rollout(State::Pending), &open, None);
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.found.contains("not approved by sre_lead"), "{}", found.found);
    }
}
