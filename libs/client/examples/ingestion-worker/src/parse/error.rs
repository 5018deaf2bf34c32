//! Why a file is no export that can be ingested.

use crate::platform::Platform;

/// A cell of the file, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The line its record begins on, from 1.
    pub line: u64,
    /// The header of its column.
    pub column: String,
    /// What it holds, shortened.
    pub value: String,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column `{}`: `{}`", self.line, self.column, self.value)
    }
}

/// Why a file was refused: the file's fault, not the pipeline's, but for [`ParseError::Read`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A header, and nothing else.
    #[error("the file has a header and no rows")]
    NoRows,
    /// More than the limit.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Another encoding.
    #[error("line {line}, column `{column}`: the text is not UTF-8, it seems to be {encoding}")]
    NotUtf8 {
        /// The line.
        line: u64,
        /// The header of the column, or `header`.
        column: String,
        /// What it seems to be.
        encoding: &'static str,
    },
    /// A header given twice.
    #[error("line 1, column `{column}`: the header is given twice")]
    DuplicateHeader {
        /// The header.
        column: String,
    },
    /// Nearly the headers of a platform.
    #[error("line 1: an export of {platform} has a column `{column}`, which is missing")]
    MissingColumn {
        /// The platform it seems to come from.
        platform: Platform,
        /// The first header that is missing.
        column: &'static str,
    },
    /// Headers of no platform.
    #[error("line 1: the headers are of no known platform: {headers}")]
    UnknownPlatform {
        /// The headers, shortened.
        headers: String,
    },
    /// Too many or too few fields.
    #[error("line {line}: {found} fields where the header has {expected}")]
    RaggedRow {
        /// The line.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// Not a number.
    #[error("{0} is not a number")]
    BadNumber(Cell),
    /// A number beyond what one row can hold.
    #[error("{0} is too large")]
    NumberTooLarge(Cell),
    /// Less than nothing.
    #[error("{0} is negative")]
    NegativeNumber(Cell),
    /// Not a day.
    #[error("{0} is not a date such as 2024-12-29")]
    BadDate(Cell),
    /// A row without a campaign or ad group.
    #[error("{0} is empty")]
    EmptyName(Cell),
    /// A quote that never ends.
    #[error("line {line}, column `{column}`: the quote that begins here never ends")]
    UnterminatedQuote {
        /// The line the quote begins on.
        line: u64,
        /// The header of the column, or its number.
        column: String,
    },
    /// Text after a closing quote.
    #[error("line {line}, column `{column}`: text follows the closing quote")]
    StrayQuote {
        /// The line.
        line: u64,
        /// The header of the column, or its number.
        column: String,
    },
    /// A field longer than any name.
    #[error("line {line}, column `{column}`: the field is longer than {limit_bytes} bytes")]
    FieldTooLong {
        /// The line the field begins on.
        line: u64,
        /// The header of the column, or its number.
        column: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file could not be read: not the file's fault.
    #[error("failed to read the file: {message}")]
    Read {
        /// What the system said.
        message: String,
    },
}

impl ParseError {
    /// A short name for labels, the same for every problem of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoRows => "no_rows",
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::DuplicateHeader { .. } => "duplicate_header",
            Self::MissingColumn { .. } => "missing_column",
            Self::UnknownPlatform { .. } => "unknown_platform",
            Self::RaggedRow { .. } => "ragged_row",
            Self::BadNumber(_) => "bad_number",
            Self::NumberTooLarge(_) => "number_too_large",
            Self::NegativeNumber(_) => "negative_number",
            Self::BadDate(_) => "bad_date",
            Self::EmptyName(_) => "empty_name",
            Self::UnterminatedQuote { .. } => "unterminated_quote",
            Self::StrayQuote { .. } => "stray_quote",
            Self::FieldTooLong { .. } => "field_too_long",
            Self::Read { .. } => "read",
        }
    }

    pub(super) fn latin_1(line: u64, column: &str) -> Self {
        let encoding = "Latin-1 or Windows-1252";
        Self::NotUtf8 { line, column: column.to_owned(), encoding }
    }

    /// Puts the header in place of the number of a column.
    pub(super) fn in_column_of(mut self, headers: &[String]) -> Self {
        if let Self::UnterminatedQuote { column, .. }
        | Self::StrayQuote { column, .. }
        | Self::FieldTooLong { column, .. }
        | Self::NotUtf8 { column, .. } = &mut self
        {
            let number = column.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            if let Some(header) = number.and_then(|index| headers.get(index)) {
                *column = vocab::excerpt(header);
            }
        }
        self
    }
}
