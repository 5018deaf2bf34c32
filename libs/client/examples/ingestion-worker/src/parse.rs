//! Reads an ad export, strictly and as a stream: a file of any size takes the same memory.

mod amount;
mod error;
mod watch;

use std::io::{self, Read};

use jiff::civil::Date;

pub use error::{Cell, ParseError};

use self::watch::Watch;
use crate::platform::{Column, Platform};

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The day.
    pub date: Date,
    /// The campaign.
    pub campaign: String,
    /// The ad set or ad group.
    pub ad_group: String,
    /// Times shown.
    pub impressions: i64,
    /// Times clicked.
    pub clicks: i64,
    /// Money spent, in millionths.
    pub spend_micros: i64,
    /// Conversions, in millionths: platforms count fractions.
    pub conversions_micros: i64,
}

/// The rows of an export, read one by one.
#[derive(Debug)]
pub struct Rows<R> {
    csv: csv::Reader<Watch<R>>,
    record: csv::ByteRecord,
    headers: Vec<String>,
    platform: Platform,
    /// Where the columns stand, in the order of [`Column::ALL`].
    positions: [usize; 7],
    rows: u64,
    done: bool,
}

/// Begins to read an export: encoding, header, platform.
///
/// # Errors
/// Says what is wrong with the file before its first row.
pub fn read<R: Read>(source: R, size_max_bytes: u64) -> Result<Rows<R>, ParseError> {
    let watch = Watch::begin(source, size_max_bytes)?;
    let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(watch);
    let mut record = csv::ByteRecord::new();
    let Some(line) = next_record(&mut csv, &mut record, &[])? else {
        return Err(ParseError::Empty);
    };
    let headers = header_names(&record, line)?;
    let platform = platform_of(&headers)?;
    let position = |name| headers.iter().position(|header| header == name).unwrap_or(0); // All there.
    let positions = platform.headers().map(position);
    Ok(Rows { csv, record, headers, platform, positions, rows: 0, done: false })
}

fn header_names(record: &csv::ByteRecord, line: u64) -> Result<Vec<String>, ParseError> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for field in record {
        let name = std::str::from_utf8(field).map_err(|_e| ParseError::latin_1(line, "header"))?;
        let name = name.trim().to_owned();
        if !name.is_empty() && names.contains(&name) {
            return Err(ParseError::DuplicateHeader { column: vocab::excerpt(&name) });
        }
        names.push(name);
    }
    Ok(names)
}

fn platform_of(headers: &[String]) -> Result<Platform, ParseError> {
    if let Some(platform) = Platform::of_headers(headers) {
        return Ok(platform);
    }
    let near = Platform::nearest_to(headers);
    let missing = near.and_then(|platform| Some((platform, *platform.missing(headers).first()?)));
    Err(match missing {
        Some((platform, column)) => ParseError::MissingColumn { platform, column },
        None => ParseError::UnknownPlatform { headers: vocab::excerpt(&headers.join(", ")) },
    })
}

/// Reads the next record and gives the line it begins on.
fn next_record<R: Read>(
    csv: &mut csv::Reader<Watch<R>>,
    record: &mut csv::ByteRecord,
    headers: &[String],
) -> Result<Option<u64>, ParseError> {
    match csv.read_byte_record(record) {
        Ok(true) => Ok(Some(csv.get_mut().next_line())),
        Ok(false) => Ok(None),
        Err(error) => {
            let message = error.to_string();
            let csv::ErrorKind::Io(error) = error.into_kind() else {
                return Err(ParseError::Read { message });
            };
            Err(unwrapped(error).in_column_of(headers))
        }
    }
}

/// The problem the watch found, or a real failure to read.
fn unwrapped(error: io::Error) -> ParseError {
    let message = error.to_string();
    match error.downcast::<ParseError>() {
        Ok(error) => error,
        Err(_) => ParseError::Read { message },
    }
}

impl<R: Read> Rows<R> {
    /// The platform the file was exported from.
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    fn next_row(&mut self) -> Result<Option<Row>, ParseError> {
        let Some(line) = next_record(&mut self.csv, &mut self.record, &self.headers)? else {
            return if self.rows == 0 { Err(ParseError::NoRows) } else { Ok(None) };
        };
        let (expected, found) = (self.headers.len(), self.record.len());
        if expected != found {
            return Err(ParseError::RaggedRow { line, expected, found });
        }
        self.rows += 1;
        Ok(Some(Row {
            date: self.cell(Column::Date, line)?.date()?,
            campaign: self.cell(Column::Campaign, line)?.name()?,
            ad_group: self.cell(Column::AdGroup, line)?.name()?,
            impressions: self.cell(Column::Impressions, line)?.count()?,
            clicks: self.cell(Column::Clicks, line)?.count()?,
            spend_micros: self.cell(Column::Spend, line)?.micros()?,
            conversions_micros: self.cell(Column::Conversions, line)?.micros()?,
        }))
    }

    fn cell(&self, column: Column, line: u64) -> Result<amount::Text<'_>, ParseError> {
        let name = self.platform.headers()[column as usize];
        let bytes = self.record.get(self.positions[column as usize]).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_e| ParseError::latin_1(line, name))?;
        Ok(amount::Text { text: text.trim(), line, column: name })
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, ParseError>;

    /// The next row; nothing more after a problem.
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = self.next_row().transpose();
        self.done = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests;
