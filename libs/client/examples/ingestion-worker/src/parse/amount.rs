//! Cells as dates, names, counts and exact amounts.

use jiff::civil::Date;

use super::error::{Cell, ParseError};

/// The largest count or amount of a row: with it the sum over a whole file fits 64 bits.
const AMOUNT_MAX: i64 = 1_000_000_000_000; // A million in money, a trillion impressions.
const NAME_LENGTH_MAX: usize = 1_000; // Bytes; platforms allow 400 characters.

/// The text of a cell and where it stands.
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    pub(super) line: u64,
    pub(super) column: &'static str,
}

impl Text<'_> {
    fn cell(&self) -> Cell {
        let value = vocab::excerpt(self.text);
        Cell { line: self.line, column: self.column.to_owned(), value }
    }

    /// A day, `YYYY-MM-DD`.
    pub(super) fn date(&self) -> Result<Date, ParseError> {
        let wrong = || ParseError::BadDate(self.cell());
        let shaped = self.text.len() == 10
            && self.text.bytes().enumerate().all(|(i, byte)| match i {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !shaped {
            return Err(wrong());
        }
        self.text.parse().map_err(|_e| wrong())
    }

    /// A name for people.
    pub(super) fn name(&self) -> Result<String, ParseError> {
        if self.text.is_empty() {
            return Err(ParseError::EmptyName(self.cell()));
        }
        if self.text.len() > NAME_LENGTH_MAX {
            return Err(ParseError::FieldTooLong {
                line: self.line,
                column: self.column.to_owned(),
                limit_bytes: NAME_LENGTH_MAX as u64,
            });
        }
        Ok(self.text.to_owned())
    }

    /// A whole number, `1234` or `1,234`.
    pub(super) fn count(&self) -> Result<i64, ParseError> {
        self.number(0)
    }

    /// A number with up to six decimals, in millionths.
    pub(super) fn micros(&self) -> Result<i64, ParseError> {
        self.number(6)
    }

    /// A number with up to `decimals` decimals, in that unit. Exact: never through a float.
    fn number(&self, decimals: u32) -> Result<i64, ParseError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (negative, text) = match self.text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.text),
        };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let plain = ungrouped(whole);
        let fits = fraction.is_none_or(|f| digits(f) && f.len() <= decimals as usize);
        let Some(whole) = plain.filter(|whole| digits(whole) && fits) else {
            return Err(ParseError::BadNumber(self.cell()));
        };
        if negative {
            return Err(ParseError::NegativeNumber(self.cell()));
        }
        let fraction = fraction.unwrap_or_default();
        let scaled = format!("{whole}{fraction:0<width$}", width = decimals as usize);
        let number = scaled.parse::<i64>().ok().filter(|number| *number <= AMOUNT_MAX);
        number.ok_or_else(|| ParseError::NumberTooLarge(self.cell()))
    }
}

/// A whole number without its separators of thousands; `None` where they stand wrong.
fn ungrouped(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    if !rest.is_empty() && (first.len() > 3 || rest.iter().any(|group| group.len() != 3)) {
        return None;
    }
    Some(format!("{first}{}", rest.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text { text, line: 7, column: "Cost" }
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(text("0.1").micros(), Ok(100_000));
        assert_eq!(text("1,234.567891").micros(), Ok(1_234_567_891));
        assert_eq!(text("12").micros(), Ok(12_000_000));
        assert_eq!(text("1,234,567").count(), Ok(1_234_567));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_place() {
        for bad in [
            "",
            "abc",
            "1.2.3",
            "1,23",
            ",1",
            "12,34,567",
            "1e5",
            "NaN",
            "$5",
            "1.1234567",
            "١",
            "-",
            "--1",
            "+1",
            ".",
        ] {
            assert_eq!(text(bad).micros().unwrap_err().kind(), "bad_number", "{bad:?}");
        }
        assert_eq!(text("1.5").count().unwrap_err().kind(), "bad_number");
        assert_eq!(text("-1.5").micros().unwrap_err().kind(), "negative_number");
        assert_eq!(text("1000001").micros().unwrap_err().kind(), "number_too_large");
        assert_eq!(text(&"9".repeat(40)).count().unwrap_err().kind(), "number_too_large");
        let said = text("x").micros().unwrap_err().to_string();
        assert_eq!(said, "line 7, column `Cost`: `x` is not a number");
    }

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        assert_eq!(text("2024-02-29").date().unwrap().to_string(), "2024-02-29");
        for bad in
            ["", "2023-02-29", "20240229", "2024-2-29", "29.02.2024", "2024-02-29T00", "２０24-0"]
        {
            assert_eq!(text(bad).date().unwrap_err().kind(), "bad_date", "{bad:?}");
        }
    }
}
