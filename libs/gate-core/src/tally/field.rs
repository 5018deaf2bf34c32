//! Counters by name.

use itoa::Buffer;
use plan::Metric;

use crate::latency::latency_bucket;

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Processed.
    Succeeded,
    /// Not processed, through a fault of the pipeline.
    Failed,
    /// Refused as invalid input.
    Invalid,
}

/// Which pipeline processed an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// The new one.
    New,
    /// The old one: never evidence for a gate.
    Legacy,
}

/// Something that is counted as it happens, by somebody who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A support ticket.
    SupportTicket,
    /// A client's complaint.
    Complaint,
    /// A page of the on-call engineer.
    OnCallPage,
    /// A concurrency limit exceeded.
    ConcurrencyBreach,
}

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Outcomes on a path.
    Count(Path, Outcome),
    /// Latencies of the new path, by bucket.
    Latency(u16),
    /// Uploads of the new path that took at least so many milliseconds.
    Slow(u64),
    /// Probes.
    Probe {
        /// Whether it was answered well.
        good: bool,
    },
    /// How often something happened.
    Happened(Happening),
    /// How often somebody looked whether it had.
    Looked(Happening),
    /// Readings of a gauge, by bucket.
    Reading(Metric, u16),
}

const COUNTS: [(Field, &str); 16] = [
    (Field::Count(Path::New, Outcome::Succeeded), "new.succeeded"),
    (Field::Count(Path::New, Outcome::Failed), "new.failed"),
    (Field::Count(Path::New, Outcome::Invalid), "new.invalid"),
    (Field::Count(Path::Legacy, Outcome::Succeeded), "legacy.succeeded"),
    (Field::Count(Path::Legacy, Outcome::Failed), "legacy.failed"),
    (Field::Count(Path::Legacy, Outcome::Invalid), "legacy.invalid"),
    (Field::Probe { good: true }, "probe.good"),
    (Field::Probe { good: false }, "probe.bad"),
    (Field::Happened(Happening::SupportTicket), "happened.support_ticket"),
    (Field::Happened(Happening::Complaint), "happened.complaint"),
    (Field::Happened(Happening::OnCallPage), "happened.on_call_page"),
    (Field::Happened(Happening::ConcurrencyBreach), "happened.concurrency_breach"),
    (Field::Looked(Happening::SupportTicket), "looked.support_ticket"),
    (Field::Looked(Happening::Complaint), "looked.complaint"),
    (Field::Looked(Happening::OnCallPage), "looked.on_call_page"),
    (Field::Looked(Happening::ConcurrencyBreach), "looked.concurrency_breach"),
];

impl Field {
    /// The counters one outcome adds to. Invalid uploads have no latency that means anything.
    /// `limits_ms`: those that are judged, for an exact count of what is slower.
    pub fn of(
        path: Path,
        outcome: Outcome,
        latency_ms: u64,
        limits_ms: &[u64],
    ) -> impl Iterator<Item = Self> {
        let timed = path == Path::New && outcome != Outcome::Invalid;
        let latency = timed.then(|| Self::Latency(latency_bucket(latency_ms)));
        let slow = limits_ms.iter().filter(move |limit| timed && latency_ms >= **limit);
        let counted = [Some(Self::Count(path, outcome)), latency];
        counted.into_iter().flatten().chain(slow.map(|limit| Self::Slow(*limit)))
    }

    /// The counter's name in a store.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Latency(bucket) => ["latency.", Buffer::new().format(bucket)].concat(),
            Self::Slow(limit_ms) => format!("slow.{limit_ms}"),
            Self::Reading(metric, bucket) => format!("reading.{}.{bucket}", metric.name()),
            Self::Count(..) | Self::Probe { .. } | Self::Happened(_) | Self::Looked(_) => COUNTS
                .iter()
                .find(|(field, _)| *field == self)
                .map_or_else(String::new, |(_, name)| (*name).to_owned()),
        }
    }

    /// The counter of a name; `None` for names that are not known.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if let Some(bucket) = name.strip_prefix("latency.") {
            return bucket.parse().ok().map(Self::Latency);
        }
        if let Some(limit_ms) = name.strip_prefix("slow.") {
            return limit_ms.parse().ok().map(Self::Slow);
        }
        if let Some(reading) = name.strip_prefix("reading.") {
            let (metric, bucket) = reading.rsplit_once('.')?;
            return Some(Self::Reading(Metric::named(metric).ok()?, bucket.parse().ok()?));
        }
        COUNTS.iter().find(|(_, known)| *known == name).map(|(field, _)| *field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let more = [Field::Latency(77), Field::Slow(300_000), Field::Reading(Metric::DbCpu, 9)];
        for field in COUNTS.iter().map(|(field, _)| *field).chain(more) {
            assert_eq!(Field::named(&field.name()), Some(field));
        }
        for unknown in ["", "latency.x", "reading.happiness.3", "reading.db_cpu", "new.lost"] {
            assert_eq!(Field::named(unknown), None, "{unknown}");
        }
    }
}
