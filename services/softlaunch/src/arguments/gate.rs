//! Arguments of `softlaunch gate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RolloutId;

#[derive(Debug, Subcommand)]
pub(crate) enum GateVerb {
    /// Judges a gate now: every criterion with its value, its verdict and how sure it is.
    Report {
        /// The gate, e.g. gate-0, p1-entry or ga; that of the current phase where absent.
        gate: Option<String>,
        /// The rollout.
        #[arg(long, default_value = "ingestion-v2")]
        rollout: String,
        /// Keeps the report, so that its digest can be approved.
        #[arg(long)]
        keep: bool,
        /// Judges again every two seconds until interrupted.
        #[arg(long, conflicts_with = "keep")]
        watch: bool,
    },
    /// Shows the values of all metrics.
    Metrics {
        #[command(flatten)]
        id: RolloutId,
        /// Adds the values of each platform.
        #[arg(long)]
        by_platform: bool,
        /// Adds the values of so many workspaces, those with the most uploads first.
        #[arg(long, value_name = "COUNT", default_value_t = 0)]
        workspaces: i32,
    },
    /// Shows the pause and rollback triggers: where each stands, and what was measured now.
    Triggers {
        #[command(flatten)]
        id: RolloutId,
        /// Prints every change as it happens, until interrupted: of thresholds and advisories too.
        #[arg(long)]
        watch: bool,
        /// Begins behind this revision: 0 for everything there ever was.
        #[arg(long, value_name = "REVISION", requires = "watch")]
        after: Option<i64>,
    },
    /// Shows the thresholds of the current phase (D7 §4.1), which alert.
    Thresholds {
        #[command(flatten)]
        id: RolloutId,
    },
    /// Shows the signals to watch (D7 §4.3), with concern and action.
    Advisories {
        #[command(flatten)]
        id: RolloutId,
    },
    /// Shows the daily record that general availability rests on.
    GaRecord {
        #[command(flatten)]
        id: RolloutId,
    },
    /// Tries a plan's gates and triggers on what was recorded: when each would have passed or fired.
    /// Needs no service.
    Backtest(BacktestArguments),
    /// Reports a gauge that comes from outside, e.g. open_bugs with label P1.
    Signal {
        /// The metric.
        metric: String,
        /// The value, in the metric's smallest unit.
        amount: i64,
        /// The label of the series.
        #[arg(long, default_value = "")]
        label: String,
        /// The pipeline.
        #[arg(long, default_value = "ingestion_v2")]
        pipeline: String,
        /// When it was measured (RFC 3339); now where absent.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Declares or resolves an incident. Triggers act on it at once.
    Incident {
        /// Its id in the system that keeps incidents, e.g. INC-42.
        incident: String,
        /// p1, p2, data_integrity, data_corruption or client_reported_data_loss; needed to declare.
        #[arg(long, required_unless_present = "resolved")]
        kind: Option<String>,
        /// It is resolved.
        #[arg(long, conflicts_with = "kind")]
        resolved: bool,
        /// What happened.
        #[arg(long, default_value = "")]
        title: String,
        /// Clients feel it.
        #[arg(long)]
        client_facing: bool,
        /// The pipeline.
        #[arg(long, default_value = "ingestion_v2")]
        pipeline: String,
    },
}

/// What is tried on what.
#[derive(Debug, Args)]
pub(crate) struct BacktestArguments {
    /// The plan file; the shipped plan where absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// The phase whose gate is tried; the first where absent.
    #[arg(long, value_name = "PHASE")]
    pub(crate) phase: Option<String>,
    /// What was recorded. CSV of outcomes with a heading: time,result and any of
    /// path,latency_ms,workspace,platform. Or JSON lines, an object each with a time and one of
    /// outcome, gauge, breaker, transition, incident, intervention, probes, occurrences. See
    /// docs/gating.md.
    #[arg(long, value_name = "FILE", required_unless_present = "prometheus")]
    pub(crate) data: Option<PathBuf>,
    /// Answers the plan's questions to Prometheus from this one, over a range.
    #[arg(long, value_name = "URL", requires_all = ["from", "to"])]
    pub(crate) prometheus: Option<String>,
    /// When the phase began (RFC 3339); with the first record where absent.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// End of the range asked of Prometheus (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// How often everything is evaluated; as the plan says where absent, at most once a minute.
    #[arg(long, value_name = "DURATION")]
    pub(crate) every: Option<String>,
}
