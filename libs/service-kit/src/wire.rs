//! Between our values and protobuf's, the same way in every service.

use prost_types::Timestamp as WireTime;
use vocab::Timestamp;

/// An instant on the wire.
#[must_use]
pub fn wire_time(time: Timestamp) -> WireTime {
    let nanos = i32::try_from(time.as_millis().rem_euclid(1000) * 1_000_000).unwrap_or(0);
    WireTime { seconds: time.as_seconds(), nanos }
}

/// An instant off the wire; the beginning of time where there is none.
#[must_use]
pub fn time_of(wire: Option<&WireTime>) -> Timestamp {
    wire.map_or(Timestamp::EPOCH, |wire| {
        let millis = wire.seconds.saturating_mul(1000);
        Timestamp::from_millis(millis.saturating_add(i64::from(wire.nanos / 1_000_000)))
    })
}

/// A count or version on the wire: beyond the largest it stays there.
#[must_use]
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The etag of a revision.
#[must_use]
pub fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_from_the_wire_as_it_went() {
        for millis in [0, 1, -1, 1_800_000_000_123, -86_400_001] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time_of(Some(&wire_time(time))), time);
        }
    }
}
