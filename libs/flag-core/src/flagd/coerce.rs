//! How JavaScript turns one kind of value into another, which is what JsonLogic means.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::Unanswered;
use super::run::Run;
use super::term::Term;

/// Whether a value counts as true: as in JavaScript, but an empty list does not.
pub(super) fn truthy(term: &Term<'_>) -> bool {
    match term {
        Term::Null => false,
        Term::Truth(truth) => *truth,
        Term::Number(number) => *number != 0.0 && !number.is_nan(),
        Term::Text(text) => !text.is_empty(),
        Term::List(..) | Term::Json(_) => term.length() != Some(0),
    }
}

/// `String(value)`.
pub(super) fn text<'a>(term: &Term<'a>, run: &mut Run) -> Result<Cow<'a, str>, Unanswered> {
    Ok(match term {
        Term::Null => "null".into(),
        Term::Truth(true) => "true".into(),
        Term::Truth(false) => "false".into(),
        Term::Number(number) => number_text(*number).into(),
        Term::Text(text) => text.clone(),
        Term::Json(Json::Object(_)) => "[object Object]".into(),
        Term::List(..) | Term::Json(_) => {
            let mut joined = String::new();
            for (at, item) in term.items().enumerate() {
                if at > 0 {
                    joined.push(',');
                }
                if !matches!(item, Term::Null) {
                    joined.push_str(&text(&item, run)?);
                }
                run.spend(1)?;
            }
            run.spend_bytes(joined.len())?;
            joined.into()
        }
    })
}

/// A number as JavaScript writes it.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&number.abs()) {
        return number.to_string();
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        Some(_) | None => scientific,
    }
}

/// `Number(value)`.
pub(super) fn number(term: &Term<'_>, run: &mut Run) -> Result<f64, Unanswered> {
    Ok(match term {
        Term::Null => 0.0,
        Term::Truth(truth) => f64::from(u8::from(*truth)),
        Term::Number(number) => *number,
        Term::Text(text) => whole_text(text),
        Term::List(..) | Term::Json(_) => whole_text(&text(term, run)?),
    })
}

fn whole_text(text: &str) -> f64 {
    let text = text.trim();
    let radix = |digits: &str, radix| {
        // Beyond 2^64 the text is no number anybody wrote by hand.
        u64::from_str_radix(digits, radix).map_or(f64::NAN, widen)
    };
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => match text.get(..2) {
            Some("0x" | "0X") => radix(&text[2..], 16),
            Some("0o" | "0O") => radix(&text[2..], 8),
            Some("0b" | "0B") => radix(&text[2..], 2),
            Some(_) | None if decimal_length(text) == text.len() => {
                text.parse().unwrap_or(f64::NAN)
            }
            Some(_) | None => f64::NAN,
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "as JavaScript does")]
const fn widen(number: u64) -> f64 {
    number as f64
}

/// `parseFloat(value)`: the number a text begins with.
pub(super) fn leading_number(term: &Term<'_>, run: &mut Run) -> Result<f64, Unanswered> {
    if let Term::Number(number) = term {
        return Ok(*number);
    }
    let text = text(term, run)?;
    let text = text.trim_start();
    for (word, number) in [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
        if text.starts_with(word) {
            return Ok(number);
        }
    }
    Ok(text[..decimal_length(text)].parse().unwrap_or(f64::NAN))
}

/// How much of a text is a decimal number: sign, digits, fraction, exponent.
fn decimal_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// `===`; lists and objects are equal where everything in them is.
#[expect(clippy::float_cmp, reason = "equal or not")]
pub(super) fn same(left: &Term<'_>, right: &Term<'_>, run: &mut Run) -> Result<bool, Unanswered> {
    run.spend(1)?;
    Ok(match (left, right) {
        (Term::Null, Term::Null) => true,
        (Term::Truth(left), Term::Truth(right)) => left == right,
        (Term::Number(left), Term::Number(right)) => left == right,
        (Term::Text(left), Term::Text(right)) => left == right,
        (Term::Json(Json::Object(left)), Term::Json(Json::Object(right))) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (name, value) in left {
                let Some(other) = right.get(name) else { return Ok(false) };
                if !same(&Term::of(value), &Term::of(other), run)? {
                    return Ok(false);
                }
            }
            true
        }
        (left, right) => match (left.length(), right.length()) {
            (Some(one), Some(other)) if one == other => {
                for (left, right) in left.items().zip(right.items()) {
                    if !same(&left, &right, run)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Some(_) | None, Some(_) | None) => false,
        },
    })
}

/// `==`.
#[expect(clippy::float_cmp, reason = "equal or not")]
pub(super) fn alike(left: &Term<'_>, right: &Term<'_>, run: &mut Run) -> Result<bool, Unanswered> {
    let composed = |term: &Term<'_>| matches!(term, Term::List(..) | Term::Json(_));
    Ok(match (left, right) {
        (Term::Null, Term::Null) => true,
        (Term::Null, _) | (_, Term::Null) => false,
        (Term::Text(_), Term::Text(_)) => same(left, right, run)?,
        (left, right) if composed(left) && composed(right) => same(left, right, run)?,
        (left, Term::Text(other)) if composed(left) => *text(left, run)? == **other,
        (Term::Text(other), right) if composed(right) => *text(right, run)? == **other,
        (left, right) => number(left, run)? == number(right, run)?,
    })
}

/// Whether `left < right`; `None` where they do not compare.
pub(super) fn order(
    left: &Term<'_>,
    right: &Term<'_>,
    run: &mut Run,
) -> Result<Option<std::cmp::Ordering>, Unanswered> {
    let texts = |term: &Term<'_>| matches!(term, Term::Text(_) | Term::List(..) | Term::Json(_));
    if texts(left) && texts(right) {
        let (left, right) = (text(left, run)?, text(right, run)?);
        run.spend_bytes(left.len().min(right.len()))?;
        return Ok(Some(left.encode_utf16().cmp(right.encode_utf16())));
    }
    Ok(number(left, run)?.partial_cmp(&number(right, run)?))
}
