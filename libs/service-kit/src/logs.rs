//! Lines of the log, each with the trace that it was written in.

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::fmt::format::{Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Ends a line with `trace_id` and `span_id` (hexadecimal, as in OTLP's JSON) where it was written
/// in a trace: one of our own where spans are exported, or one that a caller began.
pub(crate) struct Traced<F>(F);

impl Traced<Format<Json, SystemTime>> {
    /// One JSON object a line. The layer's fields must be [`JsonFields`].
    pub(crate) fn json() -> (Self, JsonFields) {
        (Self(Format::default().json()), JsonFields::new())
    }
}

impl Traced<Format<Full, SystemTime>> {
    /// For people, in colours where `ansi` says so.
    pub(crate) fn pretty(ansi: bool) -> Self {
        Self(Format::default().with_target(false).with_ansi(ansi))
    }
}

/// How a format takes in what comes last in its line.
trait Ending {
    const END: &str;

    fn traced(trace: &impl fmt::Display, span: &impl fmt::Display) -> String;
}

impl Ending for Format<Json, SystemTime> {
    const END: &str = "}\n";

    fn traced(trace: &impl fmt::Display, span: &impl fmt::Display) -> String {
        format!(r#","trace_id":"{trace}","span_id":"{span}""#)
    }
}

impl Ending for Format<Full, SystemTime> {
    const END: &str = "\n";

    fn traced(trace: &impl fmt::Display, _span: &impl fmt::Display) -> String {
        format!(" trace_id={trace}")
    }
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N> + Ending,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let current = Span::current().context();
        let span = current.span();
        let about = span.span_context();
        match line.strip_suffix(F::END) {
            Some(line) if about.is_valid() => {
                let traced = F::traced(&about.trace_id(), &about.span_id());
                write!(writer, "{line}{traced}{}", F::END)
            }
            Some(_) | None => writer.write_str(&line),
        }
    }
}
