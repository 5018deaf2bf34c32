//! Texts of a certain form.

use std::time::Duration;

use vocab::{FlagKey, Invalid, Pattern, PhaseId, PipelineId, ResourceId, Role, excerpt};

use crate::WindowSpan;
use crate::quantity::{Quantity, Unit};

/// A form of text: a pattern for editors, and the check that decides.
#[derive(Debug)]
pub(crate) struct Word {
    /// What editors are told it is.
    pub(crate) doc: &'static str,
    /// A necessary condition, as a regular expression of JSON Schema.
    pub(crate) pattern: &'static str,
    /// Whether a text is one.
    pub(crate) check: fn(&str) -> Result<(), Invalid>,
}

/// The windows the gate service keeps reach this far back (semantics §5).
const WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Shorter windows have no resolution.
const WINDOW_MIN: Duration = Duration::from_secs(60);
/// Nothing in a rollout is planned further ahead.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The gate service keeps minutes for longer than this.
const MATURITY_MAX: Duration = Duration::from_secs(2 * 3600);

const DURATION_PATTERN: &str = "^([0-9]+(d|h|ms|m|s))+$";

pub(crate) static PIPELINE: Word = Word {
    doc: "The id of a pipeline.",
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
    check: |text| PipelineId::new(text).map(drop),
};
pub(crate) static FLAG_KEY: Word = Word {
    doc: "The key of a flag.",
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
    check: |text| FlagKey::new(text).map(drop),
};
pub(crate) static PHASE_ID: Word = Word {
    doc: "The id of a phase, e.g. P0.",
    pattern: "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    check: |text| PhaseId::new(text).map(drop),
};
pub(crate) static ID: Word = Word {
    doc: "An id, e.g. gate-0.",
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
    check: |text| ResourceId::new(text).map(drop),
};
pub(crate) static ROLE: Word = Word {
    doc: "A role, e.g. engineering_lead.",
    pattern: "^[a-z][a-z0-9_]{0,62}$",
    check: |text| Role::new(text).map(drop),
};
pub(crate) static WORKSPACES: Word = Word {
    doc: "A workspace id, or a glob with `*` at the start, the end, both, or once in the middle.",
    pattern: "^[A-Za-z0-9_.:@*-]{1,128}$",
    check: |text| Pattern::new(text).map(drop),
};
pub(crate) static DURATION: Word = Word {
    doc: "A length of time, e.g. 3d, 4h, 15m, 30s or 1h30m.",
    pattern: DURATION_PATTERN,
    check: |text| match vocab::parse_duration(text)? {
        duration if duration <= DURATION_MAX => Ok(()),
        _ => Err(Invalid::new(format!("`{}` is too long: expected at most 366d", excerpt(text)))),
    },
};
pub(crate) static WINDOW: Word = Word {
    doc: "A rolling window, 1m to 7d.",
    pattern: DURATION_PATTERN,
    check: |text| parse_window(text).map(drop),
};
pub(crate) static WINDOW_SPAN: Word = Word {
    doc: "`since_phase_start`, or a rolling window, 1m to 7d.",
    pattern: "^(since_phase_start|([0-9]+(d|h|ms|m|s))+)$",
    check: |text| parse_span(text).map(drop),
};
pub(crate) static REQUIREMENT: Word = Word {
    doc: "A relation and a threshold in the metric's unit, e.g. `< 5%`, `>= 100`, `< 5m`.",
    pattern: "^ *(<=|>=|<|>|=) *[0-9]",
    check: |_| Ok(()), // Needs the metric's unit: checked with it.
};
pub(crate) static CONFIDENCE: Word = Word {
    doc: "A confidence, e.g. 95%.",
    pattern: "^[0-9]{2}(\\.[0-9]{1,2})?%$",
    check: |text| parse_confidence(text).map(drop),
};
pub(crate) static MATURITY: Word = Word {
    doc: "A length of time, at most 2h.",
    pattern: DURATION_PATTERN,
    check: |text| match vocab::parse_duration(text)? {
        duration if duration <= MATURITY_MAX => Ok(()),
        _ => Err(Invalid::new(format!("`{}` is too long: expected at most 2h", excerpt(text)))),
    },
};
pub(crate) static SECTION: Word = Word {
    doc: "A section of the source document, e.g. 2.1.",
    pattern: "^[0-9]{1,3}(\\.[0-9]{1,3}){0,3}$",
    check: |text| {
        let part = |part: &str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let good = text.split('.').count() <= 4 && text.split('.').all(part);
        expect(good, text, "a section", "numbers and dots in quotes, e.g. \"2.1\"")
    },
};
pub(crate) static DATE: Word = Word {
    doc: "A date, YYYY-MM-DD.",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    check: |text| {
        let good =
            text.len() == 10 && vocab::Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok();
        expect(good, text, "a date", "e.g. 2024-12-29")
    },
};
pub(crate) static ADDRESS: Word = Word {
    doc: "A mail address.",
    pattern: "^[^@\\s]+@[^@\\s]+$",
    check: |text| expect(is_address(text), text, "a mail address", "e.g. team@example.com"),
};
pub(crate) static CLOCK_TIME: Word = Word {
    doc: "A time of the day, e.g. 22:00.",
    pattern: "^[0-2][0-9]:[0-5][0-9]$",
    check: |text| parse_clock_time(text).map(drop),
};
pub(crate) static UTC_OFFSET: Word = Word {
    doc: "How local time differs from UTC, e.g. +02:00.",
    pattern: "^[+-][01][0-9]:[0-5][0-9]$",
    check: |text| parse_utc_offset(text).map(drop),
};
pub(crate) static TEMPLATE_TEXT: Word = Word {
    doc: "A text with {{ variables }}, at most 2,000 characters.",
    pattern: "^.{0,2000}$",
    check: |text| {
        let good = text.chars().count() <= 2_000 && !text.chars().any(char::is_control);
        expect(good, text, "a line of a template", "at most 2,000 characters on one line")
    },
};
pub(crate) static TRANSITION: Word = Word {
    doc: "A transition between two states, `from->to`.",
    pattern: "^[a-z][a-z0-9_]{0,62}->[a-z][a-z0-9_]{0,62}$",
    check: |text| {
        let state = |text: &str| Role::new(text).is_ok(); // The same letters as a role.
        let good = text.split_once("->").is_some_and(|(from, to)| state(from) && state(to));
        expect(good, text, "a state transition", "`from->to`, each of a-z, 0-9 and _")
    },
};
pub(crate) static SWITCH: Word = Word {
    doc: "The name of the kill switch, e.g. INGESTION_ENABLED.",
    pattern: "^[A-Z][A-Z0-9_]{0,62}$",
    check: |text| {
        let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let good = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(letters);
        expect(good, text, "the name of a kill switch", "1 to 63 of A-Z, 0-9 and _")
    },
};
pub(crate) static ATTRIBUTE: Word = Word {
    doc: "An attribute of a workspace, e.g. tier.",
    pattern: "^[a-z][a-z0-9_]{0,62}$",
    check: |text| {
        let wrong = |_| expect(false, text, "an attribute", "1 to 63 of a-z, 0-9 and _");
        Role::new(text).map(drop).or_else(wrong)
    },
};

fn expect(good: bool, text: &str, what: &str, form: &str) -> Result<(), Invalid> {
    if good {
        return Ok(());
    }
    Err(Invalid::new(format!("`{}` is not {what}: expected {form}", excerpt(text))))
}

/// A dot-atom and a host name (RFC 5321): what every mail server takes, and nothing that could end a
/// header.
fn is_address(text: &str) -> bool {
    let atom = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        !part.is_empty() && part.chars().all(allowed)
    };
    let label = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&part.len())
            && part.chars().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 254
        && text.rsplit_once('@').is_some_and(|(who, host)| {
            who.len() <= 64 && who.split('.').all(atom) && host.split('.').all(label)
        })
}

/// Reads a time of the day as minutes.
pub(crate) fn parse_clock_time(text: &str) -> Result<u32, Invalid> {
    let parts = text.split_once(':').filter(|_| text.len() == 5 && text.is_ascii());
    let parsed = parts.and_then(|(hours, minutes)| {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let both = digits(hours) && digits(minutes);
        both.then_some((hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?))
    });
    parsed.filter(|(hours, minutes)| *hours < 24 && *minutes < 60).map_or_else(
        || {
            let why = format!("`{}` is not a time of the day: expected e.g. 22:00", excerpt(text));
            Err(Invalid::new(why))
        },
        |(hours, minutes)| Ok(hours * 60 + minutes),
    )
}

/// Reads an offset from UTC, in minutes.
pub(crate) fn parse_utc_offset(text: &str) -> Result<i32, Invalid> {
    let wrong =
        || Invalid::new(format!("`{}` is not an offset: expected e.g. +02:00", excerpt(text)));
    let sign = match text.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return Err(wrong()),
    };
    let minutes = parse_clock_time(text.get(1..).unwrap_or_default()).map_err(|_e| wrong())?;
    let minutes = i32::try_from(minutes).map_err(|_e| wrong())?;
    if minutes > 14 * 60 { Err(wrong()) } else { Ok(sign * minutes) }
}

/// Reads a confidence, in parts per million.
pub(crate) fn parse_confidence(text: &str) -> Result<u32, Invalid> {
    let known = Quantity::parse(text, Unit::Rate).ok();
    let ppm = known.and_then(|rate| u32::try_from(rate.amount()).ok());
    ppm.filter(|ppm| (500_000..=999_900).contains(ppm)).ok_or_else(|| {
        Invalid::new(format!(
            "`{}` is not a confidence: expected 50% to 99.99%, e.g. 95%",
            excerpt(text)
        ))
    })
}

/// Reads a rolling window.
pub(crate) fn parse_window(text: &str) -> Result<Duration, Invalid> {
    let window = vocab::parse_duration(text)?;
    if (WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        return Ok(window);
    }
    Err(Invalid::new(format!("`{}` is not a window: expected 1m to 7d", excerpt(text))))
}

/// Reads `since_phase_start` or a rolling window.
pub(crate) fn parse_span(text: &str) -> Result<WindowSpan, Invalid> {
    if text == "since_phase_start" {
        return Ok(WindowSpan::SincePhaseStart);
    }
    parse_window(text).map(WindowSpan::Rolling).map_err(|_e| {
        Invalid::new(format!(
            "`{}` is not a window: expected since_phase_start, or 1m to 7d",
            excerpt(text)
        ))
    })
}
