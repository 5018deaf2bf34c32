//! Rate, errors and duration of the calls that a process answers, by rpc and code.

use std::sync::Arc;

use http::StatusCode;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, Value};
use tokio::time::Instant;
use tonic::Code;

use crate::access::Method;
use crate::metrics::meter;

/// In seconds. Answers from memory take less than a millisecond, the longest deadline is 30 s.
const BOUNDARIES: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const UNKNOWN: &str = "unknown";

/// Counts and times calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Calls(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    duration: Histogram<f64>,
    ended: Counter<u64>,
}

/// A call that has begun. Dropped before it has ended, it counts as cancelled.
#[derive(Debug)]
pub(crate) struct Begun {
    calls: Calls,
    pub(crate) at: Instant,
    of: Of,
    code: Code,
    status: StatusCode,
}

/// What was called.
#[derive(Debug)]
enum Of {
    There(&'static Method),
    /// Something that there is not: its name is nobody's, and a name each would be without bound.
    Nothing,
}

impl Calls {
    pub(crate) fn new() -> Self {
        let duration = meter()
            .f64_histogram("softlaunch.rpc.duration")
            .with_unit("s")
            .with_description(
                "Time to the answer of an rpc, of a stream to its beginning, by service, method \
                 and code.",
            )
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let ended = meter()
            .u64_counter("softlaunch.rpc.streams.ended")
            .with_description(
                "Streams that have ended after they began, by service, method and code.",
            )
            .build();
        Self(Arc::new(Instruments { duration, ended }))
    }

    /// Streams that have ended.
    pub(crate) fn ended(&self) -> &Counter<u64> {
        &self.0.ended
    }

    /// A call begins, of `method` where there is such a one.
    pub(crate) fn begin(&self, method: Option<&'static Method>) -> Begun {
        let of = method.map_or(Of::Nothing, Of::There);
        let (code, status) = (Code::Cancelled, StatusCode::OK);
        Begun { calls: self.clone(), at: Instant::now(), of, code, status }
    }
}

impl Begun {
    /// It has been answered.
    pub(crate) fn end(mut self, code: Code, status: StatusCode) {
        self.code = code;
        self.status = status;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let took = self.at.elapsed().as_secs_f64();
        let duration = &self.calls.0.duration;
        match self.of {
            Of::There(method) if self.code == Code::Ok && !is_plain(method.name) => {
                duration.record(took, &method.labels);
            }
            Of::There(_) | Of::Nothing => duration.record(took, &self.labels()),
        }
    }
}

impl Begun {
    /// Bounded: whoever calls what there is not must not choose the labels.
    fn labels(&self) -> [KeyValue; 3] {
        let unproven = matches!(
            self.code,
            Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated
        );
        let (service, name) = match self.of {
            Of::There(method) if !unproven => (method.service, method.name),
            Of::There(_) | Of::Nothing => (UNKNOWN, UNKNOWN),
        };
        let plain = is_plain(name);
        let code = if plain && self.code == Code::Ok {
            self.status.as_str().to_owned().into()
        } else {
            word(self.code).into()
        };
        let name = if plain { "" } else { name };
        labels(service.into(), name.into(), code)
    }
}

/// Asked over HTTP, below a path of many parts: answered with a status of HTTP.
fn is_plain(name: &str) -> bool {
    name.contains('/')
}

pub(crate) fn labels(service: Value, method: Value, code: Value) -> [KeyValue; 3] {
    [
        KeyValue::new("rpc_service", service),
        KeyValue::new("rpc_method", method),
        KeyValue::new("code", code),
    ]
}

/// As gRPC writes codes.
pub(crate) const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::method;

    fn labels(path: &str, code: Code, status: StatusCode) -> [String; 3] {
        let mut begun = Calls::new().begin(method(path));
        (begun.code, begun.status) = (code, status);
        begun.labels().map(|label| label.value.to_string())
    }

    #[test]
    fn an_rpc_is_counted_by_its_name_and_code() {
        let found =
            labels("/softlaunch.flag.v1.FlagService/GetFlag", Code::NotFound, StatusCode::OK);
        assert_eq!(found, ["softlaunch.flag.v1.FlagService", "GetFlag", "NOT_FOUND"]);
    }

    #[test]
    fn whoever_calls_what_there_is_not_chooses_no_label() {
        let found = labels("/made.up/Name", Code::Unimplemented, StatusCode::OK);
        assert_eq!(found, ["unknown", "unknown", "UNIMPLEMENTED"]);
        let found = labels("/made.up/Name", Code::PermissionDenied, StatusCode::OK);
        assert_eq!(found, ["unknown", "unknown", "PERMISSION_DENIED"]);
        // Refused for want of room before anybody looks whether there is such a one.
        let found = labels("/made.up/Name", Code::ResourceExhausted, StatusCode::OK);
        assert_eq!(found, ["unknown", "unknown", "RESOURCE_EXHAUSTED"]);
    }

    #[test]
    fn a_question_over_http_is_counted_by_its_status_and_without_the_flag_it_names() {
        let path = "/ofrep/v1/evaluate/flags/whatever";
        assert_eq!(labels(path, Code::Ok, StatusCode::NOT_FOUND), ["ofrep", "", "404"]);
    }

    #[test]
    fn a_call_that_nobody_waits_for_any_more_counts_as_cancelled() {
        let path = "/softlaunch.flag.v1.FlagService/GetFlag";
        let found = Calls::new().begin(method(path)).labels().map(|label| label.value.to_string());
        assert_eq!(found, ["softlaunch.flag.v1.FlagService", "GetFlag", "CANCELLED"]);
    }
}
