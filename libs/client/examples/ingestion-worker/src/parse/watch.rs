//! Looks at the bytes on their way to the CSV reader, which is lenient and forgets lines:
//! encoding, size, quotes, and the line each record begins on.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::error::ParseError;

const FIELD_LENGTH_MAX: u64 = 64 * 1024; // Bounds memory when a quote never ends.
const PREFIX_LENGTH: usize = 3; // The longest byte order mark.

/// Where in a record the last byte stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a record; blank lines are skipped.
    Between,
    /// At the first byte of a field.
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within quotes: the end, or half of a doubled one.
    QuoteSeen,
}

/// A reader that refuses what the CSV reader would let pass.
#[derive(Debug)]
pub(super) struct Watch<R> {
    source: R,
    /// Bytes read ahead to look for a byte order mark, and how many of them were handed on.
    prefix: Vec<u8>,
    handed: usize,
    state: State,
    line: u64,
    after_return: bool,
    /// Of the field now being read, from 1.
    field: usize,
    field_line: u64,
    field_length: u64,
    /// Lines on which the records begin that were handed on and not yet asked for: no more than
    /// fit the CSV reader's buffer.
    begun: VecDeque<u64>,
    left_bytes: u64,
    limit_bytes: u64,
    /// Met, and not yet reported.
    problem: Option<ParseError>,
}

impl<R: Read> Watch<R> {
    /// Looks at the encoding and begins.
    pub(super) fn begin(mut source: R, limit_bytes: u64) -> Result<Self, ParseError> {
        let mut prefix = Vec::with_capacity(PREFIX_LENGTH);
        let ahead = source.by_ref().take(PREFIX_LENGTH as u64).read_to_end(&mut prefix);
        ahead.map_err(|error| ParseError::Read { message: error.to_string() })?;
        if prefix.starts_with(&[0xFF, 0xFE]) || prefix.starts_with(&[0xFE, 0xFF]) {
            return Err(ParseError::NotUtf8 {
                line: 1,
                column: "header".to_owned(),
                encoding: "UTF-16 (it has a byte order mark)",
            });
        }
        let handed = if prefix == [0xEF, 0xBB, 0xBF] { PREFIX_LENGTH } else { 0 };
        Ok(Self {
            source,
            prefix,
            handed,
            state: State::Between,
            line: 1,
            after_return: false,
            field: 1,
            field_line: 1,
            field_length: 0,
            begun: VecDeque::new(),
            left_bytes: limit_bytes,
            limit_bytes,
            problem: None,
        })
    }

    /// The line on which the next record handed on begins.
    pub(super) fn next_line(&mut self) -> u64 {
        self.begun.pop_front().unwrap_or(self.line)
    }

    fn see(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.state == State::Between && !matches!(byte, b'\r' | b'\n') {
            let line = self.line_of(byte);
            self.begun.push_back(line);
            self.field = 0;
            self.next_field();
        }
        self.count_line(byte);
        if self.state == State::Between {
            return Ok(()); // A blank line.
        }
        self.field_length += 1;
        if self.field_length > FIELD_LENGTH_MAX {
            return Err(self.too_long());
        }
        if byte == 0 {
            let encoding = "UTF-16 or binary (it has zero bytes)";
            return Err(ParseError::NotUtf8 {
                line: self.line,
                column: self.field.to_string(),
                encoding,
            });
        }
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::QuoteSeen,
            (State::Quoted, _) | (State::QuoteSeen, b'"') | (State::FieldStart, b'"') => {
                State::Quoted
            }
            (_, b'\r' | b'\n') => State::Between,
            (State::FieldStart | State::Plain | State::QuoteSeen, b',') => {
                self.next_field();
                State::FieldStart
            }
            (State::QuoteSeen, _) => {
                let column = self.field.to_string();
                return Err(ParseError::StrayQuote { line: self.line, column });
            }
            (State::Between | State::FieldStart | State::Plain, _) => State::Plain, // `Between` ended above.
        };
        Ok(())
    }

    fn next_field(&mut self) {
        self.field += 1;
        self.field_length = 0;
        self.field_line = self.line;
        if self.field == 1 {
            self.state = State::FieldStart;
        }
    }

    /// The line `byte` stands on: a return that no line feed followed has ended the one before.
    fn line_of(&mut self, byte: u8) -> u64 {
        if self.after_return && byte != b'\n' {
            self.after_return = false;
            self.line += 1;
        }
        self.line
    }

    fn count_line(&mut self, byte: u8) {
        self.line_of(byte);
        match byte {
            b'\n' => {
                self.line += 1;
                self.after_return = false;
            }
            b'\r' => self.after_return = true,
            _ => {}
        }
    }

    fn too_long(&self) -> ParseError {
        let (line, column) = (self.field_line, self.field.to_string());
        if self.state == State::Quoted {
            return ParseError::UnterminatedQuote { line, column };
        }
        ParseError::FieldTooLong { line, column, limit_bytes: FIELD_LENGTH_MAX }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ahead = &self.prefix[self.handed..];
        if ahead.is_empty() {
            return self.source.read(buffer);
        }
        let length = ahead.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ahead[..length]);
        self.handed += length;
        Ok(length)
    }
}

impl<R: Read> Watch<R> {
    /// Looks at `bytes` and says how many of them are good, and what is wrong with the next.
    fn inspect(&mut self, bytes: &[u8]) -> (usize, Option<ParseError>) {
        for (seen, byte) in bytes.iter().enumerate() {
            let Some(left) = self.left_bytes.checked_sub(1) else {
                return (seen, Some(ParseError::TooLarge { limit_bytes: self.limit_bytes }));
            };
            self.left_bytes = left;
            if let Err(problem) = self.see(*byte) {
                return (seen, Some(problem));
            }
        }
        let unfinished = bytes.is_empty() && self.state == State::Quoted;
        (bytes.len(), unfinished.then(|| self.too_long()))
    }
}

impl<R: Read> Read for Watch<R> {
    /// Hands on what comes before a problem first, so that problems are met in the order of the
    /// file.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.problem.is_none() && !buffer.is_empty() {
            let length = self.fill(buffer)?;
            let (good, problem) = self.inspect(&buffer[..length]);
            self.problem = problem;
            if good > 0 || self.problem.is_none() {
                return Ok(good);
            }
        }
        self.problem.clone().map_or(Ok(0), |problem| Err(io::Error::other(problem)))
    }
}
