use plan::{Plan, SHIPPED, WindowSpan};
use proptest::prelude::*;
use vocab::Timestamp;

use super::*;
use crate::evidence::{Evidence, Gauge};
use crate::sighted::{Breaker, BreakerState, Incident};
use crate::tally::Tally;

const MINUTE: Duration = Duration::from_secs(60);
const GAP_MAX: Duration = Duration::from_secs(300);

const fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000)
}

fn shipped() -> Plan {
    Plan::parse(SHIPPED).unwrap().0
}

fn rate(succeeded: u64, failed: u64, now: Timestamp) -> Evidence {
    let mut evidence = Evidence {
        heard: Some(now),
        newest_outcome: Some(now),
        silent_after: Duration::from_secs(86_400),
        gauge_age_max_ms: 86_400_000,
        ..Evidence::default()
    };
    for minutes in [15, 24 * 60] {
        let tally = Tally { succeeded, failed, ..Tally::default() };
        evidence.tallies.insert(WindowSpan::Rolling(MINUTE * minutes).into(), tally);
    }
    evidence
}

/// One trigger, evaluated again and again.
struct Story {
    plan: Plan,
    id: &'static str,
    standing: Standing,
    previous: Option<Timestamp>,
}

impl Story {
    fn of(id: &'static str) -> Self {
        Self { plan: shipped(), id, standing: Standing::default(), previous: None }
    }

    fn look(&self, evidence: &Evidence, now: Timestamp) -> Observed {
        let watched = watched(&self.plan);
        let own = watched.iter().find(|one| one.id == self.id).unwrap();
        observe(own, evidence, now).remove(0)
    }

    fn then(&mut self, evidence: &Evidence, now: Timestamp) -> State {
        let observed = self.look(evidence, now);
        let watched = watched(&self.plan);
        let timing = watched.iter().find(|one| one.id == self.id).unwrap().timing;
        self.standing = step(self.standing, &timing, &observed, (self.previous, GAP_MAX), now);
        self.previous = Some(now);
        self.standing.state
    }
}

#[test]
fn the_shipped_plan_has_eight_triggers_fifteen_thresholds_and_five_signals_each_with_its_id() {
    let plan = shipped();
    let all = watched(&plan);
    let of = |subject| all.iter().filter(|one| one.subject == subject).count();
    let counts = [Subject::Trigger, Subject::Threshold, Subject::Advisory].map(of);
    assert_eq!(counts, [8, 15, 5]);
    let mut ids: Vec<_> = all.iter().map(|one| (one.subject, &one.id)).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    let per_phase = |phase| {
        let own = all.iter().filter(|one| one.subject == Subject::Threshold);
        own.filter(|one| one.applies_in(phase)).count()
    };
    assert_eq!(["P0", "P2", "P4"].map(per_phase), [5, 5, 5]);
    assert!((all[0].alpha - 0.025).abs() < 1e-12, "two triggers on rates share the budget");
}

#[test]
fn a_single_error_among_few_uploads_warns_and_does_not_fire() {
    let mut story = Story::of("error-rate-over-10");
    assert_eq!(story.then(&rate(4, 1, at(0)), at(0)), State::Warned, "20% of 5: the literal rule");
    assert_eq!(story.then(&rate(17, 3, at(1)), at(1)), State::Warned, "15% of 20 proves nothing");
    assert_eq!(story.then(&rate(13, 7, at(2)), at(2)), State::Fired, "35% of 20 proves it");
    let observed = story.look(&rate(13, 7, at(2)), at(2));
    assert_eq!((observed.value.as_str(), observed.samples), ("35% (7 of 20)", 20));
    assert!(observed.interval.unwrap().low > 0.10, "{observed:?}");
}

#[test]
fn a_plan_may_have_a_trigger_fire_on_the_bare_rule() {
    let mut story = Story::of("error-rate-over-10");
    let bare = SHIPPED.replacen("      minimum_samples: 20\n", "      literal: true\n", 1);
    story.plan = Plan::parse(&bare).unwrap().0;
    assert_eq!(story.then(&rate(8, 1, at(0)), at(0)), State::Fired);
}

#[test]
fn a_rate_that_wavers_around_the_threshold_fires_once() {
    let mut story = Story::of("error-rate-over-10");
    assert_eq!(story.then(&rate(700, 300, at(0)), at(0)), State::Fired);
    assert_eq!(story.then(&rate(920, 80, at(1)), at(1)), State::Fired, "8%: not below 5%");
    assert_eq!(story.then(&rate(700, 300, at(2)), at(2)), State::Fired);
    assert_eq!(story.then(&rate(960, 40, at(3)), at(3)), State::Clear);
    assert_eq!(story.then(&rate(700, 300, at(4)), at(4)), State::Fired, "another time");
}

#[test]
fn what_must_be_sustained_fires_at_its_deadline_and_not_before() {
    let mut story = Story::of("error-rate-over-20");
    for minute in 0..15 {
        let state = story.then(&rate(600, 400, at(minute)), at(minute));
        assert_eq!(state, State::Pending(at(15)), "minute {minute}");
    }
    assert_eq!(story.then(&rate(600, 400, at(15)), at(15)), State::Fired);
}

#[test]
fn one_good_evaluation_ends_what_was_sustained() {
    let mut story = Story::of("error-rate-over-20");
    for minute in 0..10 {
        story.then(&rate(600, 400, at(minute)), at(minute));
    }
    assert_eq!(story.then(&rate(900, 100, at(10)), at(10)), State::Clear);
    assert_eq!(story.then(&rate(600, 400, at(11)), at(11)), State::Pending(at(26)));
}

#[test]
fn a_gap_in_data_neither_fires_nor_clears_and_is_said() {
    let mut story = Story::of("error-rate-over-20");
    for minute in 0..10 {
        story.then(&rate(600, 400, at(minute)), at(minute));
    }
    let silent = Evidence { heard: Some(at(0)), tallies: Default::default(), ..rate(0, 0, at(0)) };
    assert_eq!(story.then(&silent, at(16)), State::Warned);
    assert_eq!(story.look(&silent, at(16)).code, crate::judge::Reason::NoTelemetry);
    assert_eq!(story.then(&rate(600, 400, at(17)), at(17)), State::Pending(at(32)));
}

#[test]
fn a_gap_between_evaluations_starts_the_deadline_anew() {
    let mut story = Story::of("error-rate-over-20");
    story.then(&rate(600, 400, at(0)), at(0));
    assert_eq!(story.then(&rate(600, 400, at(5)), at(5)), State::Pending(at(15)));
    assert_eq!(story.then(&rate(600, 400, at(20)), at(20)), State::Pending(at(35)));
}

#[test]
fn a_clock_that_jumps_fires_nothing_by_itself_and_puts_nothing_off_by_the_jump() {
    let mut story = Story::of("error-rate-over-20");
    story.then(&rate(600, 400, at(0)), at(0));
    // A day ahead: nobody looked in between.
    let ahead = at(24 * 60);
    assert_eq!(story.then(&rate(600, 400, ahead), ahead), State::Pending(at(24 * 60 + 15)));
    // And back: its deadline is not a day away.
    assert_eq!(story.then(&rate(600, 400, at(2)), at(2)), State::Pending(at(17)));
    for minute in 3..17 {
        assert_eq!(story.then(&rate(600, 400, at(minute)), at(minute)), State::Pending(at(17)));
    }
    assert_eq!(story.then(&rate(600, 400, at(17)), at(17)), State::Fired);
}

#[test]
fn clocks_of_replicas_that_differ_by_a_little_start_nothing_anew() {
    let mut story = Story::of("error-rate-over-20");
    story.then(&rate(600, 400, at(0)), at(0));
    assert_eq!(story.then(&rate(600, 400, at(4)), at(4)), State::Pending(at(15)));
    assert_eq!(story.then(&rate(600, 400, at(3)), at(3)), State::Pending(at(15)));
}

#[test]
fn what_has_fired_stays_fired_without_data() {
    let mut story = Story::of("error-rate-over-10");
    assert_eq!(story.then(&rate(700, 300, at(0)), at(0)), State::Fired);
    assert_eq!(story.then(&Evidence::default(), at(60)), State::Fired);
}

#[test]
fn a_breaker_open_for_more_than_five_minutes_fires_and_clears_when_it_closes() {
    let mut story = Story::of("breaker-open-over-5m");
    let mut evidence = rate(10, 0, at(0));
    let mut breaker = Breaker::default();
    breaker.entered(BreakerState::Open, at(0), 1);
    evidence.sighted.breakers.insert("db".to_owned(), breaker.clone());
    assert_eq!(story.then(&evidence, at(5)), State::Clear, "five minutes are not more than five");
    assert_eq!(story.then(&evidence, at(6)), State::Fired);
    breaker.entered(BreakerState::Closed, at(7), 2);
    evidence.sighted.breakers.insert("db".to_owned(), breaker);
    assert_eq!(story.then(&evidence, at(8)), State::Clear);
}

#[test]
fn every_incident_fires_by_itself() {
    let plan = shipped();
    let all = watched(&plan);
    let own = all.iter().find(|one| one.id == "p1-incident").unwrap();
    let mut evidence = Evidence::default();
    let declare = |kind: &str, resolved| Incident {
        kind: kind.to_owned(),
        declared: Some(at(0)),
        resolved,
        title: "uploads vanish".to_owned(),
        client_facing: true,
    };
    evidence.sighted.incidents.insert("INC-1".to_owned(), declare("p1", None));
    evidence.sighted.incidents.insert("INC-2".to_owned(), declare("p1", Some(at(1))));
    evidence.sighted.incidents.insert("INC-3".to_owned(), declare("data_corruption", None));
    let found = observe(own, &evidence, at(2));
    let levels: Vec<_> = found.iter().map(|one| (one.instance.as_str(), one.level)).collect();
    assert_eq!(levels, [("INC-1", Level::Proven), ("INC-2", Level::Clear)]);
    assert!(found[0].incident.as_ref().is_some_and(|incident| incident.client_facing));
}

#[test]
fn a_threshold_alerts_where_its_good_relation_does_not_hold() {
    let mut story = Story::of("staging_backlog-p0-p1-15m");
    let mut evidence = rate(10, 0, at(0));
    let mut backlog = |amount| {
        let gauge = Gauge { amount, at: at(0) };
        evidence.gauges.insert((Metric::StagingBacklog, String::new()), gauge);
        evidence.clone()
    };
    assert_eq!(story.then(&backlog(9_999), at(0)), State::Clear);
    assert_eq!(story.then(&backlog(10_000), at(1)), State::Fired);
    assert_eq!(story.then(&backlog(9_999), at(2)), State::Clear);
}

#[test]
fn a_spike_is_a_value_far_above_its_own_past() {
    let story = Story::of("error-rate-spike");
    let mut evidence = rate(900, 100, at(0));
    assert_eq!(story.look(&evidence, at(0)).level, Level::Clear, "as bad as ever");
    let day = WindowSpan::Rolling(MINUTE * 24 * 60);
    let calm = Tally { succeeded: 9_900, failed: 100, ..Tally::default() };
    evidence.tallies.insert(day.into(), calm);
    assert_eq!(story.look(&evidence, at(0)).level, Level::Proven);
}

proptest! {
    #[test]
    fn an_error_more_never_calms_a_trigger(succeeded in 1_u64..300, failed in 0_u64..100) {
        for id in ["error-rate-over-10", "error-rate-over-20", "error_rate-p0-p1-1d"] {
            let story = Story::of(id);
            let before = story.look(&rate(succeeded, failed, at(0)), at(0)).level;
            let after = story.look(&rate(succeeded - 1, failed + 1, at(0)), at(0)).level;
            prop_assert!(after >= before, "{id}: {before:?} became {after:?}");
        }
    }
}
