//! Instants and durations as values: nothing here knows what time it is.

use std::time::Duration;

use crate::{Invalid, excerpt};

/// An instant in UTC, to the millisecond. Always handed in, never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970, UTC.
    pub const EPOCH: Self = Self(0);

    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The instant `duration` later; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` earlier; stays at the beginning of time instead of wrapping.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The UTC day this instant falls on, as `YYYY-MM-DD`.
    #[must_use]
    pub fn utc_day(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => jiff::tz::Offset::UTC.to_datetime(instant).date().to_string(),
            Err(_) => self.to_string().chars().take(10).collect(), // Beyond year 9999.
        }
    }

    /// Reads an RFC 3339 instant.
    ///
    /// # Errors
    /// Says what was wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.parse::<jiff::Timestamp>().map(|instant| Self(instant.as_millisecond())).map_err(
            |error| {
                Invalid::new(format!(
                    "`{}` is not an instant such as 2026-01-31T08:00:00Z: {error}",
                    excerpt(text)
                ))
            },
        )
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{}ms", self.0), // Beyond year 9999: print the number.
        }
    }
}

/// Units of a plan's durations, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration such as `3d`, `4h`, `15m`, `30s`, `250ms` or `1h30m`.
///
/// # Errors
/// Names the text and the form expected.
pub fn parse_duration(text: &str) -> Result<Duration, Invalid> {
    let wrong = || {
        Invalid::new(format!(
            "`{}` is not a duration: expected e.g. 3d, 4h, 15m, 30s, 250ms or 1h30m",
            excerpt(text)
        ))
    };
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |length| digits + length);
        let count: u64 = rest[..digits].parse().map_err(|_e| wrong())?;
        let (_, unit_ms) =
            UNITS.iter().find(|(name, _)| *name == &rest[digits..unit_end]).ok_or_else(wrong)?;
        total =
            count.checked_mul(*unit_ms).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    Ok(Duration::from_millis(total))
}

/// Prints a duration the way plans write it, e.g. `2d4h`, to at most two units.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    let mut units = 0;
    for (name, unit_ms) in UNITS {
        if rest >= unit_ms && units < 2 {
            text.push_str(&format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
            units += 1;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_printed_alike() {
        for text in ["3d", "4h", "15m", "30s", "250ms", "1h30m", "2d4h"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for bad in ["", "3", "d", "3x", "-1d", "99999999999999999999d", "1.5h"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_day_of_an_instant_is_the_beginning_of_how_it_prints(
            millis in 0..253_402_207_200_000_i64, // As far as instants are printed: the end of 9999.
        ) {
            let instant = Timestamp::from_millis(millis);
            let (day, printed) = (instant.utc_day(), instant.to_string());
            prop_assert_eq!(printed.split_once('T').map(|(day, _time)| day), Some(day.as_str()));
        }
    }

    #[test]
    fn an_instant_prints_as_rfc_3339_and_knows_its_day() {
        let instant = Timestamp::parse("2026-01-31T23:59:59.250Z").unwrap();
        assert_eq!(instant.to_string(), "2026-01-31T23:59:59.25Z");
        assert_eq!(instant.utc_day(), "2026-01-31");
        assert_eq!(instant.since(instant.plus(Duration::from_secs(1))), Duration::ZERO);
    }
}
