//! Files to send: small ones with known contents, and generated ones of any number and size.
//!
//! Every sample says what must come of it. Everything is deterministic.

mod generate;

use std::borrow::Cow;

pub use generate::{SIZE_MIN_BYTES, write_export, write_sized};

use crate::platform::Platform;
use crate::stage::Totals;

/// What must come of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It succeeds.
    Valid {
        /// Where it comes from.
        platform: Platform,
        /// Rows it has.
        rows: u64,
        /// What it comes to.
        totals: Totals,
    },
    /// It is invalid, by [`ParseError::kind`](crate::parse::ParseError::kind).
    Invalid(&'static str),
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What it is called, e.g. `meta.csv`.
    pub name: String,
    /// What must come of it.
    pub expectation: Expectation,
    contents: Contents,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Contents {
    Shipped(&'static [u8]),
    Generated { platform: Platform, seed: u64, rows: u64 },
}

impl Sample {
    /// The file.
    #[must_use]
    pub fn bytes(&self) -> Cow<'static, [u8]> {
        match self.contents {
            Contents::Shipped(bytes) => Cow::Borrowed(bytes),
            Contents::Generated { platform, seed, rows } => {
                Cow::Owned(generate::export(platform, seed, rows).0)
            }
        }
    }

    /// Whether it must succeed.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self.expectation, Expectation::Valid { .. })
    }
}

macro_rules! shipped {
    ($($file:literal => $expectation:expr,)*) => {
        vec![$(Sample {
            name: $file.to_owned(),
            expectation: $expectation,
            contents: Contents::Shipped(include_bytes!(concat!("../samples/", $file))),
        },)*]
    };
}

/// Known totals: results, impressions, clicks, spend and conversions in millionths.
const fn valid(platform: Platform, rows: u64, totals: [i64; 5]) -> Expectation {
    let [results, impressions, clicks, spend_micros, conversions_micros] = totals;
    let totals = Totals { results, impressions, clicks, spend_micros, conversions_micros };
    Expectation::Valid { platform, rows, totals }
}

/// The files that ship with the worker: known patterns, and every way to be wrong.
#[must_use]
pub fn catalogue() -> Vec<Sample> {
    use Expectation::Invalid;
    shipped! {
        "meta.csv" => valid(Platform::Meta, 56, [28, 76_468, 1_512, 928_280_000, 108_000_000]),
        "google.csv" =>
            valid(Platform::Google, 40, [20, 264_260, 6_600, 2_642_600_000, 264_200_000]),
        "tiktok.csv" => valid(Platform::TikTok, 36, [36, 168_750, 1_683, 168_750_000, 57_000_000]),
        "quoted-newlines.csv" =>
            valid(Platform::Google, 3, [2, 600, 30, 6_750_000, 3_500_000]),
        "empty.csv" => Invalid("empty"),
        "header-only.csv" => Invalid("no_rows"),
        "ragged-row.csv" => Invalid("ragged_row"),
        "bad-number.csv" => Invalid("bad_number"),
        "bad-date.csv" => Invalid("bad_date"),
        "unterminated-quote.csv" => Invalid("unterminated_quote"),
        "missing-column.csv" => Invalid("missing_column"),
        "negative-number.csv" => Invalid("negative_number"),
        "utf-16.csv" => Invalid("not_utf8"),
        "latin-1.csv" => Invalid("not_utf8"),
        "duplicate-header.csv" => Invalid("duplicate_header"),
        "unknown-platform.csv" => Invalid("unknown_platform"),
    }
}

/// The sample at `index` of an endless row: first the shipped ones, then generated valid ones of
/// all platforms in turn.
#[must_use]
pub fn nth(index: u64) -> Sample {
    let position = usize::try_from(index).unwrap_or(usize::MAX);
    if let Some(sample) = catalogue().into_iter().nth(position) {
        return sample;
    }
    generated(index)
}

/// A generated valid sample: 20 to 199 rows of the platform whose turn it is.
#[must_use]
pub fn generated(seed: u64) -> Sample {
    let platform = match seed % 3 {
        0 => Platform::Meta,
        1 => Platform::Google,
        _ => Platform::TikTok,
    };
    let rows = 20 + seed % 180;
    let totals = generate::export(platform, seed, rows).1;
    Sample {
        name: format!("{platform}-{seed}.csv"),
        expectation: Expectation::Valid { platform, rows, totals },
        contents: Contents::Generated { platform, seed, rows },
    }
}

#[cfg(test)]
mod tests;
