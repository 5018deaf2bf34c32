//! `softlaunch gate`: whether the evidence suffices, and what is watched meanwhile.

mod backtest;
mod incident;
mod markdown;
mod watching;

use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::signal::Kind;
use service_kit::clock::real_now;
use vocab::Timestamp;

use crate::arguments::{GateVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, percent, report as report_table, say, short, table, time};
use crate::verbs::{rollout, rollout_name};

const WATCH_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    verb: &GateVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        GateVerb::Report { gate, rollout, keep, watch } => {
            let name = gate_name(connection, &rollout_name(rollout), gate.as_deref()).await?;
            loop {
                let report = evaluate(connection, &name, *keep).await?;
                if *watch && output == Output::Table {
                    clear();
                }
                show(&report, *keep, output)?;
                if !watch {
                    return Ok(());
                }
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
        }
        GateVerb::Metrics { id, by_platform, workspaces } => {
            let request = pb::ListMetricsRequest {
                parent: rollout_name(&id.rollout),
                by_platform: *by_platform,
                workspace_count: *workspaces,
            };
            show_metrics(&metrics(connection, request).await?, output)
        }
        GateVerb::Triggers { id, watch: false, .. } => {
            let kind = pb::TriggerKind::Trigger;
            watching::list(connection, &rollout_name(&id.rollout), kind, output).await
        }
        GateVerb::Triggers { id, after, .. } => {
            watching::follow(connection, &rollout_name(&id.rollout), *after, output).await
        }
        GateVerb::Thresholds { id } => {
            let kind = pb::TriggerKind::Threshold;
            watching::list(connection, &rollout_name(&id.rollout), kind, output).await
        }
        GateVerb::Advisories { id } => {
            let kind = pb::TriggerKind::Advisory;
            watching::list(connection, &rollout_name(&id.rollout), kind, output).await
        }
        GateVerb::GaRecord { id } => {
            watching::ga_record(connection, &rollout_name(&id.rollout), output).await
        }
        GateVerb::Backtest(arguments) => backtest::run(arguments, output).await,
        incident @ GateVerb::Incident { .. } => incident::run(incident, connection).await,
        GateVerb::Signal { metric, amount, label, pipeline, at } => {
            let at = match at {
                Some(text) => Timestamp::parse(text)?,
                None => real_now(),
            };
            let gauge = pb::Gauge { metric: metric.clone(), label: label.clone(), amount: *amount };
            gauge_reported(connection, pipeline, gauge, at).await?;
            say(format!("{metric} {label}: {amount} as of {at}"));
            Ok(())
        }
    }
}

async fn gate_name(
    connection: &Connection,
    rollout: &str,
    gate: Option<&str>,
) -> Result<String, Failure> {
    if let Some(gate) = gate {
        return Ok(format!("{rollout}/gates/{gate}"));
    }
    let found = rollout::get(connection, rollout).await?;
    if !found.gate.is_empty() {
        return Ok(found.gate);
    }
    if found.next_phase_id.is_empty() {
        return Err(Failure::usage("the current phase has no gate: name one"));
    }
    Ok(format!("{rollout}/gates/{}-entry", found.next_phase_id.to_lowercase()))
}

/// Judges a gate.
pub(crate) async fn evaluate(
    connection: &Connection,
    name: &str,
    keep: bool,
) -> Result<pb::GateReport, Failure> {
    let request = pb::EvaluateGateRequest { name: name.to_owned(), validate_only: !keep };
    Ok(connection.gates()?.evaluate_gate(request).await?.into_inner())
}

/// The values of all metrics.
pub(crate) async fn metrics(
    connection: &Connection,
    request: pb::ListMetricsRequest,
) -> Result<pb::ListMetricsResponse, Failure> {
    Ok(connection.gates()?.list_metrics(request).await?.into_inner())
}

fn show_metrics(values: &pb::ListMetricsResponse, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json("softlaunch.gate.v1.ListMetricsResponse", values);
    }
    let mut table = table(["Metric", "Of", "Window", "Value", "95%", "Samples", "Data from"]);
    for metric in &values.metrics {
        let of = [&metric.label, &metric.platform, &metric.workspace_id];
        let of: Vec<_> = of.into_iter().filter(|of| !of.is_empty()).cloned().collect();
        let interval = match (metric.interval_low_ppm, metric.interval_high_ppm) {
            (Some(low), Some(high)) => format!("{:.2}% to {:.2}%", percent(low), percent(high)),
            _ => String::new(),
        };
        let is_there = metric.reason_code() == pb::Reason::Unspecified;
        let nothing =
            if is_there { String::new() } else { short(metric.reason_code().as_str_name()) };
        let value = format!("{} {nothing}", metric.value);
        table.add_row([
            metric.metric.clone(),
            of.join(" "),
            metric.window.clone(),
            value.trim().to_owned(),
            interval,
            metric.sample_count.to_string(),
            time(metric.data_time.as_ref()),
        ]);
    }
    say(table);
    Ok(())
}

/// Reports one gauge.
pub(crate) async fn gauge_reported(
    connection: &Connection,
    pipeline: &str,
    gauge: pb::Gauge,
    at: Timestamp,
) -> Result<(), Failure> {
    let nanos = i32::try_from(at.as_millis().rem_euclid(1000) * 1_000_000).unwrap_or(0);
    let occur_time = Some(prost_types::Timestamp { seconds: at.as_seconds(), nanos });
    let request = pb::ReportSignalsRequest {
        pipeline: pipeline.to_owned(),
        batch_id: uuid::Uuid::new_v4().to_string(),
        signals: vec![pb::Signal { occur_time, kind: Some(Kind::Gauge(gauge)) }],
    };
    connection.signals()?.report_signals(request).await?;
    Ok(())
}

/// Where the terminal shows what comes, begins a new picture.
fn clear() {
    use std::io::IsTerminal as _;
    if std::io::stdout().is_terminal() {
        say("\u{1b}[2J\u{1b}[H");
    }
}

/// Shows a report.
pub(crate) fn show(report: &pb::GateReport, kept: bool, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => return json("softlaunch.gate.v1.GateReport", report),
        Output::Markdown => {
            say(markdown::report(report));
            return Ok(());
        }
        Output::Table => {}
    }
    let verdict = short(report.verdict().as_str_name());
    let at = time(report.create_time.as_ref());
    say(format!("{} ({}): {verdict} at {at}", report.title, report.gate));
    say(report_table(report));
    if !report.approver_roles.is_empty() {
        say(format!("To be approved by {}, distinct people.", report.approver_roles.join(" and ")));
    }
    if kept {
        say(format!("Kept. Digest {}", report.digest));
    } else {
        say("Not kept: --keep keeps it, so that it can be approved.");
    }
    Ok(())
}
