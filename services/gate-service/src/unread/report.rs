//! A report of outcomes, read: every text is a piece of the bytes that came.

use prost_types::{Duration, Timestamp};

use super::wire::{Fields, Malformed, bytes, number};

/// As many outcomes as are kept: more than are ever taken. Two bytes make one, and four million of
/// these would be a lot of memory for nothing.
pub(crate) const KEPT_MAX: usize = 1_024;
/// What the smallest outcome that is ever taken needs on the wire.
const OUTCOME_SIZE_MIN: usize = 16;

mod report_fields {
    use super::bytes;

    pub(super) const PIPELINE: u64 = bytes(1);
    pub(super) const BATCH_ID: u64 = bytes(2);
    pub(super) const OUTCOMES: u64 = bytes(3);
    pub(super) const LAST: u64 = 3;
}

mod outcome_fields {
    use super::{bytes, number};

    pub(super) const UPLOAD_ID: u64 = bytes(1);
    pub(super) const WORKSPACE_ID: u64 = bytes(2);
    pub(super) const RESULT: u64 = number(3);
    pub(super) const PATH: u64 = number(4);
    pub(super) const OCCUR_TIME: u64 = bytes(5);
    pub(super) const LATENCY_DURATION: u64 = bytes(6);
    pub(super) const PLATFORM: u64 = bytes(7);
    pub(super) const LAST: u64 = 7;
}

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
        let (mut fields, mut beyond) = (Fields::of(message), Outcome::default());
        while let Some(key) = fields.next()? {
            match key {
                report_fields::PIPELINE => report.pipeline = fields.text()?,
                report_fields::BATCH_ID => report.batch_id = fields.text()?,
                report_fields::OUTCOMES => {
                    if report.size < KEPT_MAX {
                        report.outcomes.push(Outcome::default());
                    }
                    let place = report.outcomes.get_mut(report.size).unwrap_or(&mut beyond);
                    place.read(fields.message()?)?;
                    report.size += 1;
                }
                other => fields.pass(other, report_fields::LAST)?,
            }
        }
        Ok(report)
    }
}

impl<'a> Outcome<'a> {
    /// Reads into a place of its own: an outcome is too large to be handed on.
    #[inline]
    fn read(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key {
                outcome_fields::UPLOAD_ID => self.upload_id = fields.text()?,
                outcome_fields::WORKSPACE_ID => self.workspace_id = fields.text()?,
                outcome_fields::RESULT => self.result = fields.int32()?,
                outcome_fields::PATH => self.path = fields.int32()?,
                outcome_fields::OCCUR_TIME => {
                    let Timestamp { seconds, nanos } = self.occur_time.get_or_insert_default();
                    seconds_and_nanos(fields.message()?, seconds, nanos)?;
                }
                outcome_fields::LATENCY_DURATION => {
                    let latency = self.latency_duration.get_or_insert_default();
                    seconds_and_nanos(fields.message()?, &mut latency.seconds, &mut latency.nanos)?;
                }
                outcome_fields::PLATFORM => self.platform = fields.text()?,
                other => fields.pass(other, outcome_fields::LAST)?,
            }
        }
        Ok(())
    }
}

/// A `Timestamp` or a `Duration`: what comes twice is merged.
#[inline]
fn seconds_and_nanos(
    mut fields: Fields<'_>,
    seconds: &mut i64,
    nanos: &mut i32,
) -> Result<(), Malformed> {
    const SECONDS: u64 = number(1);
    const NANOS: u64 = number(2);
    while let Some(key) = fields.next()? {
        match key {
            SECONDS => *seconds = fields.int64()?,
            NANOS => *nanos = fields.int32()?,
            other => fields.pass(other, 2)?,
        }
    }
    Ok(())
}
