//! What is said of calls that are refused.

use std::net::SocketAddr;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use vocab::excerpt;

use crate::access::Rule;
use crate::fault::Fault;
use crate::metrics::meter;
use crate::sparing::Sparing;

/// A call that was refused.
pub(super) struct Refused<'a> {
    pub(super) rule: Option<&'static Rule>,
    pub(super) path: &'a str,
    pub(super) who: &'a str,
    pub(super) address: Option<SocketAddr>,
    pub(super) fault: &'a Fault,
}

/// Says every refusal in the log, up to a bound, and counts all of them.
pub(super) struct Audit {
    refused: Counter<u64>,
    lines: Sparing,
}

impl Audit {
    pub(super) fn new() -> Self {
        let refused = meter()
            .u64_counter("softlaunch.identity.refused")
            .with_description("Calls that were refused for who called them.")
            .build();
        Self { refused, lines: Sparing::new() }
    }

    pub(super) fn note(&self, refused: &Refused<'_>) {
        let Refused { rule, path, who, address, fault } = refused;
        // Only methods we know become a label: others are whatever the caller made up.
        let method = rule.map_or("unknown", |rule| rule.path.trim_start_matches('/'));
        let why = fault.reason();
        self.refused.add(1, &[KeyValue::new("rpc", method), KeyValue::new("reason", why)]);
        if self.lines.may_say() {
            let (rpc, from) = (excerpt(path), address.map(tracing::field::display));
            tracing::warn!(target: "audit", who, %rpc, why, from, "call refused");
        }
    }
}
