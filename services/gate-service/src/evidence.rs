//! Gathering what a verdict may rest on. No decisions here.

use std::collections::{BTreeMap, BTreeSet};

use gate_core::{Attested, Evidence, Gauge, SpanKey, Tally};
use plan::{Judged, Metric, WindowSpan};
use service_kit::fault::{Fault, checked};
use service_kit::journaled::store_failed;
use service_kit::wire::time_of;
use store::Scope;
use vocab::{Role, Timestamp};

use crate::app::App;
use crate::counting::window;
use crate::error::DOMAIN;
use crate::state::Watched;

impl App {
    /// Everything known of a rollout at `now`. `previous_gate`: what `gate_passed` asks for.
    pub(crate) async fn evidence(
        &self,
        watched: &Watched,
        previous_gate: Option<String>,
        spans: &[WindowSpan],
        now: Timestamp,
    ) -> Result<Evidence, Fault> {
        let scope = scope(watched.plan.pipeline.as_str())?;
        let wanted: BTreeMap<SpanKey, WindowSpan> =
            spans.iter().map(|span| (SpanKey::from(*span), *span)).collect();
        let mut tallies = BTreeMap::new();
        for (key, span) in wanted {
            let counted = self.counters.sum(&scope, &window(watched, span, now)).await;
            let counted = counted.map_err(|error| store_failed(DOMAIN, &error))?;
            tallies.insert(key, Tally::from_counters(&counted));
        }
        Ok(Evidence {
            tallies,
            gauges: self.gauges(&scope).await?,
            sighted: watched.sighted.clone(),
            attested: attested(watched),
            passed_gates: watched.passed_gates.iter().cloned().collect::<BTreeSet<_>>(),
            expected_transitions: watched.plan.state_transitions.clone(),
            previous_gate,
            gauge_age_max_ms: u64::try_from(self.gauge_stale_after.as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<(Metric, String), Gauge>, Fault> {
        let readings = self.counters.gauges(scope).await;
        let readings = readings.map_err(|error| store_failed(DOMAIN, &error))?;
        let read = readings.into_iter().filter_map(|(name, reading)| {
            let (metric, label) = name.split_once('/').unwrap_or((&name, ""));
            let amount = u64::try_from(reading.value).ok()?;
            let gauge = Gauge { amount, at: reading.at };
            Some(((Metric::named(metric).ok()?, label.to_owned()), gauge))
        });
        Ok(read.collect())
    }
}

/// The counters of a pipeline.
pub(crate) fn scope(pipeline: &str) -> Result<Scope, Fault> {
    checked(DOMAIN, "pipeline", Scope::new(pipeline))
}

/// The windows that criteria ask for.
pub(crate) fn spans<'a>(
    criteria: impl IntoIterator<Item = &'a plan::Criterion>,
) -> Vec<WindowSpan> {
    criteria
        .into_iter()
        .filter_map(|criterion| match &criterion.judged {
            Judged::Metric(metric) => Some(metric.window),
            Judged::Observed(_) | Judged::Attestation { .. } | Judged::SignOff { .. } => None,
        })
        .collect()
}

fn attested(watched: &Watched) -> BTreeMap<String, Attested> {
    let in_force = watched.attestations.iter().filter(|(_, attestation)| !attestation.withdrawn);
    in_force
        .filter_map(|(criterion, attestation)| {
            let attested = Attested {
                actor: attestation.actor.clone(),
                role: Role::new(&attestation.role).ok()?,
                evidence: attestation.evidence.clone(),
                at: time_of(attestation.create_time.as_ref()),
            };
            Some((criterion.clone(), attested))
        })
        .collect()
}
