//! Attestations: who may state that a criterion is met, and with what.

use contracts::gate as pb;
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{
    ADA, BOB, GATE_0, PIA, ROLLOUT, attest, attestation, created, entry_of_p1_attested, judged,
    started,
};

const ENTRY: &str = "p0-dashboard-live";

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_by_the_wrong_person_or_of_the_wrong_thing_is_refused() {
    let house = House::start().await;
    created(&house).await;
    let lead = "engineering_lead";
    let held = |reason| (Code::FailedPrecondition, reason);
    let cases = [
        (
            ask(BOB, attestation(lead, ENTRY)),
            (Code::PermissionDenied, "ROLE_MISSING"),
            ["bob does not hold", "act as somebody who does"],
        ),
        (
            ask(PIA, attestation("product_manager", ENTRY)),
            held("ROLE_NOT_ASKED"),
            ["not attested by product_manager", "engineering_lead, sre_lead"],
        ),
        (
            ask(ADA, attestation(lead, "p9-moon-full")),
            (Code::NotFound, "CRITERION_NOT_FOUND"),
            ["no criterion p9-moon-full", "see the gate report"],
        ),
        (
            ask(ADA, attestation(lead, "gate-0-uploads")),
            held("NOT_ATTESTED"),
            ["judged by a metric", "not by a person"],
        ),
        (
            ask(ADA, attestation(lead, "gate-0-kill-switch-tested")),
            held("NOT_ATTESTED"),
            ["what the system observes", "not by a person"],
        ),
    ];
    for (call, rule, says) in cases {
        refused(&house, house.gates().attest_criterion(call), rule, &says).await;
    }
    let nowhere = pb::AttestCriterionRequest {
        name: format!("rollouts/other/criteria/{ENTRY}"),
        ..attestation(lead, ENTRY)
    };
    let rule = (Code::NotFound, "ROLLOUT_NOT_FOUND");
    let says = ["nothing is known of rollouts/other"];
    refused(&house, house.gates().attest_criterion(ask(ADA, nowhere)), rule, &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_needs_a_link_a_role_and_a_name() {
    let house = House::start().await;
    created(&house).await;
    let good = || attestation("engineering_lead", ENTRY);
    let link =
        |evidence: &str| pb::AttestCriterionRequest { evidence: evidence.to_owned(), ..good() };
    let endless = link(&format!("https://x/{}", "y".repeat(2_000)));
    for (call, says) in [
        (link(""), ["evidence", "http or https"]),
        (link("trust me"), ["evidence", "http or https"]),
        (link("javascript:alert(1)"), ["evidence", "http or https"]),
        (endless, ["evidence", "at most 2000"]),
        (pb::AttestCriterionRequest { role: String::new(), ..good() }, ["role", "expected"]),
        (pb::AttestCriterionRequest { role: "Boss!".to_owned(), ..good() }, ["role", "a-z"]),
        (pb::AttestCriterionRequest { name: ENTRY.to_owned(), ..good() }, ["name", "criteria"]),
        (
            pb::AttestCriterionRequest { statement: "x".repeat(1_001), ..good() },
            ["statement", "at most 1000"],
        ),
        (
            pb::AttestCriterionRequest { request_id: "1".to_owned(), ..good() },
            ["request_id", "not a UUID"],
        ),
    ] {
        refused_field(&house, house.gates().attest_criterion(ask(ADA, call)), &says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_attestation_opens_its_criterion_again() {
    let house = House::start().await;
    started(&house).await;
    let entry = "rollouts/ingestion-v2/gates/p1-entry";
    let open = async || {
        let report = judged(&house, entry, true).await;
        let open = report.criteria.into_iter().filter(|one| one.verdict() != pb::Verdict::Pass);
        open.map(|one| one.criterion_id).collect::<Vec<_>>()
    };
    entry_of_p1_attested(&house).await;
    assert_eq!(open().await, ["p1-gate-0-passed"]);
    let name = format!("{ROLLOUT}/criteria/p1-rollback-documented");
    let reason = "the link is dead".to_owned();
    let withdraw = pb::WithdrawAttestationRequest { name, reason };
    let silent = pb::WithdrawAttestationRequest { reason: String::new(), ..withdraw.clone() };
    let call = ask(BOB, silent);
    refused_field(&house, house.gates().withdraw_attestation(call), &["reason", "required"]).await;
    house.gates().withdraw_attestation(ask(BOB, withdraw.clone())).await.unwrap();
    assert_eq!(open().await, ["p1-gate-0-passed", "p1-rollback-documented"]);
    let nothing = pb::WithdrawAttestationRequest {
        name: format!("{ROLLOUT}/criteria/gate-1-data-integrity"),
        ..withdraw
    };
    let rule = (Code::FailedPrecondition, "NOTHING_TO_WITHDRAW");
    let call = ask(BOB, nothing);
    refused(&house, house.gates().withdraw_attestation(call), rule, &["gate-1-data-integrity"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_statement_again_writes_nothing() {
    let house = House::start().await;
    created(&house).await;
    attest(&house, ADA, ENTRY).await;
    let before = house.journals().await;
    attest(&house, ADA, ENTRY).await;
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_not_there_or_not_due_is_not_judged() {
    let house = House::start().await;
    created(&house).await;
    let judge = |gate: &str| {
        let name = format!("{ROLLOUT}/gates/{gate}");
        ask(ADA, pb::EvaluateGateRequest { name, validate_only: false })
    };
    let rule = (Code::NotFound, "GATE_NOT_FOUND");
    let call = judge("gate-9");
    refused(&house, house.gates().evaluate_gate(call), rule, &["no gate gate-9", "gate-0"]).await;
    let rule = (Code::FailedPrecondition, "WRONG_PHASE");
    let call = judge("gate-0");
    refused(&house, house.gates().evaluate_gate(call), rule, &["gate-0 ends P0", "no phase yet"])
        .await;
    let name = "gate-0".to_owned();
    let call = ask(ADA, pb::EvaluateGateRequest { name, validate_only: true });
    refused_field(&house, house.gates().evaluate_gate(call), &["name", "/gates/"]).await;
    let report = pb::GetGateReportRequest {
        name: format!("{GATE_0}/reports/0123456789abcdef"),
        digest: String::new(),
    };
    let rule = (Code::NotFound, "REPORT_NOT_FOUND");
    refused(&house, house.gates().get_gate_report(report), rule, &["evaluate the gate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_reports_stay_put_while_new_ones_are_kept() {
    let house = House::start().await;
    started(&house).await;
    let mut kept = Vec::new();
    for _nth in 0..3 {
        kept.push(judged(&house, GATE_0, false).await.digest);
    }
    let page = async |page_token: String| {
        let parent = GATE_0.to_owned();
        let list = pb::ListGateReportsRequest { parent, page_size: 2, page_token };
        let listed = house.gates().list_gate_reports(list).await.expect("reports are listed");
        let listed = listed.into_inner();
        let digests = listed.gate_reports.into_iter().map(|one| one.digest);
        (digests.collect::<Vec<_>>(), listed.next_page_token)
    };
    let (newest, token) = page(String::new()).await;
    assert_eq!(newest, [kept[2].clone(), kept[1].clone()]);
    judged(&house, GATE_0, false).await;
    let (oldest, end) = page(token).await;
    assert_eq!((oldest, end), (vec![kept[0].clone()], String::new()));
}
