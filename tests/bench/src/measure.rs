//! Samples and what is written of them.

use std::time::Duration;

/// The durations of one thing, measured again and again.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn median(&self) -> Duration {
        self.quantile(50)
    }

    /// The smallest sample that so many percent do not exceed; zero where there is none.
    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(samples: T) -> Self {
        Self(samples.into_iter().collect())
    }
}

/// The median of how many times as long `ours` took as `bare` in the same turn: the machine is not
/// equally fast in all of them.
pub(crate) fn times(ours: &Samples, bare: &Samples) -> f64 {
    let turns = ours.0.iter().zip(&bare.0);
    let mut times: Vec<_> =
        turns.map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64().max(1e-9)).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// As [`report`], of turns that were taken one after the other.
pub(crate) fn report_turns(what: &str, ours: &Samples, bare: &Samples, target: f64) {
    print(what, times(ours, bare), ours.median(), bare.median(), target);
}

/// Prints how many times as long `ours` takes as `bare`, and whether that is at most `target`.
pub(crate) fn report(what: &str, ours: Duration, bare: Duration, target: f64) {
    let figure = ours.as_secs_f64() / bare.as_secs_f64().max(f64::EPSILON);
    print(what, figure, ours, bare, target);
}

fn print(what: &str, figure: f64, ours: Duration, bare: Duration, target: f64) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what}: {figure:.2} ({ours:.2?} / {bare:.2?}, target <= {target}: {verdict})");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_compared_with_those_beside_them() {
        let seconds = |turns: [u64; 3]| turns.into_iter().map(Duration::from_secs).collect();
        let (ours, bare): (Samples, Samples) = (seconds([2, 40, 9]), seconds([1, 20, 3]));
        assert!((times(&ours, &bare) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_samples() {
        let samples: Samples = (1..=100).map(Duration::from_secs).collect();
        assert_eq!(samples.median(), Duration::from_secs(50));
        assert_eq!(samples.quantile(99), Duration::from_secs(99));
        assert_eq!(Samples::default().median(), Duration::ZERO);
    }
}
