//! The figures of this service, for dashboards and alert rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use comms_core::AttemptOutcome;
use contracts::comms::message;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use service_kit::clock::real_now;
use service_kit::figures::{About, Figure, show};
use service_kit::metrics::meter;
use service_kit::wire::time_of;
use vocab::Timestamp;

use crate::app::App;

/// Counts what became of attempts.
#[derive(Debug)]
pub(crate) struct Metrics {
    attempts: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let attempts = meter()
            .u64_counter("softlaunch.comms.attempts")
            .with_description("Attempts at delivery, by channel and how they went.")
            .build();
        Self { attempts }
    }

    /// An attempt is on record.
    pub(crate) fn attempted(&self, channel: &str, outcome: &AttemptOutcome) {
        let outcome = match outcome {
            AttemptOutcome::Sent => "sent",
            AttemptOutcome::Transient { .. } => "transient",
            AttemptOutcome::Permanent => "permanent",
            AttemptOutcome::Unknown => "unknown",
        };
        let labels =
            [KeyValue::new("channel", channel.to_owned()), KeyValue::new("outcome", outcome)];
        self.attempts.add(1, &labels);
    }
}

/// Shows, whenever somebody looks, what waits. Every replica shows the same.
pub(crate) fn observe(app: &Arc<App>) {
    const INCOMPLETE: About = About {
        name: "softlaunch.comms.communications.incomplete",
        unit: "",
        meaning: "Communications of which somebody was not told who must be.",
    };
    const MESSAGES: About = About {
        name: "softlaunch.comms.messages",
        unit: "",
        meaning: "Messages that are not done with, by channel and state: pending, or for a person \
                  dead and unknown.",
    };
    const OVERDUE: About = About {
        name: "softlaunch.comms.delivery.lag",
        unit: "s",
        meaning: "How long ago the next attempt at a channel's oldest message was due; 0 where \
                  none is.",
    };
    show(app, INCOMPLETE, |app| vec![Figure::count(app.state().state.communications.incomplete())]);
    show(app, MESSAGES, messages);
    show(app, OVERDUE, |app| lags(app, real_now()));
}

fn messages(app: &App) -> Vec<Figure> {
    let snapshot = app.state();
    let state = &snapshot.state;
    let labelled = |channel: &str, word: &str, count: usize| {
        Figure::count(count).with("channel", channel).with("state", word)
    };
    let busy = state.busy_channels();
    let pending = busy.map(|channel| labelled(channel, "pending", state.pending(channel).count()));
    let failed = state.failed().map(|(channel, failure, count)| {
        let word = if failure == message::State::Dead { "dead" } else { "unknown" };
        labelled(channel, word, count)
    });
    pending.chain(failed).collect()
}

fn lags(app: &App, now: Timestamp) -> Vec<Figure> {
    let snapshot = app.state();
    let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for stored in snapshot.state.all_pending() {
        let due = time_of(stored.message.next_attempt_time.as_ref());
        let known = first.entry(stored.message.channel.as_str()).or_insert(due);
        *known = due.min(*known);
    }
    let lag = |due: Timestamp| now.since(due).as_secs_f64();
    first.into_iter().map(|(channel, due)| Figure::of(lag(due)).with("channel", channel)).collect()
}
