//! The plan that ships with Softlaunch: D7, nothing left out.

use std::time::Duration;

use plan::{
    Assurance, ExclusionTest, Judged, Metric, Observation, Plan, SHIPPED, TriggerAction, WindowSpan,
};
use vocab::{PhaseId, format_duration};

fn shipped() -> Plan {
    match Plan::parse(SHIPPED) {
        Ok((plan, _)) => plan,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn percentages(phase: &plan::Phase) -> Vec<String> {
    phase.ramp.iter().map(|step| step.percentage.to_string()).collect()
}

#[test]
fn warns_of_the_workspaces_that_a_phase_may_drop_and_of_the_step_that_needs_steps() {
    let (_, warnings) = Plan::parse(SHIPPED).unwrap();
    let said: Vec<_> = warnings.iter().map(|w| format!("{}: {}", w.path, w.message)).collect();
    assert_eq!(
        said,
        [
            "phases[0].flag.allowlist[0]: `internal-test-workspace` is on the allowlist of P0, \
             and P1 does not keep it: its flag is off for all but its allowlist, which lacks it",
            "phases[1].flag.allowlist[0]: `canary-ws-1` is on the allowlist of P1, and P2 does \
             not keep it: it is on no allowlist there, so that it is on only if no rule excludes \
             it and its bucket falls below 10%",
            "phases[1].flag.allowlist[1]: `canary-ws-2` is on the allowlist of P1, and P2 does \
             not keep it: it is on no allowlist there, so that it is on only if no rule excludes \
             it and its bucket falls below 10%",
            "phases[3].flag.percentage: P3 goes from 10% to 50%, further than one step may \
             (20%): it goes there through 20%, 30%, 40%",
        ]
    );
    assert!(warnings.iter().all(|warning| warning.severity == plan::Severity::Warning));
}

#[test]
fn says_where_a_warning_stands() {
    let (_, warnings) = Plan::parse(SHIPPED).unwrap();
    for warning in warnings {
        let line = SHIPPED.lines().nth(warning.line - 1).unwrap();
        let rest: String = line.chars().skip(warning.column - 1).collect();
        assert!(
            rest.starts_with("\"internal")
                || rest.starts_with("\"canary")
                || rest.starts_with("50"),
            "{rest}"
        );
    }
}

#[test]
fn has_the_flags_of_section_3_3() {
    let flags: Vec<_> = shipped()
        .phases
        .iter()
        .map(|phase| {
            let list = |patterns: &[vocab::Pattern]| {
                patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>()
            };
            let flag = &phase.flag;
            let (allow, deny) = (list(&flag.allowlist), list(&flag.denylist));
            format!("{} {} {} {allow:?} {deny:?}", phase.id, flag.enabled, flag.percentage)
        })
        .collect();
    assert_eq!(
        flags,
        [
            "P0 false 0% [\"internal-test-workspace\"] []",
            "P1 false 0% [\"canary-ws-1\", \"canary-ws-2\"] []",
            "P2 true 10% [] [\"enterprise-*\"]",
            "P3 true 50% [] []",
            "P4 true 100% [] []",
        ]
    );
}

#[test]
fn ramps_as_the_chart_of_section_3_1_draws_it() {
    let ramps: Vec<_> = shipped().phases.iter().map(percentages).collect();
    assert_eq!(ramps[0], Vec::<String>::new());
    assert_eq!(ramps[1], Vec::<String>::new());
    assert_eq!(ramps[2], ["10%"]);
    assert_eq!(ramps[3], ["20%", "30%", "40%", "50%"]);
    assert_eq!(ramps[4], ["60%", "70%", "80%", "90%", "100%"]);
    assert!(shipped().phases.iter().flat_map(|phase| &phase.ramp).all(|step| !step.manual));
}

#[test]
fn bounds_phases_in_time_as_section_1_1_does() {
    let durations: Vec<_> = shipped()
        .phases
        .iter()
        .map(|phase| {
            let maximum = phase.maximum_duration.map(format_duration);
            (format_duration(phase.minimum_duration), maximum.unwrap_or_default())
        })
        .collect();
    let expected = [("3d", "5d"), ("5d", "7d"), ("7d", "14d"), ("7d", "14d"), ("0s", "")];
    assert_eq!(durations, expected.map(|(min, max)| (min.to_owned(), max.to_owned())));
}

#[test]
fn limits_the_canary_more_than_the_others() {
    let plan = shipped();
    let limits: Vec<_> = plan
        .phases
        .iter()
        .map(|p| (p.limits.uploads_per_day, p.limits.file_size_max_bytes))
        .collect();
    let standard = (None, 50 * 1024 * 1024);
    assert_eq!(limits, [standard, (Some(10), 10 * 1024 * 1024), standard, standard, standard]);
}

#[test]
fn excludes_enterprise_and_high_volume_accounts_from_the_limited_beta() {
    let plan = shipped();
    let flag = &plan.phase(&PhaseId::new("P2").unwrap()).unwrap().flag;
    assert_eq!(flag.exclude[0].test, ExclusionTest::Equals("enterprise".to_owned()));
    assert_eq!(flag.exclude[1].test, ExclusionTest::Above(1000));
    assert_eq!(flag.stratify.as_deref(), Some("platform"));
}

#[test]
fn asks_at_every_gate_for_what_section_2_lists() {
    let plan = shipped();
    let counts: Vec<_> = plan
        .phases
        .iter()
        .map(|p| (p.entry.len(), p.gate.as_ref().map_or(0, |gate| gate.criteria.len())))
        .collect();
    // Gate 2 has six lines, one of them on two severities.
    assert_eq!(counts, [(4, 6), (4, 6), (4, 7), (4, 6), (4, 0)]);
    let approvers: Vec<_> = plan
        .phases
        .iter()
        .filter_map(|phase| phase.gate.as_ref().map(|gate| gate.approvers.len()))
        .collect();
    assert_eq!(approvers, [2, 2, 2, 3]);
}

#[test]
fn judges_gate_0_by_what_the_system_saw() {
    let plan = shipped();
    let gate = plan.phases[0].gate.as_ref().unwrap();
    let judged: Vec<_> = gate
        .criteria
        .iter()
        .map(|criterion| match &criterion.judged {
            Judged::Metric(m) => {
                assert_eq!(
                    (m.window, m.assurance),
                    (WindowSpan::SincePhaseStart, Assurance::NotDisproved)
                );
                format!("{}{{{}}} {} of {}", m.metric, m.label, m.requirement, m.minimum_samples)
            }
            Judged::Observed(observation) => observation.name().to_owned(),
            Judged::Attestation { .. } | Judged::SignOff { .. } => "people".to_owned(),
        })
        .collect();
    assert_eq!(
        judged,
        [
            "uploads_succeeded{} >= 100 of 0",
            "all_transitions",
            "breaker_recovered",
            "kill_switch_drill",
            "open_bugs{P1} = 0 of 0",
            "error_rate{} < 5% of 100",
        ]
    );
}

#[test]
fn starts_every_later_phase_behind_the_gate_before() {
    for phase in &shipped().phases[1..] {
        let first = &phase.entry[0].judged;
        assert_eq!(first, &Judged::Observed(Observation::GatePassed), "{}", phase.id);
    }
}

#[test]
fn watches_five_metrics_in_three_groups_of_phases() {
    let plan = shipped();
    assert_eq!(plan.thresholds.len(), 15);
    for phase in &plan.phases {
        let watched = plan.thresholds.iter().filter(|t| t.phases.contains(&phase.id));
        assert_eq!(watched.count(), 5, "{}", phase.id);
    }
    assert_eq!(plan.signals.len(), 5);
    assert!(plan.signals.iter().any(|signal| signal.metric == Metric::DbCpu));
}

#[test]
fn reacts_to_the_triggers_of_section_5() {
    let actions: Vec<_> =
        shipped().triggers.iter().map(|t| (t.section.clone(), t.action)).collect();
    let expected = [
        ("5.1", TriggerAction::PausePhase),
        ("5.1", TriggerAction::GlobalPause),
        ("5.1", TriggerAction::GlobalPause),
        ("5.1", TriggerAction::PausePhase),
        ("5.2", TriggerAction::RollbackToPrevious),
        ("5.2", TriggerAction::RollbackToPrevious),
        ("5.2", TriggerAction::RollbackToFirst),
        ("5.2", TriggerAction::RollbackToFirst),
    ];
    assert_eq!(actions, expected.map(|(section, action)| (section.to_owned(), action)));
}

#[test]
fn leaves_the_last_three_steps_of_a_rollback_to_people() {
    let by_system: Vec<_> = shipped().rollback_steps.iter().map(|step| step.by_system).collect();
    assert_eq!(by_system, [true, true, true, true, true, false, false, false]);
    let rollback: Vec<_> = shipped().decision_matrix.iter().map(|row| row.rollback).collect();
    assert_eq!(rollback, [false, false, true, true, true]);
}

#[test]
fn declares_ga_on_seven_days_evidence_and_three_signatures() {
    let ga = shipped().ga;
    assert_eq!((ga.consecutive_days, ga.approvers.len()), (7, 3));
    // Six of §6.1 and the incidents of §2.5; five of §6.2; §6.3 but for its second line.
    assert_eq!((ga.quantitative.len(), ga.qualitative.len(), ga.checklist.len()), (8, 5, 7));
    let week = WindowSpan::Rolling(Duration::from_secs(7 * 24 * 3600));
    for criterion in &ga.quantitative {
        assert!(
            matches!(&criterion.judged, Judged::Metric(metric) if metric.window == week),
            "{}",
            criterion.id
        );
    }
}

#[test]
fn tells_people_of_every_event_it_knows() {
    let plan = shipped();
    for (name, event) in plan::CommunicationEvent::ALL {
        assert!(plan.communication.messages.iter().any(|m| m.event == *event), "{name}");
    }
    assert_eq!((plan.communication.channels.len(), plan.communication.audiences.len()), (8, 9));
    assert_eq!((plan.post_ga.len(), plan.enhancements.len(), plan.references.len()), (8, 4, 4));
}
