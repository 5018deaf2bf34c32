//! What people state: by role, for a time, by distinct people, and withdrawn.

use contracts::gate as pb;
use tonic::Code;

use crate::site::{ROLLOUT, Site, ask, plan};

async fn state(site: &Site, who: &str, role: &str, criterion: &str) {
    let request = pb::AttestCriterionRequest {
        name: format!("{ROLLOUT}/criteria/{criterion}"),
        role: role.to_owned(),
        evidence: "https://wiki.example.com/evidence".to_owned(),
        statement: "seen".to_owned(),
        request_id: String::new(),
    };
    let stated = site.gates.clone().attest_criterion(ask(who, role, request)).await;
    stated.expect("the statement is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_off_needs_every_role_and_another_person_for_each() {
    let site = Site::new().await;
    site.enter("P4", 1, 10_000, &plan(&[])).await;
    let judged = async || site.judged("ga", "ga-sign-off").await;
    state(&site, "ada", "engineering_lead", "ga-sign-off").await;
    state(&site, "ada", "product_manager", "ga-sign-off").await;
    assert_eq!(judged().await.reason, "not signed by everybody: waits for sre_lead");
    state(&site, "sam", "sre_lead", "ga-sign-off").await;
    let two_roles = judged().await;
    assert_eq!(two_roles.verdict(), pb::Verdict::Inconclusive);
    assert!(two_roles.reason.contains("another person"), "{two_roles:?}");
    state(&site, "pia", "product_manager", "ga-sign-off").await;
    let signed = judged().await;
    assert_eq!((signed.verdict(), signed.value.as_str()), (pb::Verdict::Pass, "3 of 3"));
    assert_eq!(signed.attestations.len(), 4, "the report keeps who signed what");
    let withdraw = pb::WithdrawAttestationRequest {
        name: format!("{ROLLOUT}/criteria/ga-sign-off"),
        reason: "too early".to_owned(),
    };
    let withdrawn = site.gates.clone().withdraw_attestation(ask("sam", "sre_lead", withdraw)).await;
    assert!(withdrawn.expect("it is withdrawn").into_inner().withdrawn);
    assert_eq!(judged().await.verdict(), pb::Verdict::Inconclusive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_expires_and_can_be_made_again() {
    let site = Site::hurried(10_000_000).await; // Four months in a second.
    site.enter("P4", 1, 10_000, &plan(&[])).await;
    state(&site, "pia", "product_manager", "ga-client-feedback").await;
    let expired = test_kit::eventually("the statement expires", async || {
        let judged = site.judged("ga", "ga-client-feedback").await;
        (judged.reason_code() == pb::Reason::Expired).then_some(judged)
    });
    let expired = expired.await;
    assert_eq!(expired.verdict(), pb::Verdict::Inconclusive, "{expired:?}");
    state(&site, "pia", "product_manager", "ga-client-feedback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_report_never_changes_and_is_found_by_its_digest() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let kept = site.report("gate-1", false).await;
    site.uploads("later", 60, 0).await;
    let find = pb::GetGateReportRequest { name: ROLLOUT.to_owned(), digest: kept.digest.clone() };
    let found = site.gates.clone().get_gate_report(find).await.expect("it is kept").into_inner();
    assert_eq!(found, kept);
    let newer = site.report("gate-1", false).await;
    assert_ne!(newer.digest, kept.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_judged_and_shown_and_does_not_count() {
    let dry = ("- id: gate-0-uploads\n", "- id: gate-0-uploads\n          dry_run: true\n");
    let site = Site::new().await;
    site.enter("P0", 1, 0, &plan(&[dry])).await;
    let judged = site.judged("gate-0", "gate-0-uploads").await;
    assert!(judged.dry_run && judged.verdict() == pb::Verdict::Inconclusive, "{judged:?}");
    let unknown =
        pb::EvaluateGateRequest { name: format!("{ROLLOUT}/gates/gate-9"), validate_only: true };
    let status = site.gates.clone().evaluate_gate(unknown).await.expect_err("there is none");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("gate-0") && status.message().contains("ga"), "{status:?}");
}
