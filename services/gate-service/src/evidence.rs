//! Gathering what a verdict may rest on. No decisions here.

use std::collections::BTreeMap;
use std::time::Duration;

use gate_core::{Attested, Evidence, Gauge, Ripe, SpanKey, Tally};
use plan::{Metric, PromQuery, Unit, WindowSpan};
use service_kit::fault::{Fault, checked};
use service_kit::journaled::store_failed;
use service_kit::wire::time_of;
use store::{Reading as GaugeReading, Scope, Window};
use vocab::{Role, Timestamp};

use crate::app::App;
use crate::counting::{Reach, Series, reaches};
use crate::error::DOMAIN;
use crate::watched::Watched;

/// When anybody last reported anything, in milliseconds; no metric has this name.
pub(crate) const HEARD: &str = "reports.heard";
/// When the newest outcome happened.
pub(crate) const NEWEST_OUTCOME: &str = "outcomes.newest";
/// When everything watched was last evaluated.
pub(crate) const EVALUATED: &str = "watched.evaluated";

/// What is to be known.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Windows, and how old uploads must be in them.
    pub(crate) spans: Vec<(WindowSpan, Duration)>,
    /// What `gate_passed` asks for.
    pub(crate) previous_gate: Option<String>,
    /// Windows as people are shown them: behind the start of the phase, too.
    pub(crate) whole: bool,
    /// Questions to Prometheus, and in which unit.
    pub(crate) queries: BTreeMap<&'a PromQuery, Unit>,
}

/// Counters of a pipeline, read at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    scope: &'a Scope,
    late_reports: u64,
    now: Timestamp,
}

/// Evidence, and what is kept beside it.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) evidence: Evidence,
    /// When everything watched was last evaluated, and what that replaced is ordered by.
    pub(crate) evaluated: Option<GaugeReading>,
}

impl App {
    /// Everything known of a rollout at `now`.
    pub(crate) async fn gather(
        &self,
        watched: &Watched,
        wanted: Wanted<'_>,
        now: Timestamp,
    ) -> Result<Gathered, Fault> {
        let plan = watched.plan();
        let scope = scope(plan.pipeline.as_str())?;
        let reading = self.reading(&scope, now).await?;
        let mut tallies = BTreeMap::new();
        let mut ripe = BTreeMap::new();
        for (span, age) in wanted.spans {
            let key = SpanKey::from(span);
            if let std::collections::btree_map::Entry::Vacant(entry) = tallies.entry(key) {
                entry.insert(self.tally(watched, &reading, (span, wanted.whole)).await?);
            }
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            if age_ms > 0 && !ripe.contains_key(&(key, age_ms)) {
                let found = self.ripe(watched, &reading, span, age).await?;
                ripe.insert((key, age_ms), found);
            }
        }
        let readings = self.counters.gauges(&scope).await;
        let readings = readings.map_err(|error| store_failed(DOMAIN, &error))?;
        let time = |name: &str| Some(Timestamp::from_millis(readings.get(name)?.value));
        let mut answers = BTreeMap::new();
        for (query, unit) in wanted.queries {
            answers.insert(query.clone(), self.prometheus.ask(query, unit, now).await);
        }
        let evidence = Evidence {
            phase_start: watched.start_time,
            tallies,
            ripe,
            gauges: gauges(&readings),
            sighted: watched.sighted.clone(),
            attested: attested(watched),
            passed_gates: watched.passed_gates.clone(),
            expected_transitions: plan.state_transitions.clone(),
            previous_gate: wanted.previous_gate,
            gauge_age_max_ms: u64::try_from(self.gauge_stale_after.as_millis()).unwrap_or(u64::MAX),
            heard: time(HEARD),
            silent_after: self.silent_after(plan.watching.silent_after),
            newest_outcome: time(NEWEST_OUTCOME),
            answers,
            percentage_basis_points: u16::try_from(watched.share.0).unwrap_or(0),
            ga_days: (watched.consecutive_days(), plan.ga.consecutive_days),
            communications: watched.communications.clone(),
            drill_valid_for: plan.kill_switch.drill_valid_for,
        };
        Ok(Gathered { evidence, evaluated: readings.get(EVALUATED).copied() })
    }

    /// A demo clock runs through any time in moments: silence is a minute of real time at least.
    fn silent_after(&self, of_plan: Duration) -> Duration {
        const REAL: Duration = Duration::from_secs(60);
        let demo = self.clock.demo().map(|demo| REAL.saturating_mul(demo.factor));
        demo.map_or(of_plan, |least| of_plan.max(least))
    }

    /// Begins to read counters of a pipeline.
    pub(crate) async fn reading<'a>(
        &self,
        scope: &'a Scope,
        now: Timestamp,
    ) -> Result<Reading<'a>, Fault> {
        let late_reports = self.settled.late_reports(self.counters.as_ref(), scope).await;
        let late_reports = late_reports.map_err(|error| store_failed(DOMAIN, &error))?;
        Ok(Reading { scope, late_reports, now })
    }

    /// The counters of a series over a window; and whether that is the whole of it.
    pub(crate) async fn counters(
        &self,
        watched: &Watched,
        reading: &Reading<'_>,
        series: Series,
        span: (WindowSpan, bool),
    ) -> Result<BTreeMap<String, u64>, Fault> {
        let reach = reaches(watched, series, span, Duration::ZERO, reading.now);
        let mut totals = BTreeMap::new();
        for window in &reach.added {
            let counted = self.sum(reading, window).await?;
            if totals.is_empty() {
                totals = counted;
                continue;
            }
            for (field, count) in counted {
                *totals.entry(field).or_default() += count;
            }
        }
        Ok(totals)
    }

    /// What happened over a window.
    async fn tally(
        &self,
        watched: &Watched,
        reading: &Reading<'_>,
        span: (WindowSpan, bool),
    ) -> Result<Tally, Fault> {
        let Reading { scope, late_reports, now } = *reading;
        let reach = reaches(watched, Series::Happened, span, Duration::ZERO, now);
        let mut tally = Tally::default();
        for window in &reach.added {
            let at = (late_reports, now);
            let summed = self.settled.tally(self.counters.as_ref(), scope, window, at).await;
            tally.absorb(&summed.map_err(|error| store_failed(DOMAIN, &error))?);
        }
        Ok(tally)
    }

    async fn ripe(
        &self,
        watched: &Watched,
        reading: &Reading<'_>,
        span: WindowSpan,
        age: Duration,
    ) -> Result<Ripe, Fault> {
        let Reach { added, taken } =
            reaches(watched, Series::Admitted, (span, false), age, reading.now);
        let (mut all, mut young) = (Ripe::default(), Ripe::default());
        for window in &added {
            all.add_counters(&self.sum(reading, window).await?);
        }
        for window in &taken {
            young.add_counters(&self.sum(reading, window).await?);
        }
        Ok(all.without(&young))
    }

    async fn sum(
        &self,
        reading: &Reading<'_>,
        window: &Window,
    ) -> Result<BTreeMap<String, u64>, Fault> {
        let Reading { scope, late_reports, now } = *reading;
        let summed = self.settled.sum(self.counters.as_ref(), scope, window, (late_reports, now));
        summed.await.map_err(|error| store_failed(DOMAIN, &error))
    }
}

fn gauges(readings: &BTreeMap<String, GaugeReading>) -> BTreeMap<(Metric, String), Gauge> {
    let read = readings.iter().filter_map(|(name, reading)| {
        let (metric, label) = name.split_once('/').unwrap_or((name, ""));
        let amount = u64::try_from(reading.value).ok()?;
        let gauge = Gauge { amount, at: reading.at };
        Some(((Metric::named(metric).ok()?, label.to_owned()), gauge))
    });
    read.collect()
}

/// The counters of a pipeline.
pub(crate) fn scope(pipeline: &str) -> Result<Scope, Fault> {
    checked(DOMAIN, "pipeline", Scope::new(pipeline))
}

fn attested(watched: &Watched) -> BTreeMap<String, Vec<Attested>> {
    let of = |attestation: &contracts::gate::Attestation| {
        Some(Attested {
            actor: attestation.actor.clone(),
            role: Role::new(&attestation.role).ok()?,
            evidence: attestation.evidence.clone(),
            at: time_of(attestation.create_time.as_ref()),
        })
    };
    let criteria = watched.attestations.iter();
    criteria
        .map(|(criterion, statements)| {
            let in_force = statements.iter().filter(|statement| !statement.withdrawn);
            (criterion.clone(), in_force.filter_map(of).collect())
        })
        .collect()
}
