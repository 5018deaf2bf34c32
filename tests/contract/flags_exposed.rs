//! Whoever approves what raises exposure approves it for named workspaces.

use contracts::flag as pb;
use contracts::flag::blast_radius_service_client::BlastRadiusServiceClient;
use contracts::rollout as rollout_pb;
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::refused;
use crate::story::{
    ADA, FLAG, GATE_0, answers, approval, evidence_for_gate_0, gate_0_approved, judged, rollout,
    started, upload,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_approval_that_raises_exposure_carries_who_would_change() {
    let house = House::start().await;
    started(&house).await;
    answers(&house, "internal-test-workspace", pb::Reason::Allowlisted).await;
    for workspace in ["canary-ws-1", "internal-test-workspace", "somebody"] {
        house.admission().admit_upload(upload(FLAG, workspace, "u-1")).await.unwrap();
    }
    evidence_for_gate_0(&house).await;
    gate_0_approved(&house).await;
    let approvals = rollout(&house).await.approvals;
    assert!(!approvals.is_empty());
    for approval in approvals {
        let digest = approval.blast_radius_digest;
        let mut reports = BlastRadiusServiceClient::new(house.channel("flag"));
        let report = reports.get_blast_radius(pb::GetBlastRadiusRequest { digest }).await;
        let report = report.unwrap().into_inner();
        assert_eq!((report.name.as_str(), report.raises_exposure), (FLAG, true));
        // P1 lists the canaries, and no longer whom P0 listed.
        let changed: Vec<_> = report
            .affected
            .iter()
            .map(|one| (one.workspace_id.as_str(), one.variant_after.as_str()))
            .collect();
        assert!(changed.contains(&("canary-ws-1", "on")), "{changed:?}");
        assert!(changed.contains(&("internal-test-workspace", "off")), "{changed:?}");
        assert!(changed.iter().all(|(workspace, _)| *workspace != "somebody"), "{changed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blast_radius_of_anything_else_is_not_accepted_with_an_approval() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    let request = pb::ComputeBlastRadiusRequest {
        name: FLAG.to_owned(),
        definition: Some(pb::FlagDefinition::default()),
        keep: true,
        ..Default::default()
    };
    let mut reports = BlastRadiusServiceClient::new(house.channel("flag"));
    let harmless = reports.compute_blast_radius(ask(ADA, tokio_stream::iter([request]))).await;
    let harmless = harmless.unwrap().into_inner().digest;
    let digest = judged(&house, GATE_0, false).await.digest;
    let approve = |blast_radius_digest: String| {
        let approval = approval("engineering_lead", &digest);
        ask(ADA, rollout_pb::ApproveGateRequest { blast_radius_digest, ..approval })
    };
    let rule = (Code::FailedPrecondition, "WRONG_BLAST_RADIUS");
    let says = ["another definition", "compute it for that one"];
    refused(&house, house.rollouts().approve_gate(approve(harmless)), rule, &says).await;
    let rule = (Code::NotFound, "BLAST_RADIUS_NOT_FOUND");
    let unknown = approve("0".repeat(64));
    refused(&house, house.rollouts().approve_gate(unknown), rule, &["no report"]).await;
}
