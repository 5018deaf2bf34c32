//! Figures that are looked up when somebody asks: gauges over the state of a service.

use std::sync::{Arc, Weak};

use opentelemetry::KeyValue;

use crate::metrics::meter;

/// What a figure is called, in what it is measured, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name, e.g. `softlaunch.comms.messages`.
    pub name: &'static str,
    /// Its unit, e.g. `s`; empty for shares and counts.
    pub unit: &'static str,
    /// One sentence.
    pub meaning: &'static str,
}

/// A value with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    value: f64,
    labels: Vec<KeyValue>,
}

impl Figure {
    /// A value without labels.
    #[must_use]
    pub const fn of(value: f64) -> Self {
        Self { value, labels: Vec::new() }
    }

    /// A count.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for a dashboard")]
    pub const fn count(count: usize) -> Self {
        Self::of(count as f64)
    }

    /// 1 where it is so, else 0.
    #[must_use]
    pub const fn whether(so: bool) -> Self {
        Self::of(if so { 1.0 } else { 0.0 })
    }

    /// Adds a label. Its values must be few: names of a plan, never of workspaces or people.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push(KeyValue::new(label, value.into()));
        self
    }
}

/// Shows what `look` finds of `state`, for as long as that lives.
pub fn show<S: Send + Sync + 'static>(
    state: &Arc<S>,
    about: About,
    look: impl Fn(&S) -> Vec<Figure> + Send + Sync + 'static,
) {
    // Weak: what looks on must not keep alive a service that has ended.
    let state: Weak<S> = Arc::downgrade(state);
    let meter = meter();
    let gauge = meter.f64_observable_gauge(about.name).with_description(about.meaning);
    let gauge = if about.unit.is_empty() { gauge } else { gauge.with_unit(about.unit) };
    let gauge = gauge.with_callback(move |observer| {
        if let Some(state) = state.upgrade() {
            for Figure { value, labels } in look(&state) {
                observer.observe(value, &labels);
            }
        }
    });
    gauge.build(); // What has a callback is kept by the meter.
}
