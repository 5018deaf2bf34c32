//! From phase to phase.

use rollout_core::{Event, Grounds, Refusal, Standing, advance};
use vocab::BasisPoints;

use crate::commands::{approval, held, paused, resumed, to};
use crate::story::{Command, Story, days, entered, hours, percent, person, started};

#[test]
fn an_advance_enters_the_next_phase_and_names_what_allowed_it() {
    let story = started().ready().when(to("P1")).then();
    let (event, _) = story.journal.last().unwrap();
    assert_eq!(
        event,
        &Event::PhaseEntered {
            rollout: "rollouts/r1".to_owned(),
            phase_id: "P1".to_owned(),
            exposure: BasisPoints::ZERO,
            left_phase_id: "P0".to_owned(),
            gate_id: "gate-0".to_owned(),
            report_digests: vec!["gate-0@2[]".to_owned(), "p1-entry@2[]".to_owned()],
        }
    );
    assert_eq!(story.rollout().passed_gates, ["gate-0"]);
    assert_eq!(story.rollout().approvals, []);
}

#[test]
fn a_retried_advance_changes_nothing() {
    entered("P1").when(to("P1")).changes_nothing();
}

#[test]
fn an_advance_without_approval_names_the_roles() {
    started().after(days(3)).when(to("P1")).refused(
        "phase P1 cannot be entered yet: gate-0 waits for approval by engineering_lead, \
         product_manager",
    );
    let half = started().after(days(3)).and(approval("ada", "engineering_lead"));
    half.when(to("P1"))
        .refused("phase P1 cannot be entered yet: gate-0 waits for approval by product_manager");
}

#[test]
fn before_the_minimum_duration_an_advance_says_how_much_is_left() {
    started().after(hours(29)).approved().when(to("P1")).refused(
        "phase P1 cannot be entered yet: the minimum duration has 1d19h of active time left",
    );
}

#[test]
fn paused_time_does_not_count_towards_the_minimum_duration() {
    let story = started().after(days(1)).and(paused).after(days(30)).and(resumed);
    story
        .after(hours(47))
        .approved()
        .when(to("P1"))
        .refused("phase P1 cannot be entered yet: the minimum duration has 1h of active time left");
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let story = entered("P3").after(days(2));
    let first = story.rollout().next_phase().unwrap().entry[0].id.to_string();
    let command = |story: &Story| Command::Advance {
        to: "P4".to_owned(),
        fresh: story.gate_report(&[("gate-3-error-rate", Standing::Failed)]),
        entry: story.entry_report(&[(first.as_str(), Standing::Inconclusive)]),
    };
    story.when(command).refused(&format!(
        "phase P4 cannot be entered yet: gate-3 is not met: gate-3-error-rate (as measured); \
         gate-3 waits for approval by engineering_lead, product_manager, sre_lead; the minimum \
         duration has 5d of active time left; the ramp is at 20% and ends at 50%; p4-entry is \
         not met: {first} (as measured)"
    ));
}

#[test]
fn a_phase_cannot_be_skipped_nor_entered_again() {
    entered("P1").ready().when(to("P3")).refused("phase P3 does not follow P1: next is P2");
    entered("P1").ready().when(to("P0")).refused("phase P0 does not follow P1: next is P2");
    entered("P4").when(to("P0")).refused("phase P0 does not follow P4: next is none");
}

#[test]
fn a_phase_the_plan_does_not_have_is_refused_with_those_it_has() {
    started().when(to("P5")).refused("the plan has no phase P5: it has P0, P1, P2, P3, P4");
}

#[test]
fn an_advance_is_refused_where_the_evidence_has_become_worse_since_the_approvals() {
    let command = |story: &Story| Command::Advance {
        to: "P1".to_owned(),
        fresh: story.gate_report(&[("gate-0-error-rate", Standing::Inconclusive)]),
        entry: story.entry_report(&[]),
    };
    started().ready().when(command).refused(
        "since that report the evidence has become worse: gate-0-error-rate (as measured); \
         evaluate gate-0 again",
    );
}

#[test]
fn an_approval_whose_report_was_not_compared_does_not_count() {
    let story = started().ready();
    let (fresh, entry) = (story.gate_report(&[]), story.entry_report(&[]));
    let grounds = Grounds { approved: &[], fresh: &fresh, entry: &entry };
    let answer = advance(story.rollout(), &person("olga", &[]), "P1", grounds, story.now);
    assert_eq!(
        answer.unwrap_err().to_string(),
        "phase P1 cannot be entered yet: gate-0 waits for approval by engineering_lead, \
         product_manager"
    );
}

#[test]
fn an_advance_does_not_rest_on_evidence_of_an_earlier_stay() {
    let command = |story: &Story| {
        let mut fresh = story.gate_report(&[]);
        fresh.generation -= 1;
        Command::Advance { to: "P1".to_owned(), fresh, entry: story.entry_report(&[]) }
    };
    let story = started().ready();
    let refusal = story.decide(&command(&story)).unwrap_err();
    assert!(matches!(refusal, Refusal::StaleReport { found: 1, current: 2, .. }), "{refusal}");
}

#[test]
fn the_shares_of_a_whole_rollout_are_those_of_the_plan() {
    let mut story = entered("P4");
    while story.rollout().next_step().is_some() {
        story = story.after(hours(12)).and(held);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these two raise anything")]
    let shares = story.journal.iter().filter_map(|(event, _)| match event {
        Event::PhaseEntered { exposure, .. } | Event::RampStepTaken { exposure, .. } => {
            Some(*exposure)
        }
        _ => None,
    });
    let shares: Vec<_> = shares.collect();
    assert_eq!(shares, [0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map(percent));
    assert_eq!(story.rollout().passed_gates, ["gate-0", "gate-1", "gate-2", "gate-3"]);
}
