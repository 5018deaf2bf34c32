//! A report of outcomes, read: every text is a piece of the bytes that came.

use prost_types::{Duration, Timestamp};

use super::wire::{Fields, Malformed, Value};

/// As many outcomes as are kept: more than are ever taken. Two bytes make one, and four million of
/// these would be a lot of memory for nothing.
pub(crate) const KEPT_MAX: usize = 1_024;
/// What the smallest outcome that is ever taken needs on the wire.
const OUTCOME_SIZE_MIN: usize = 16;

/// A report of outcomes: `ReportOutcomesRequest`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report<'a> {
    pub(crate) pipeline: &'a str,
    pub(crate) batch_id: &'a str,
    /// The first of them, up to [`KEPT_MAX`].
    pub(crate) outcomes: Vec<Outcome<'a>>,
    /// How many there are.
    pub(crate) size: usize,
}

/// How an upload ended: `UploadOutcome`.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Outcome<'a> {
    pub(crate) upload_id: &'a str,
    pub(crate) workspace_id: &'a str,
    pub(crate) result: i32,
    pub(crate) path: i32,
    pub(crate) occur_time: Option<Timestamp>,
    pub(crate) latency_duration: Option<Duration>,
    pub(crate) platform: &'a str,
}

impl<'a> Report<'a> {
    /// Reads a whole report.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let room = (message.len() / OUTCOME_SIZE_MIN).min(KEPT_MAX);
        let mut report = Self { outcomes: Vec::with_capacity(room), ..Self::default() };
        let mut fields = Fields::of(message);
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => report.pipeline = value.text()?,
                2 => report.batch_id = value.text()?,
                3 => {
                    let outcome = Outcome::read(fields.within(value)?)?;
                    if report.outcomes.len() < KEPT_MAX {
                        report.outcomes.push(outcome);
                    }
                    report.size += 1;
                }
                _ => {}
            }
        }
        Ok(report)
    }
}

impl<'a> Outcome<'a> {
    #[inline]
    fn read(mut fields: Fields<'a>) -> Result<Self, Malformed> {
        let mut outcome = Self::default();
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => outcome.upload_id = value.text()?,
                2 => outcome.workspace_id = value.text()?,
                3 => outcome.result = value.int32()?,
                4 => outcome.path = value.int32()?,
                5 => {
                    let time = outcome.occur_time.get_or_insert_default();
                    seconds_and_nanos(fields, value, &mut time.seconds, &mut time.nanos)?;
                }
                6 => {
                    let latency = outcome.latency_duration.get_or_insert_default();
                    seconds_and_nanos(fields, value, &mut latency.seconds, &mut latency.nanos)?;
                }
                7 => outcome.platform = value.text()?,
                _ => {}
            }
        }
        Ok(outcome)
    }
}

/// A `Timestamp` or a `Duration`: what comes twice is merged.
#[inline]
fn seconds_and_nanos<'a>(
    around: Fields<'a>,
    value: Value<'a>,
    seconds: &mut i64,
    nanos: &mut i32,
) -> Result<(), Malformed> {
    let mut fields = around.within(value)?;
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => *seconds = value.int64()?,
            2 => *nanos = value.int32()?,
            _ => {}
        }
    }
    Ok(())
}
