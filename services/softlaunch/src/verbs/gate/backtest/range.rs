//! The plan's questions to Prometheus, answered over a range.

use std::collections::BTreeMap;
use std::time::Duration;

use gate_core::{Answer, Entry};
use plan::{Judged, Plan, PromQuery, TriggerCondition, Unit};
use reqwest::{Client, Url};
use serde_json::Value;
use vocab::{Timestamp, excerpt};

use crate::failure::Failure;

const POINTS_MAX: u128 = 10_000; // Prometheus answers 11,000 of a series at most.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks everything that the plan asks, minute by minute or as finely as the range allows.
pub(super) async fn ask(
    address: &str,
    plan: &Plan,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(Timestamp, Entry)>, Failure> {
    let queries = queries(plan);
    if queries.is_empty() {
        return Err(Failure::usage("the plan asks nothing of Prometheus: see docs/gating.md"));
    }
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails where another thread was faster, with the same: there is one in this workspace.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    }
    let client = Client::builder().timeout(TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| Failure::refused(error.to_string()))?;
    let span = to.since(from);
    let step_s = u64::try_from((span.as_secs().max(1) as u128).div_ceil(POINTS_MAX)).unwrap_or(60);
    let step_s = step_s.max(60);
    let mut entries = Vec::new();
    for (query, unit) in queries {
        let values = series(&client, address, &query.query, (from, to), step_s).await?;
        let samples = match &query.samples_query {
            Some(samples) => series(&client, address, samples, (from, to), step_s).await?,
            None => BTreeMap::new(),
        };
        let steps =
            (0..=span.as_secs() / step_s).map(|n| from.plus(Duration::from_secs(n * step_s)));
        for at in steps {
            let found = values.get(&at.as_seconds()).copied();
            let count = match &query.samples_query {
                Some(_) => samples.get(&at.as_seconds()).copied(),
                None => Some(1.0),
            };
            let answer = match (found, count) {
                (Some(value), Some(count)) => answer(value, count, unit, at),
                _ => Err("no series".to_owned()),
            };
            entries.push((at, Entry::Answered(query.clone(), answer)));
        }
    }
    Ok(entries)
}

fn queries(plan: &Plan) -> BTreeMap<PromQuery, Unit> {
    let of_criteria = plan.criteria().filter_map(|criterion| match &criterion.judged {
        Judged::Metric(one) => Some((one.prometheus.clone()?, one.metric.unit())),
        Judged::Observed(_) | Judged::Attestation { .. } | Judged::SignOff { .. } => None,
    });
    let of_triggers = plan.triggers.iter().filter_map(|trigger| match &trigger.condition {
        TriggerCondition::Metric { metric, prometheus, .. } => {
            Some((prometheus.clone()?, metric.unit()))
        }
        TriggerCondition::Incident { .. } => None,
    });
    of_criteria.chain(of_triggers).collect()
}

fn answer(value: f64, count: f64, unit: Unit, at: Timestamp) -> Result<Answer, String> {
    let factor = match unit {
        Unit::Rate => 1e6,
        Unit::Time => 1e3,
        Unit::Count => 1.0,
    };
    let whole = |value: f64| -> Option<u64> {
        let text = format!("{:.0}", value.round());
        (0.0..=1e13).contains(&value).then(|| text.parse().ok()).flatten()
    };
    let amount = whole(value * factor).ok_or_else(|| format!("{value} is no such value"))?;
    let samples = whole(count).ok_or_else(|| format!("{count} samples"))?;
    Ok(Answer { amount, samples, at })
}

/// The values of one series, by second; NaN is no value.
async fn series(
    client: &Client,
    address: &str,
    query: &str,
    (from, to): (Timestamp, Timestamp),
    step_s: u64,
) -> Result<BTreeMap<i64, f64>, Failure> {
    let wrong = |why: String| Failure::refused(format!("prometheus, `{}`: {why}", excerpt(query)));
    let mut url = Url::parse(address)
        .map_err(|_e| Failure::usage(format!("`{}` is not an address", excerpt(address))))?;
    url.path_segments_mut()
        .map_err(|()| Failure::usage("the address takes no path"))?
        .pop_if_empty()
        .extend(["api", "v1", "query_range"]);
    url.query_pairs_mut()
        .append_pair("query", query)
        .append_pair("start", &from.as_seconds().to_string())
        .append_pair("end", &to.as_seconds().to_string())
        .append_pair("step", &step_s.to_string());
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| wrong(error.without_url().to_string()))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| wrong(error.without_url().to_string()))?;
    let body: Value = serde_json::from_str(&body).map_err(|_e| wrong("is not JSON".to_owned()))?;
    if !status.is_success() {
        let said = body.get("error").and_then(Value::as_str).unwrap_or_default();
        return Err(wrong(format!("answered {status}: {}", excerpt(said))));
    }
    let found = body.pointer("/data/result").and_then(Value::as_array);
    let one = match found.map(Vec::as_slice) {
        None | Some([]) => return Ok(BTreeMap::new()),
        Some([one]) => one,
        Some(many) => {
            return Err(wrong(format!("{} series: expected one; aggregate them", many.len())));
        }
    };
    let points = one.get("values").and_then(Value::as_array).into_iter().flatten();
    let read = points.filter_map(|point| {
        let at = point.get(0)?.as_f64().map(|seconds| format!("{seconds:.0}"))?.parse().ok()?;
        let value: f64 = point.get(1)?.as_str()?.parse().ok()?;
        value.is_finite().then_some((at, value))
    });
    Ok(read.collect())
}
