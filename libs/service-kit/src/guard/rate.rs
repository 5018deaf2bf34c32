//! How often one person or worker may call: so many times a second, with a second's worth at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const BURST: Duration = Duration::from_secs(1);

/// When the next call of each would be due, had they all come evenly (GCRA). As many entries as
/// there are subjects in the token file.
#[derive(Debug)]
pub(super) struct Rates {
    interval: Option<Duration>,
    due: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// No bound where `calls_per_second` is 0.
    pub(super) fn new(calls_per_second: u32) -> Self {
        let interval = (calls_per_second > 0).then(|| BURST / calls_per_second);
        Self { interval, due: Mutex::default() }
    }

    /// Counts a call; where it is one too many, says when trying again may help.
    pub(super) fn count(&self, subject: &str, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(due) = all.get_mut(subject) else {
            all.insert(subject.to_owned(), now + interval);
            return Ok(());
        };
        let ahead = due.saturating_duration_since(now);
        if ahead > BURST.saturating_sub(interval) {
            return Err(ahead + interval - BURST);
        }
        *due = (*due).max(now) + interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_only_at_the_pace() {
        let (rates, start) = (Rates::new(10), Instant::now());
        for _one in 0..10 {
            rates.count("ada", start).unwrap();
        }
        assert_eq!(rates.count("ada", start), Err(Duration::from_millis(100)));
        rates.count("ada", start + Duration::from_millis(100)).unwrap();
        assert!(rates.count("ada", start + Duration::from_millis(100)).is_err());
        for _one in 0..10 {
            rates.count("ada", start + Duration::from_secs(60)).unwrap();
        }
    }

    #[test]
    fn one_who_calls_too_often_holds_up_nobody_else() {
        let (rates, now) = (Rates::new(1), Instant::now());
        rates.count("ada", now).unwrap();
        assert!(rates.count("ada", now).is_err());
        rates.count("bob", now).unwrap();
        let unbound = Rates::new(0);
        for _one in 0..100_000 {
            unbound.count("ada", now).unwrap();
        }
    }
}
