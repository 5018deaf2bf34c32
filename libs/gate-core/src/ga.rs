//! The days that general availability rests on (D7 §6.3; semantics §11).

use crate::judge::Verdict;

const DAY_MS: i64 = 86_400_000;

/// One day's judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The day, counted from 1970-01-01 in UTC.
    pub number: i64,
    /// The worst verdict of the quantitative criteria, at the day's end.
    pub verdict: Verdict,
    /// Whether the flag stood at 100 % all day.
    pub at_full: bool,
}

impl Day {
    /// The day of an instant.
    #[must_use]
    pub const fn number_of(at: vocab::Timestamp) -> i64 {
        at.as_millis().div_euclid(DAY_MS)
    }

    /// When a day begins.
    #[must_use]
    pub const fn begin(number: i64) -> vocab::Timestamp {
        vocab::Timestamp::from_millis(number * DAY_MS)
    }

    /// Whether it counts.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.at_full && self.verdict == Verdict::Pass
    }
}

/// How many days in a row were met, up to the newest that was judged. A day that was not met, or
/// not judged, restarts the count. `days`: oldest first, each once.
#[must_use]
pub fn consecutive_days(days: &[Day]) -> u32 {
    let mut count = 0;
    let mut next = None;
    for day in days.iter().rev() {
        if next.is_some_and(|next| day.number != next) || !day.is_met() {
            break;
        }
        count += 1;
        next = Some(day.number - 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(verdicts: &[(i64, Verdict)]) -> Vec<Day> {
        verdicts
            .iter()
            .map(|(number, verdict)| Day { number: *number, verdict: *verdict, at_full: true })
            .collect()
    }

    #[test]
    fn days_count_from_the_newest_back_to_the_first_gap() {
        use Verdict::{Fail, Inconclusive, Pass};
        let met = |numbers: std::ops::Range<i64>| numbers.map(|n| (n, Pass)).collect::<Vec<_>>();
        assert_eq!(consecutive_days(&[]), 0);
        assert_eq!(consecutive_days(&days(&met(0..7))), 7);
        for broken in [Fail, Inconclusive] {
            let mut with_a_bad_day = met(0..7);
            with_a_bad_day[3].1 = broken;
            assert_eq!(consecutive_days(&days(&with_a_bad_day)), 3, "{broken:?}");
            with_a_bad_day[6].1 = broken;
            assert_eq!(consecutive_days(&days(&with_a_bad_day)), 0, "{broken:?}");
        }
        let mut with_a_day_unjudged = met(0..7);
        with_a_day_unjudged.remove(2);
        assert_eq!(consecutive_days(&days(&with_a_day_unjudged)), 4);
    }

    #[test]
    fn a_day_below_full_share_does_not_count() {
        let mut days = days(&[(0, Verdict::Pass), (1, Verdict::Pass)]);
        days[0].at_full = false;
        assert_eq!(consecutive_days(&days), 1);
    }
}
