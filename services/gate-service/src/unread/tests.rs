//! Read as prost reads it, whatever comes.

use contracts::gate as pb;
use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::encode_varint;

use super::*;

fn as_prost_has_it(report: &Report<'_>) -> pb::ReportOutcomesRequest {
    let outcomes = report.outcomes.iter().map(|outcome| pb::UploadOutcome {
        upload_id: outcome.upload_id.to_owned(),
        workspace_id: outcome.workspace_id.to_owned(),
        result: outcome.result,
        path: outcome.path,
        occur_time: outcome.occur_time,
        latency_duration: outcome.latency_duration,
        platform: outcome.platform.to_owned(),
    });
    pb::ReportOutcomesRequest {
        pipeline: report.pipeline.to_owned(),
        batch_id: report.batch_id.to_owned(),
        outcomes: outcomes.collect(),
    }
}

/// What both make of a report; `None` where it is refused.
fn alone(bytes: &[u8]) -> [Option<pb::ReportOutcomesRequest>; 2] {
    let ours = Report::read(bytes).ok().map(|report| as_prost_has_it(&report));
    [ours, pb::ReportOutcomesRequest::decode(bytes).ok()]
}

/// What both make of a message of a stream.
fn streamed(bytes: &[u8]) -> [Option<pb::StreamOutcomesRequest>; 2] {
    let ours = || {
        let Some(report) = Unread(Bytes::copy_from_slice(bytes)).report().ok()? else {
            return Some(pb::StreamOutcomesRequest { report: None });
        };
        let report = as_prost_has_it(&Report::read(&report.0).ok()?);
        Some(pb::StreamOutcomesRequest { report: Some(report) })
    };
    [ours(), pb::StreamOutcomesRequest::decode(bytes).ok()]
}

fn outcome() -> impl Strategy<Value = pb::UploadOutcome> {
    let instant = || proptest::option::of((any::<i64>(), any::<i32>()));
    let texts = (any::<String>(), any::<String>(), any::<String>());
    (texts, any::<(i32, i32)>(), instant(), instant()).prop_map(
        |((upload_id, workspace_id, platform), (result, path), time, latency)| pb::UploadOutcome {
            upload_id,
            workspace_id,
            result,
            path,
            occur_time: time.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }),
            latency_duration: latency
                .map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
            platform,
        },
    )
}

fn report() -> impl Strategy<Value = pb::ReportOutcomesRequest> {
    (any::<String>(), any::<String>(), prop::collection::vec(outcome(), 0..5)).prop_map(
        |(pipeline, batch_id, outcomes)| pb::ReportOutcomesRequest { pipeline, batch_id, outcomes },
    )
}

/// A field by its tag and kind of value, before or behind which anything may stand.
fn field(tag: u64, kind: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(tag << 3 | kind, &mut bytes);
    if kind == 2 {
        encode_varint(value.len() as u64, &mut bytes);
    }
    bytes.extend_from_slice(value);
    bytes
}

/// Fields that are known and fields that are not, in any order, as often as they like, each with
/// a value of any kind.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let number = any::<u64>().prop_map(|number| {
        let mut bytes = Vec::new();
        encode_varint(number, &mut bytes);
        bytes
    });
    let leaf = prop_oneof![
        4 => (1..9_u64, number).prop_map(|(tag, value)| field(tag, 0, &value)),
        4 => (1..9_u64, "[a-zä]{0,6}").prop_map(|(tag, text)| field(tag, 2, text.as_bytes())),
        1 => (8..20_u64, any::<[u8; 8]>()).prop_map(|(tag, value)| field(tag, 1, &value)),
        1 => (8..20_u64, any::<[u8; 4]>()).prop_map(|(tag, value)| field(tag, 5, &value)),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..6).prop_map(|all| all.concat());
        prop_oneof![
            4 => (1..9_u64, several()).prop_map(|(tag, value)| field(tag, 2, &value)),
            1 => (1..20_u64, 0..20_u64, several()).prop_map(|(tag, end, value)| {
                let end = if end < 2 { end } else { tag };
                [field(tag, 3, &value), field(end, 4, &[])].concat()
            }),
            4 => several(),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_anybody_encodes_is_read_as_it_was_meant(report in report()) {
        let [ours, _] = alone(&report.encode_to_vec());
        prop_assert_eq!(ours.as_ref(), Some(&report));
        let message = pb::StreamOutcomesRequest { report: Some(report) };
        let [ours, _] = streamed(&message.encode_to_vec());
        prop_assert_eq!(ours, Some(message));
    }

    #[test]
    fn what_is_cut_short_or_changed_is_taken_or_refused_as_prost_does(
        report in report(), cut in any::<prop::sample::Index>(), change: u8,
    ) {
        let mut bytes = report.encode_to_vec();
        let place = cut.index(bytes.len() + 1);
        let [ours, prosts] = alone(&bytes[..place]);
        prop_assert_eq!(ours, prosts);
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= change;
        }
        let [ours, prosts] = alone(&bytes);
        prop_assert_eq!(ours, prosts);
        let [ours, prosts] = streamed(&bytes);
        prop_assert_eq!(ours, prosts);
    }

    #[test]
    fn any_fields_are_taken_or_refused_as_prost_does(all in fields(), text in "[a-z]{0,9}") {
        let around = field(3, 2, &all);
        let twice = [field(1, 2, &all), field(1, 2, text.as_bytes()), field(1, 2, &around)];
        for bytes in [&all, &around, &field(1, 2, &around), &twice.concat()] {
            let [ours, prosts] = alone(bytes);
            prop_assert_eq!(ours, prosts);
            let [ours, prosts] = streamed(bytes);
            prop_assert_eq!(ours, prosts);
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused_as_prost_does(bytes: Vec<u8>) {
        let [ours, prosts] = alone(&bytes);
        prop_assert_eq!(ours, prosts);
        let [ours, prosts] = streamed(&bytes);
        prop_assert_eq!(ours, prosts);
    }
}

#[test]
fn of_what_comes_twice_the_last_counts_and_messages_are_merged() {
    let seconds = field(5, 2, &field(1, 0, &[7]));
    let nanos = field(5, 2, &field(2, 0, &[9]));
    let outcome = field(3, 2, &[seconds, field(3, 0, &[1]), nanos, field(3, 0, &[2])].concat());
    let bytes = [field(1, 2, b"first"), outcome, field(1, 2, b"last"), field(99, 0, &[1])].concat();
    let report = Report::read(&bytes).unwrap();
    assert_eq!((report.pipeline, report.outcomes[0].result), ("last", 2));
    assert_eq!(
        report.outcomes[0].occur_time,
        Some(prost_types::Timestamp { seconds: 7, nanos: 9 })
    );
    let [ours, prosts] = alone(&bytes);
    assert_eq!(ours, prosts);
}

#[test]
fn groups_are_passed_over_as_deep_as_prost_does() {
    for depth in [1, 50, 99, 100, 101, 1_000, 100_000] {
        let bytes = [vec![0x4b; depth], vec![0x4c; depth]].concat(); // Field 9 within field 9.
        for bytes in [&bytes, &field(3, 2, &bytes), &field(3, 2, &field(5, 2, &bytes))] {
            let [ours, prosts] = alone(bytes);
            assert_eq!(ours, prosts, "{depth}");
        }
    }
}

#[test]
fn of_more_outcomes_than_are_taken_the_number_is_told_and_the_rest_is_not_kept() {
    let bytes = field(3, 2, &[]).repeat(100_000);
    let report = Report::read(&bytes).unwrap();
    assert_eq!((report.size, report.outcomes.len()), (100_000, report::KEPT_MAX));
    assert!(Report::read(&[bytes, vec![0x1a]].concat()).is_err(), "the rest is read all the same");
}
