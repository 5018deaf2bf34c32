//! Gauges, transitions, breakers, interventions.

use contracts::gate as pb;
use contracts::gate::breaker_transition::State;
use contracts::gate::signal::Kind;
use softlaunch_tests::{House, ask};

use crate::refusal::refused_field;
use crate::story::{BOB, breaker, gauge, outcome, outcomes, signal, signals, started, transition};

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_signal_is_named_and_its_whole_batch_is_refused() {
    let house = House::start().await;
    started(&house).await;
    let silent = Kind::ManualIntervention(pb::ManualIntervention { reason: String::new() });
    let long = Kind::ManualIntervention(pb::ManualIntervention { reason: "x".repeat(1_001) });
    let nameless = pb::BreakerTransition { breaker_id: String::new(), state: State::Open.into() };
    let cases = [
        (gauge("happiness", "", 1), ["gauge.metric", "staging_backlog"]),
        (gauge("", "", 1), ["gauge.metric", "staging_backlog"]),
        (gauge("open_bugs", "P1", -1), ["gauge.amount", "-1 is negative"]),
        (gauge("open_bugs", "P 1", 1), ["gauge.label", "at most 32"]),
        (gauge("open_bugs", &"P".repeat(33), 1), ["gauge.label", "at most 32"]),
        (transition("staging->heaven"), ["state_transition", "staging->aggregating"]),
        (breaker(State::Unspecified), ["breaker_transition.state", "CLOSED, OPEN or HALF_OPEN"]),
        (Kind::BreakerTransition(nameless), ["breaker_transition.breaker_id", "expected"]),
        (silent, ["manual_intervention.reason", "is required"]),
        (long, ["manual_intervention.reason", "at most 1000"]),
    ];
    for (bad, [field, says]) in cases {
        let good = signal(&house, gauge("open_bugs", "P1", 3));
        let batch = signals("batch", vec![good, signal(&house, bad)]);
        let path = format!("signals[1].{field}");
        refused_field(&house, house.signals().report_signals(ask(BOB, batch)), &[&path, says])
            .await;
    }
    let nothing = pb::Signal { kind: None, ..signal(&house, gauge("open_bugs", "P1", 3)) };
    let call = ask(BOB, signals("batch", vec![nothing]));
    refused_field(&house, house.signals().report_signals(call), &["signals[0].kind"]).await;
    let timeless = pb::Signal { occur_time: None, kind: Some(gauge("open_bugs", "P1", 3)) };
    let call = ask(BOB, signals("batch", vec![timeless]));
    refused_field(&house, house.signals().report_signals(call), &["signals[0].occur_time"]).await;
    let call = ask(BOB, signals("batch", Vec::new()));
    refused_field(&house, house.signals().report_signals(call), &["signals", "1 to 1000"]).await;
    assert!(bugs(&house).await.is_none(), "nothing of a refused batch is recorded");
}

async fn bugs(house: &House) -> Option<i64> {
    let list =
        pb::ListMetricsRequest { parent: crate::story::ROLLOUT.to_owned(), ..Default::default() };
    let metrics = house.gates().list_metrics(list).await.expect("metrics are listed").into_inner();
    metrics.metrics.into_iter().find(|one| one.metric == "open_bugs")?.amount
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_signals_sent_twice_counts_once_and_says_so() {
    let house = House::start().await;
    started(&house).await;
    let sightings = signals("opened", vec![signal(&house, breaker(State::Open))]);
    let gauges = signals("measured", vec![signal(&house, gauge("open_bugs", "P1", 3))]);
    for batch in [sightings, gauges] {
        let first = house.signals().report_signals(ask(BOB, batch.clone())).await.unwrap();
        assert!(!first.into_inner().duplicate, "{}", batch.batch_id);
        let before = house.journals().await;
        let second = house.signals().report_signals(ask(BOB, batch.clone())).await.unwrap();
        assert!(second.into_inner().duplicate, "{}", batch.batch_id);
        assert_eq!(house.journals().await, before);
    }
    assert_eq!(bugs(&house).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_and_signals_may_share_a_batch_id() {
    let house = House::start().await;
    started(&house).await;
    let uploads = outcomes("same", vec![outcome(&house, "u-1")]);
    house.signals().report_outcomes(ask(BOB, uploads)).await.unwrap();
    let gauges = signals("same", vec![signal(&house, gauge("open_bugs", "P1", 3))]);
    let taken = house.signals().report_signals(ask(BOB, gauges)).await.unwrap();
    assert!(!taken.into_inner().duplicate);
    assert_eq!(bugs(&house).await, Some(3));
}
