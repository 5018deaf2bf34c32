//! Metrics, their units, and exact thresholds: integers all the way, never floats.

use std::fmt;
use std::time::Duration;

use vocab::{Invalid, excerpt, format_duration, parse_duration};

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share of a whole, in parts per million.
    Rate,
    /// A length of time, in milliseconds.
    Time,
    /// A whole number.
    Count,
}

macro_rules! metrics {
    ($($variant:ident, $name:literal, $unit:ident, $doc:literal;)*) => {
        /// A metric the gate service knows (semantics §5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $doc] $variant,)* }

        impl Metric {
            /// Every metric.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name plans use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is counted in.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

metrics! {
    UploadsProcessed, "uploads_processed", Count, "Uploads with a final outcome.";
    UploadsSucceeded, "uploads_succeeded", Count, "Uploads that succeeded.";
    ErrorRate, "error_rate", Rate, "failed / (succeeded + failed); invalid uploads are no errors.";
    SuccessRate, "success_rate", Rate, "succeeded / (succeeded + failed).";
    LatencyP99, "latency_p99", Time, "99th percentile of admission to final outcome.";
    CircuitBreakerEvents, "circuit_breaker_events", Count, "Transitions of a breaker to OPEN.";
    CircuitBreakerOpenTime, "circuit_breaker_open_seconds", Time, "How long a breaker has been continuously OPEN.";
    StagingBacklog, "staging_backlog", Count, "Rows in the staging table, newest gauge.";
    ManualInterventions, "manual_interventions", Count, "Interventions recorded by operators.";
    Availability, "availability", Rate, "Good probes / all probes.";
    OpenBugs, "open_bugs", Count, "Open bugs of a severity, newest gauge.";
    OpenIncidents, "open_incidents", Count, "Open incidents of a severity, newest gauge.";
    Incidents, "incidents", Count, "Incidents declared, of the kind that the label names.";
    SupportTickets, "support_tickets", Count, "Support tickets on ingestion.";
    ComplaintRate, "complaint_rate", Rate, "Client complaints / uploads processed.";
    DbCpu, "db_cpu", Rate, "Database CPU in use, newest gauge; to watch only.";
    StateTransitionCoverage, "state_transition_coverage", Rate, "Observed / expected state transitions.";
    ConcurrencyBreaches, "concurrency_breaches", Count, "Times a concurrency limit was exceeded.";
    OnCallPages, "on_call_pages", Count, "Pages of the on-call engineer about ingestion.";
}

impl Metric {
    /// Whether it is a value measured now and then, of which the newest counts.
    #[must_use]
    pub const fn is_gauge(self) -> bool {
        matches!(self, Self::StagingBacklog | Self::OpenBugs | Self::OpenIncidents | Self::DbCpu)
    }

    /// Finds a metric by the name plans use.
    ///
    /// # Errors
    /// Lists the names that are known.
    pub fn named(name: &str) -> Result<Self, Invalid> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|metric| metric.name()).collect();
            Invalid::new(format!(
                "`{}` is not a metric: expected one of {}",
                excerpt(name),
                known.join(", ")
            ))
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An exact amount of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Parts per million: 5% is 50,000.
    Rate(u64),
    /// Milliseconds.
    Time(u64),
    /// A whole number.
    Count(u64),
}

impl Quantity {
    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Rate(_) => Unit::Rate,
            Self::Time(_) => Unit::Time,
            Self::Count(_) => Unit::Count,
        }
    }

    /// The bare number, in the unit's smallest part.
    #[must_use]
    pub const fn amount(self) -> u64 {
        match self {
            Self::Rate(amount) | Self::Time(amount) | Self::Count(amount) => amount,
        }
    }

    /// Reads `5%`, `1.5%`, `0.1%` (at most four decimals), `5m`, `10K`, `100` in the given unit.
    ///
    /// # Errors
    /// Says what the unit expects.
    pub fn parse(text: &str, unit: Unit) -> Result<Self, Invalid> {
        match unit {
            Unit::Rate => parse_rate(text).map(Self::Rate),
            Unit::Time => parse_duration(text)
                .map(|time| Self::Time(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
            Unit::Count => parse_count(text).map(Self::Count),
        }
    }
}

fn parse_rate(text: &str) -> Result<u64, Invalid> {
    let wrong = || {
        Invalid::new(format!(
            "`{}` is not a rate: expected 0% to 100% with at most four decimals, e.g. 1.5%",
            excerpt(text)
        ))
    };
    let number = text.trim().strip_suffix('%').ok_or_else(wrong)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 4 || !digits(whole) || !digits(decimals) {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_e| wrong())?;
    let decimals: u64 = format!("{decimals:0<4}").parse().map_err(|_e| wrong())?;
    let ppm = whole.checked_mul(10_000).and_then(|ppm| ppm.checked_add(decimals));
    ppm.filter(|ppm| *ppm <= 1_000_000).ok_or_else(wrong)
}

fn parse_count(text: &str) -> Result<u64, Invalid> {
    let wrong =
        || Invalid::new(format!("`{}` is not a count: expected e.g. 100 or 10K", excerpt(text)));
    let plain: String = text.trim().chars().filter(|c| *c != ',' && *c != '_').collect();
    let (number, factor) = match plain.strip_suffix(['K', 'k']) {
        Some(number) => (number.to_owned(), 1_000),
        None => (plain, 1),
    };
    let count: u64 = number.parse().map_err(|_e| wrong())?;
    count.checked_mul(factor).ok_or_else(wrong)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(ppm) => {
                let decimals = format!("{:04}", ppm % 10_000);
                let decimals = decimals.trim_end_matches('0');
                let dot = if decimals.is_empty() { "" } else { "." };
                write!(f, "{}{dot}{decimals}%", ppm / 10_000)
            }
            Self::Time(ms) => f.write_str(&format_duration(Duration::from_millis(*ms))),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// How a value is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Comparison {
    /// The sign plans use.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }

    /// Whether `left` stands in this relation to `right`.
    #[must_use]
    pub const fn holds(self, left: u128, right: u128) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::Above => left > right,
        }
    }
}

/// What a metric's value must be, e.g. `< 5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// The relation.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: Quantity,
}

impl Requirement {
    /// Reads `< 5%`, `>= 100`, `< 5m`, `= 0` for a metric of the given unit.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn parse(text: &str, unit: Unit) -> Result<Self, Invalid> {
        let text = text.trim();
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
            ("=", Comparison::Equal),
        ];
        let (rest, comparison) = signs
            .into_iter()
            .find_map(|(sign, comparison)| Some((text.strip_prefix(sign)?, comparison)))
            .ok_or_else(|| {
                Invalid::new(format!(
                    "`{}` is not a requirement: expected <, <=, =, >= or > and a threshold",
                    excerpt(text)
                ))
            })?;
        Ok(Self { comparison, threshold: Quantity::parse(rest.trim(), unit)? })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison.sign(), self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_exact() {
        let rate = |text| Quantity::parse(text, Unit::Rate);
        assert_eq!(rate("5%"), Ok(Quantity::Rate(50_000)));
        assert_eq!(rate("1.5%").unwrap().to_string(), "1.5%");
        assert_eq!(rate("0.1%"), Ok(Quantity::Rate(1_000)));
        assert!(rate("101%").is_err() && rate("NaN%").is_err() && rate("5").is_err());
        assert_eq!(Quantity::parse("10K", Unit::Count), Ok(Quantity::Count(10_000)));
        assert_eq!(Quantity::parse("5m", Unit::Time), Ok(Quantity::Time(300_000)));
    }

    #[test]
    fn a_requirement_reads_as_it_prints() {
        for (text, unit) in [("< 5%", Unit::Rate), (">= 100", Unit::Count), ("< 5m", Unit::Time)] {
            assert_eq!(Requirement::parse(text, unit).unwrap().to_string(), text);
        }
        assert!(Requirement::parse("5%", Unit::Rate).is_err());
    }
}
