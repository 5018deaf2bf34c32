//! What happens in a rehearsal, and what is expected of it: a TOML file.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use vocab::{Timestamp, parse_duration};

const PARTS: f64 = 1_000_000.0;

/// A scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a line.
    pub title: String,
    /// When the rollout is created.
    #[serde(default = "start", deserialize_with = "instant")]
    pub start: Timestamp,
    /// Until when it is played.
    pub until: Until,
    /// It ends at the latest after this time.
    #[serde(default = "longest", deserialize_with = "duration")]
    pub longest: Duration,
    /// The workers and their clients.
    #[serde(default)]
    pub fleet: FleetShape,
    /// The people.
    #[serde(default)]
    pub people: People,
    /// What goes wrong.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

/// Until when a scenario is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The rollout is archived.
    Archived,
    /// General availability is declared.
    GenerallyAvailable,
    /// It goes on again after what went wrong.
    Resumed,
    /// The longest time is over.
    Longest,
}

/// The workers and their clients.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetShape {
    /// Workspaces of clients.
    pub workspaces: u32,
    /// Uploads of a workspace on a day, on average.
    pub uploads_per_day: u32,
    /// Synthetic uploads on a day, while only the team's own workspace is on.
    pub synthetic_per_day: u32,
    /// Share of uploads that fails, e.g. `0.4%`.
    #[serde(deserialize_with = "share")]
    pub error_rate: u32,
    /// The median latency.
    #[serde(deserialize_with = "duration")]
    pub latency_p50: Duration,
    /// The 99th percentile of the latency.
    #[serde(deserialize_with = "duration")]
    pub latency_p99: Duration,
}

impl Default for FleetShape {
    fn default() -> Self {
        Self {
            workspaces: 400,
            uploads_per_day: 30,
            synthetic_per_day: 60,
            error_rate: 3_000,
            latency_p50: Duration::from_secs(20),
            latency_p99: Duration::from_secs(90),
        }
    }
}

/// How long people take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// From an open criterion to its attestation.
    #[serde(deserialize_with = "duration")]
    pub attest_after: Duration,
    /// From a gate that is met to its approvals.
    #[serde(deserialize_with = "duration")]
    pub approve_after: Duration,
    /// From a pause or rollback to its fix.
    #[serde(deserialize_with = "duration")]
    pub fix_after: Duration,
}

impl Default for People {
    fn default() -> Self {
        Self {
            attest_after: Duration::from_secs(3_600),
            approve_after: Duration::from_secs(2 * 3_600),
            fix_after: Duration::from_secs(3 * 3_600),
        }
    }
}

/// Something that goes wrong, once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// In which phase.
    pub phase: String,
    /// How long after that phase was entered for the first time.
    #[serde(deserialize_with = "duration")]
    pub after: Duration,
    /// For how long.
    #[serde(default, deserialize_with = "duration")]
    pub lasts: Duration,
    /// Share of uploads that fails, where the kind has one.
    #[serde(default, deserialize_with = "share")]
    pub rate: u32,
    /// Whether it is over as soon as work goes on after people have fixed it.
    #[serde(default)]
    pub until_fixed: bool,
    /// For how long uploads that were taken in before a stop are still worked on, and fail.
    #[serde(default, deserialize_with = "duration")]
    pub in_flight: Duration,
    /// What people find half an hour after a stop: rows of the decision matrix.
    #[serde(default)]
    pub conditions: Vec<String>,
    /// How long people then expect the fix to take, and how long it takes.
    #[serde(default, deserialize_with = "maybe_duration")]
    pub expected: Option<Duration>,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// So many uploads fail.
    Errors,
    /// More and more uploads fail, up to so many.
    Leak,
    /// So many fail for ten minutes, none for ten, and so on.
    Flapping,
    /// The breaker opens, and closes at the end.
    BreakerOpen,
    /// The breaker opens twice, for a minute each.
    BreakerTwice,
    /// Nobody reports anything.
    Silence,
    /// An incident of first priority is declared.
    P1Incident,
    /// A data integrity issue is confirmed.
    DataIntegrity,
    /// Data corruption is found.
    DataCorruption,
    /// A client reports lost data.
    DataLoss,
}

/// What must come of it. What is not named is not checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Where it ends: a phase, `paused`, `generally_available` or `archived`.
    pub end: String,
    /// The triggers that were acted upon, in order.
    pub acted: Option<Vec<String>>,
    /// The phases it went back to, in order.
    pub back_to: Option<Vec<String>>,
    /// How often it was paused.
    pub pauses: Option<usize>,
    /// From the first fault to the first action, at most.
    #[serde(deserialize_with = "maybe_duration")]
    pub within: Option<Duration>,
    /// The rows of the decision matrix that were named, in order.
    pub advice: Option<Vec<String>>,
    /// The phases that took longer than planned.
    pub overdue: Option<Vec<String>>,
    /// Signals that were raised, among others.
    pub warned: Option<Vec<String>>,
    /// How many uploads there were, at least.
    pub uploads_min: u64,
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// Says what is wrong, and on which line.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let scenario: Self = toml::from_str(text).map_err(|error| Malformed(error.to_string()))?;
        if scenario.fleet.workspaces == 0 || scenario.fleet.workspaces > 100_000 {
            return Err(Malformed("fleet.workspaces: expected 1 to 100000".to_owned()));
        }
        if scenario.fleet.latency_p99 < scenario.fleet.latency_p50 {
            return Err(Malformed("fleet.latency_p99 is below fleet.latency_p50".to_owned()));
        }
        Ok(scenario)
    }
}

const fn start() -> Timestamp {
    Timestamp::from_millis(1_767_571_200_000) // 2026-01-05, a Monday.
}

const fn longest() -> Duration {
    Duration::from_secs(120 * 86_400)
}

fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    String::deserialize(input)
}

fn instant<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
    Timestamp::parse(&text(input)?).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    parse_duration(&text(input)?).map_err(serde::de::Error::custom)
}

fn maybe_duration<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}

/// A share in percent, as parts per million.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be between 0 and 100 percent"
)]
fn share<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let text = text(input)?;
    let wrong = || {
        let shown = vocab::excerpt(&text);
        serde::de::Error::custom(format!("`{shown}` is no share: expected e.g. `0.4%`"))
    };
    let percent: f64 =
        text.strip_suffix('%').ok_or_else(wrong)?.trim().parse().map_err(|_e| wrong())?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(wrong());
    }
    Ok((percent / 100.0 * PARTS).round() as u32)
}
