//! What can be set.

use std::time::Duration;

use killswitch_core::OnStale;
use serde::Deserialize;
use service_kit::bootstrap::ServiceSettings;
use service_kit::settings::{
    ClockSettings, IdentitySettings, ServerSettings, SettingsError, StoreSettings,
    TelemetrySettings,
};

const PERCENT_MAX: u32 = 100;

/// Settings of this service; documented in `settings.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub server: ServerSettings,
    /// Who may call.
    pub identity: IdentitySettings,
    /// Where data is kept.
    pub store: StoreSettings,
    /// The clock.
    pub clock: ClockSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// Watchers.
    pub watch: WatchSettings,
    /// Engaging.
    pub engage: EngageSettings,
    /// Releasing.
    pub release: ReleaseSettings,
    /// What workers do with what they hear, where no plan says so.
    pub policy: PolicySettings,
    /// The fleet's circuit breaker.
    pub breaker: BreakerSettings,
    /// Drills.
    pub drill: DrillSettings,
}

/// How watchers are kept informed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Time between signs of life, e.g. `1s`.
    pub heartbeat: String,
}

/// How a kill gets into force.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngageSettings {
    /// How long the store may take before a kill is in force without it.
    pub store_budget: String,
}

/// How work is let go on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSettings {
    /// Time from a release until everybody goes on; `0s`: at once.
    pub ramp: String,
}

/// What workers do where no plan says so.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// How long a permission is good for.
    pub lease: String,
    /// How long the last known state is kept at most, where a plan says `fail_static`.
    pub static_max: String,
}

/// When the fleet's circuit breaker engages a pipeline's switch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerSettings {
    /// Connected workers below which nothing is concluded.
    pub workers_min: usize,
    /// Share of them whose breakers must be open, in percent.
    pub quorum_percent: u32,
    /// How long it must last.
    pub open_for: String,
}

/// Drills that nobody has to think of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillSettings {
    /// Time between drills of every pipeline with workers; never where empty.
    pub every: String,
}

/// The same, read.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) heartbeat: Duration,
    pub(crate) store_budget: Duration,
    pub(crate) ramp: Duration,
    pub(crate) lease: Duration,
    pub(crate) static_max: Duration,
    pub(crate) breaker_open_for: Duration,
    pub(crate) drill_every: Option<Duration>,
}

impl Settings {
    pub(crate) fn timing(&self) -> Result<Timing, SettingsError> {
        let read = |key: &str, text: &str| {
            vocab::parse_duration(text).map_err(|why| SettingsError(format!("{key}: {why}")))
        };
        let breaker = &self.breaker;
        if breaker.workers_min == 0 || !(1..=PERCENT_MAX).contains(&breaker.quorum_percent) {
            let why = "breaker: expected workers_min of 1 or more, quorum_percent from 1 to 100";
            return Err(SettingsError(why.to_owned()));
        }
        let every = Some(&self.drill.every).filter(|every| !every.is_empty());
        Ok(Timing {
            heartbeat: read("watch.heartbeat", &self.watch.heartbeat)?,
            store_budget: read("engage.store_budget", &self.engage.store_budget)?,
            ramp: read("release.ramp", &self.release.ramp)?,
            lease: read("policy.lease", &self.policy.lease)?,
            static_max: read("policy.static_max", &self.policy.static_max)?,
            breaker_open_for: read("breaker.open_for", &breaker.open_for)?,
            drill_every: every.map(|every| read("drill.every", every)).transpose()?,
        })
    }
}

impl Timing {
    /// How long a worker may go on without a word, at most, under a policy.
    pub(crate) fn silence_max(&self, lease: Duration, on_stale: OnStale) -> Duration {
        match on_stale {
            OnStale::FailClosed => lease,
            OnStale::FailStatic(bound) => lease.saturating_add(self.static_max(bound)),
        }
    }

    /// The bound of `FAIL_STATIC`: the plan's, or the setting where it has none.
    pub(crate) const fn static_max(&self, bound: Duration) -> Duration {
        if bound.is_zero() { self.static_max } else { bound }
    }
}

impl ServiceSettings for Settings {
    const DEFAULTS: &'static str = include_str!("../settings.default.toml");

    fn telemetry(&self) -> &TelemetrySettings {
        &self.telemetry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_valid() {
        let settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        assert_eq!(settings.server.listen_address.port(), 7103);
        let timing = settings.timing().unwrap();
        assert_eq!((timing.ramp, timing.drill_every), (Duration::from_secs(60), None));
    }

    #[test]
    fn a_breaker_without_a_quorum_is_refused() {
        let mut settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        settings.breaker.quorum_percent = 0;
        assert!(
            settings.timing().unwrap_err().to_string().contains("quorum_percent from 1 to 100")
        );
    }
}
