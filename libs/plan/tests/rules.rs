//! One test a rule: the shipped plan with one thing changed, and what is said about it.

use plan::{Plan, Problem, SHIPPED, Severity};

/// The shipped plan with the first `from` replaced.
fn with(from: &str, to: &str) -> String {
    assert!(SHIPPED.contains(from), "the shipped plan has no {from:?}");
    SHIPPED.replacen(from, to, 1)
}

fn problems(text: &str, severity: Severity) -> Vec<Problem> {
    let all = match Plan::parse(text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    all.into_iter().filter(|problem| problem.severity == severity).collect()
}

/// The one error of `text`, as `path: message`.
#[track_caller]
fn error(text: &str) -> String {
    let errors = problems(text, Severity::Error);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    format!("{}: {}", errors[0].path, errors[0].message)
}

#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert_eq!(error(&with(from, to)), expected);
}

#[track_caller]
fn warned(from: &str, to: &str, expected: &str) {
    let text = with(from, to);
    assert_eq!(problems(&text, Severity::Error), []);
    let warnings = problems(&text, Severity::Warning);
    let said = |problem: &Problem| format!("{}: {}", problem.path, problem.message);
    assert!(warnings.iter().any(|problem| said(problem) == expected), "{warnings:#?}");
}

#[test]
fn a_step_may_not_more_than_double_the_one_before() {
    refused(
        "      - { percentage: 20, hold: 24h }\n",
        "",
        "phases[3].ramp[0].percentage: 30% is too far from 10%: a step may double the one before, \
         at most 20%",
    );
}

#[test]
fn the_first_step_is_at_most_ten_percent() {
    let text = with("\"percentage\": 10", "\"percentage\": 11").replacen(
        "- { percentage: 10, hold",
        "- { percentage: 11, hold",
        1,
    );
    assert_eq!(
        error(&text),
        "phases[2].ramp[0].percentage: 11% is too far from 0%: the first step may be at most 10%"
    );
}

#[test]
fn a_phase_without_steps_may_not_jump_either() {
    let text = SHIPPED
        .replace("    ramp: # D7 §3.1, §3.2\n", "")
        .replace("      - { percentage: 20, hold: 24h }\n", "")
        .replace("      - { percentage: 30, hold: 24h }\n", "")
        .replace("      - { percentage: 40, hold: 24h }\n", "")
        .replace("      - { percentage: 50, hold: 24h }\n", "");
    assert_eq!(
        error(&text),
        "phases[3].flag.percentage: 50% is too far from 10%: a step may double the one before, at \
         most 20%"
    );
}

#[test]
fn steps_rise() {
    refused(
        "- { percentage: 30, hold: 24h }",
        "- { percentage: 20, hold: 24h }",
        "phases[3].ramp[1].percentage: 20% does not rise above the step before, 20%",
    );
}

#[test]
fn a_ramp_ends_at_the_percentage_of_the_flag() {
    refused(
        "      - { percentage: 50, hold: 24h }\n",
        "",
        "phases[3].ramp[2].percentage: the last step is 40%, but the flag of P3 is at 50%: \
         expected 50%",
    );
}

#[test]
fn a_percentage_is_within_0_and_100() {
    refused(
        "- { percentage: 60, hold: 12h }",
        "- { percentage: 160, hold: 12h }",
        "phases[4].ramp[0].percentage: 160 is out of range: expected 0 to 100",
    );
    refused(
        "- { percentage: 60, hold: 12h }",
        "- { percentage: -1, hold: 12h }",
        "phases[4].ramp[0].percentage: -1 is out of range: expected 0 to 100",
    );
}

#[test]
fn every_phase_but_the_last_has_exit_criteria() {
    let start = SHIPPED.find("        - id: gate-3-uploads").unwrap();
    let end = SHIPPED.find("  - id: P4").unwrap();
    let text = format!("{}        []\n{}", &SHIPPED[..start], &SHIPPED[end..]);
    assert_eq!(
        error(&text),
        "phases[3].gate.criteria: P3 has no exit criteria: expected at least one under \
         `gate.criteria` in every phase but the last"
    );
    let start = SHIPPED.find("    gate: # D7 §1.2, §2.4").unwrap();
    let text = format!("{}{}", &SHIPPED[..start], &SHIPPED[end..]);
    assert!(error(&text).starts_with("phases[3].gate.criteria: P3 has no exit criteria"));
}

#[test]
fn the_last_phase_has_no_gate() {
    let gate = "    gate: { id: gate-4, title: Gate 4, approvers: [support], criteria: [] }\n";
    let text = with(
        "    flag: { \"enabled\": true, \"percentage\": 100 }",
        &format!("{gate}    flag: {{ \"enabled\": true, \"percentage\": 100 }}"),
    );
    assert_eq!(
        error(&text),
        "phases[4].gate: P4 is the last phase: `ga` takes the place of its gate"
    );
}

#[test]
fn no_gate_comes_before_the_first_phase() {
    refused(
        "        attestation: [engineering_lead, sre_lead]",
        "        observed: gate_passed",
        "phases[0].entry: no gate comes before the first phase",
    );
}

#[test]
fn a_metric_is_known() {
    let said = error(&with("name: uploads_succeeded", "name: uploads_succeded"));
    assert!(said.starts_with(
        "phases[0].gate.criteria[0].metric.name: unknown metric `uploads_succeded`: expected one \
         of uploads_processed, uploads_succeeded, error_rate,"
    ));
    assert!(said.ends_with("; did you mean `uploads_succeeded`?"), "{said}");
}

#[test]
fn a_requirement_is_in_the_unit_of_its_metric() {
    refused(
        "fires_when: \"> 10%\"",
        "fires_when: \"> 10\"",
        "triggers[0].metric.fires_when: `10` is not a rate: expected 0% to 100% with at most four \
         decimals, e.g. 1.5%",
    );
    refused(
        "metric: staging_backlog, phases: [P4], requirement: \"< 100K\"",
        "metric: staging_backlog, phases: [P4], requirement: \"100K\"",
        "thresholds[11].requirement: `100K` is not a requirement: expected <, <=, =, >= or > and \
         a threshold",
    );
}

#[test]
fn an_event_has_a_channel() {
    refused(
        "channels: [slack-incidents, mail]",
        "channels: []",
        "communication.messages[2].channels: the event has no channel: expected at least one",
    );
}

#[test]
fn a_channel_is_known() {
    refused(
        "channels: [in-app-banner]",
        "channels: [in-app-baner]",
        "communication.messages[5].channels[0]: the plan has no channel `in-app-baner`; did you \
         mean `in-app-banner`?",
    );
}

#[test]
fn what_must_have_been_delivered_is_named_and_known() {
    refused(
        "        communication: canary-invitation\n",
        "        communication: canary-invitaton\n",
        "phases[1].entry[1].communication: the plan has no message `canary-invitaton`; did you \
         mean `canary-invitation`?",
    );
    refused(
        "        communication: canary-invitation\n",
        "",
        "phases[1].entry[1].communication: which message must have been delivered? expected the \
         id of one of communication.messages",
    );
    refused(
        "        observed: gate_passed\n",
        "        observed: gate_passed\n        communication: canary-invitation\n",
        "phases[1].entry[0].communication: only communication_delivered has a communication",
    );
}

#[test]
fn an_audience_is_known() {
    refused(
        "audience: on-call\n",
        "audience: ops\n",
        "communication.messages[11].audience: the plan has no audience `ops`",
    );
}

#[test]
fn a_role_is_known() {
    refused(
        "attestation: [support, product_manager]",
        "attestation: [suport, product_manager]",
        "phases[1].entry[2].attestation[0]: the plan has no role `suport`; did you mean `support`?",
    );
    refused(
        "attendees: [on_call]",
        "attendees: [pager]",
        "phases[4].review.attendees[0]: the plan has no role `pager`",
    );
}

#[test]
fn a_phase_is_known() {
    refused(
        "{ metric: circuit_breaker_events, phases: [P4]",
        "{ metric: circuit_breaker_events, phases: [P9]",
        "thresholds[8].phases[0]: the plan has no phase `P9`; did you mean `P0`?",
    );
    refused(
        "      phases: [P2, P3]",
        "      phases: [P2, P2]",
        "communication.messages[5].phases[1]: `P2` is named twice",
    );
}

#[test]
fn ids_are_given_once() {
    let line = |id: &str| 1 + SHIPPED.lines().position(|line| line.contains(id)).unwrap();
    refused(
        "id: gate-1-uploads",
        "id: gate-0-uploads",
        &format!(
            "phases[1].gate.criteria[0].id: the criterion `gate-0-uploads` is there already, on \
             line {}: expected each once",
            line("gate-0-uploads")
        ),
    );
    for (from, to) in [
        ("- { id: blog,", "- { id: mail,"),
        ("id: gate-3\n", "id: gate-2\n"),
        ("- id: latency-increase", "- id: error-rate-spike"),
        ("- id: p1-incident", "- id: data-integrity-issue"),
        ("- { id: re-ramp,", "- { id: fix-and-verify,"),
        ("- id: data-at-risk", "- id: client-impact"),
        ("- id: collect-feedback", "- id: monitor-closely"),
        ("- staging->failed", "- received->validating"),
        ("- { role: on_call,", "- { role: support,"),
    ] {
        let errors = problems(&with(from, to), Severity::Error);
        let said = errors.iter().any(|problem| problem.message.contains("is there already"));
        assert!(said, "{from}: {errors:#?}");
    }
}

#[test]
fn a_state_transition_has_two_states() {
    refused(
        "- staging->failed",
        "- staging-failed",
        "state_transitions[7]: `staging-failed` is not a state transition: expected `from->to`, \
         each of a-z, 0-9 and _",
    );
}

#[test]
fn a_criterion_is_judged_in_exactly_one_way() {
    refused(
        "observed: all_transitions",
        "observed: all_transitions\n          attestation: [support]",
        "phases[0].gate.criteria[1]: expected exactly one of metric, observed, attestation, \
         sign_off, found observed and attestation",
    );
    refused(
        "          observed: all_transitions\n",
        "",
        "phases[0].gate.criteria[1]: expected exactly one of metric, observed, attestation, \
         sign_off, found none",
    );
}

#[test]
fn a_window_is_one_that_is_kept() {
    refused(
        "requirement: \"< 10K\", window: 15m",
        "requirement: \"< 10K\", window: 30d",
        "thresholds[9].window: `30d` is not a window: expected 1m to 7d",
    );
}

#[test]
fn a_phase_lasts_at_least_its_minimum() {
    refused(
        "maximum_duration: 5d",
        "maximum_duration: 2d",
        "phases[0].maximum_duration: 2d is shorter than the minimum duration: expected at least 3d",
    );
}

#[test]
fn only_the_last_review_interval_goes_on() {
    refused(
        "- { interval: 1d, lasts: 3d }",
        "- { interval: 1d }",
        "phases[2].review.every[0]: another interval follows: expected `lasts`, e.g. 3d",
    );
    refused(
        "- { interval: 4h }",
        "- { interval: 4h, lasts: 1d }",
        "phases[1].review.every[0]: the last interval goes on: expected no `lasts`",
    );
}

#[test]
fn a_channel_that_no_message_uses_is_warned_of() {
    warned(
        "channels: [blog, mail]",
        "channels: [mail]",
        "communication.channels[6]: no message uses the channel `blog`",
    );
}

#[test]
fn a_denylist_that_drops_a_canary_is_warned_of() {
    warned(
        "\"denylist\": [\"enterprise-*\"]",
        "\"denylist\": [\"canary-*\"], \"allowlist\": [\"canary-*\"]",
        "phases[1].flag.allowlist[0]: `canary-ws-1` is on the allowlist of P1, and P2 does not \
         keep it: its denylist has `canary-*`",
    );
}

#[test]
fn a_canary_that_the_next_phase_allows_is_not_warned_of() {
    let text = with(
        "\"denylist\": [\"enterprise-*\"]",
        "\"denylist\": [\"enterprise-*\"], \"allowlist\": [\"canary-*\"]",
    );
    let warnings = problems(&text, Severity::Warning);
    let dropped = |name: &str| warnings.iter().any(|w| w.message.starts_with(name));
    assert!(!dropped("`canary-ws-1`"), "{warnings:#?}");
    assert!(dropped("`canary-*`"), "P3 drops it: {warnings:#?}");
}

#[test]
fn an_address_cannot_end_a_header() {
    for wrong in
        ["\"a@x.example\\r\\nBcc: b@y.example\"", "\"a b@x.example\"", "a@-x.example", "a@x@y"]
    {
        let text = SHIPPED.replace("[support@example.com]", &format!("[{wrong}]"));
        let problems = Plan::parse(&text).expect_err("it is no address");
        let path = "communication.contacts[2].addresses[0]";
        assert!(problems.iter().any(|one| one.path == path), "{wrong}: {problems:?}");
    }
}

#[test]
fn whom_a_channel_falls_back_to_and_who_is_in_an_audience_is_known() {
    refused(
        "label: \"#incidents\", fallback: mail",
        "label: \"#incidents\", fallback: slack-incidents",
        "communication.channels[1].fallback: a channel cannot stand in for itself",
    );
    refused(
        "contacts: [everybody]",
        "contacts: [everbody]",
        "communication.audiences[4].contacts[0]: the plan has no contact `everbody`; did you mean \
         `everybody`?",
    );
}
