//! Which buckets answer for a stretch of time.

use std::time::Duration;

use plan::WindowSpan;
use store::Window;
use vocab::Timestamp;

use super::{FUTURE_MAX, HOUR, MINUTE, MINUTES_REACH, Resolution, Series};
use crate::watched::Watched;

/// Buckets to add up, and buckets to take away again.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) added: Vec<Window>,
    pub(crate) taken: Vec<Window>,
}

/// The buckets that answer for `span` at `now`, up to `age` ago. A window that reaches behind the
/// phase's start ends there: nothing counted before it is evidence. Only where it is shown to
/// people it is whole.
pub(crate) fn reaches(
    watched: &Watched,
    series: Series,
    (span, whole): (WindowSpan, bool),
    age: Duration,
    now: Timestamp,
) -> Reach {
    let until = now.minus(age);
    let from = match span {
        WindowSpan::Rolling(length) => now.minus(length),
        WindowSpan::SincePhaseStart => watched.start_time,
    };
    let phase_started_within = !whole && watched.start_time >= from && !watched.phase_id.is_empty();
    if span == WindowSpan::SincePhaseStart || phase_started_within {
        let phase = Window {
            series: series.phase(watched),
            from: Timestamp::EPOCH,
            to: Timestamp::from_millis(1),
            width: Duration::from_millis(1),
        };
        let younger = until.max(watched.start_time);
        let taken = if age.is_zero() { Vec::new() } else { vec![minutes(series, younger, now)] };
        return Reach { added: vec![phase], taken };
    }
    if now.since(from) <= MINUTES_REACH {
        let end = if age.is_zero() { now.plus(FUTURE_MAX) } else { until };
        return Reach { added: vec![minutes_within(series, from, end)], taken: Vec::new() };
    }
    if age.is_zero() {
        return Reach { added: vec![hours(series, from, now.plus(FUTURE_MAX))], taken: Vec::new() };
    }
    // Hours up to now, without the youngest minutes.
    let added = vec![hours(series, from, now.plus(FUTURE_MAX))];
    Reach { added, taken: vec![minutes(series, until, now)] }
}

fn window(series: String, from: Timestamp, to: Timestamp, resolution: &Resolution) -> Window {
    Window { series, from, to, width: resolution.width() }
}

/// From the bucket behind `from` to the one that `to` is in.
fn after(series: String, from: Timestamp, to: Timestamp, resolution: &Resolution) -> Window {
    let from = resolution.start(from).plus(resolution.width());
    window(series, from, resolution.start(to).plus(resolution.width()), resolution)
}

fn hours(series: Series, from: Timestamp, to: Timestamp) -> Window {
    after(series.hours(), from, to, &HOUR)
}

fn minutes_within(series: Series, from: Timestamp, to: Timestamp) -> Window {
    after(series.minutes(), from, to, &MINUTE)
}

/// The minutes from `from` on, its own included: what is younger than that.
fn minutes(series: Series, from: Timestamp, now: Timestamp) -> Window {
    let to = MINUTE.start(now.plus(FUTURE_MAX)).plus(MINUTE.width());
    window(series.minutes(), MINUTE.start(from), to, &MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::gate as pb;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000 + 90_000);
    const MINUTE_LONG: Duration = Duration::from_secs(60);
    const HOUR_LONG: Duration = Duration::from_secs(3_600);

    fn watched(start: Timestamp) -> Watched {
        let applied = pb::GatePlanApplied {
            rollout: "rollouts/r".to_owned(),
            plan_source: plan::SHIPPED.as_bytes().to_vec(),
            generation: 1,
            phase_generation: 3,
            phase_id: "P1".to_owned(),
            start_time: Some(service_kit::wire::wire_time(start)),
            ..Default::default()
        };
        Watched::follow(None, &applied).unwrap()
    }

    fn of(start: Timestamp, length: Duration, age: Duration) -> Reach {
        let span = WindowSpan::Rolling(length);
        reaches(&watched(start), Series::Happened, (span, false), age, NOW)
    }

    #[test]
    fn a_quarter_of_an_hour_is_read_in_minutes_and_a_week_in_hours() {
        let long_ago = NOW.minus(30 * 24 * HOUR_LONG);
        let quarter = &of(long_ago, 15 * MINUTE_LONG, Duration::ZERO).added[0];
        assert_eq!((quarter.series.as_str(), quarter.width), ("m", MINUTE_LONG));
        assert_eq!(quarter.to.since(quarter.from), 16 * MINUTE_LONG, "one minute is of the future");
        let week = &of(long_ago, 7 * 24 * HOUR_LONG, Duration::ZERO).added[0];
        assert_eq!((week.series.as_str(), week.width), ("h", HOUR_LONG));
        assert_eq!(week.to.since(week.from), 7 * 24 * HOUR_LONG);
    }

    #[test]
    fn a_window_never_reaches_behind_the_start_of_the_phase() {
        let yesterday = NOW.minus(24 * HOUR_LONG);
        assert_eq!(of(yesterday, 7 * 24 * HOUR_LONG, Duration::ZERO).added[0].series, "phase:r:3");
        assert_eq!(of(yesterday, HOUR_LONG, Duration::ZERO).added[0].series, "m");
    }

    #[test]
    fn what_is_too_young_is_taken_away_again() {
        let age = 10 * MINUTE_LONG;
        let week = of(NOW.minus(30 * 24 * HOUR_LONG), 7 * 24 * HOUR_LONG, age);
        assert_eq!((week.added.len(), week.taken.len()), (1, 1));
        assert_eq!(week.taken[0].from, MINUTE.start(NOW.minus(age)));
        let phase = of(NOW.minus(5 * MINUTE_LONG), HOUR_LONG, age);
        assert_eq!(phase.taken[0].from, MINUTE.start(NOW.minus(5 * MINUTE_LONG)));
    }
}
