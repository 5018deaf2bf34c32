//! Rate, errors and duration of the calls that a process answers, by rpc and code.

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use tokio::time::Instant;
use tonic::Code;

use crate::metrics::meter;

/// In seconds. Answers from memory take less than a millisecond, the longest deadline is 30 s.
const BOUNDARIES: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const UNKNOWN: &str = "unknown";

/// Counts and times calls.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    duration: Histogram<f64>,
    /// Streams that have ended.
    pub(crate) ended: Counter<u64>,
}

/// A call that has begun. Dropped before it has ended, it counts as cancelled.
#[derive(Debug)]
pub(crate) struct Begun {
    duration: Histogram<f64>,
    begun: Instant,
    service: String,
    method: String,
    /// Asked over HTTP, below a path of many parts: answered with a status of HTTP.
    plain_http: bool,
    code: Code,
    status: StatusCode,
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
        Self { duration, ended }
    }

    /// A call of `/service/method` begins.
    pub(crate) fn begin(&self, path: &str) -> Begun {
        let path = path.trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        let plain_http = method.contains('/');
        Begun {
            duration: self.duration.clone(),
            begun: Instant::now(),
            service: service.to_owned(),
            method: if plain_http { String::new() } else { method.to_owned() },
            plain_http,
            code: Code::Cancelled,
            status: StatusCode::OK,
        }
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
        let labels = self.labels().map(|(key, value)| KeyValue::new(key, value));
        self.duration.record(self.begun.elapsed().as_secs_f64(), &labels);
    }
}

impl Begun {
    /// Bounded: whoever calls what there is not must not choose the labels.
    fn labels(&self) -> [(&'static str, String); 3] {
        let unproven = matches!(
            self.code,
            Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated
        );
        let there = !unproven;
        let name = |name: &str| if there { name.to_owned() } else { UNKNOWN.to_owned() };
        let code = match (self.plain_http, self.code) {
            (true, Code::Ok) => self.status.as_str(),
            _ => word(self.code),
        };
        [
            ("rpc_service", name(&self.service)),
            ("rpc_method", name(&self.method)),
            ("code", code.to_owned()),
        ]
    }
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

    fn labels(path: &str, code: Code, status: StatusCode) -> [String; 3] {
        let mut begun = Calls::new().begin(path);
        (begun.code, begun.status) = (code, status);
        begun.labels().map(|(_, value)| value)
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
    }

    #[test]
    fn a_question_over_http_is_counted_by_its_status_and_without_the_flag_it_names() {
        let path = "/ofrep/v1/evaluate/flags/whatever";
        assert_eq!(labels(path, Code::Ok, StatusCode::NOT_FOUND), ["ofrep", "", "404"]);
    }

    #[test]
    fn a_call_that_nobody_waits_for_any_more_counts_as_cancelled() {
        let begun = Calls::new().begin("/a.B/C");
        assert_eq!(begun.labels().map(|(_, value)| value), ["a.B", "C", "CANCELLED"]);
    }
}
