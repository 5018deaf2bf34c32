//! Canonical CBOR (RFC 8949) of a bucket key: what flagd's newest `fractional` hashes.

use serde_json::Value as Json;

use super::term::Term;

const NEGATIVE: u8 = 0x20;
const TEXT: u8 = 0x60;
const LIST: u8 = 0x80;
const MAP: u8 = 0xa0;

/// Encodes a value. Whole numbers are integers, whatever they were written as.
pub(super) fn encode(term: &Term<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, term);
    bytes
}

fn write(bytes: &mut Vec<u8>, term: &Term<'_>) {
    match term {
        Term::Null => bytes.push(0xf6),
        Term::Truth(false) => bytes.push(0xf4),
        Term::Truth(true) => bytes.push(0xf5),
        Term::Number(number) => write_number(bytes, *number),
        Term::Text(text) => write_text(bytes, text),
        Term::Json(Json::Object(fields)) => {
            header(bytes, MAP, fields.len() as u64);
            let mut sorted: Vec<_> = fields
                .iter()
                .map(|(name, value)| {
                    let mut key = Vec::new();
                    write_text(&mut key, name);
                    (key, value)
                })
                .collect();
            // The shorter encoding first, then by its bytes.
            sorted.sort_by(|(left, _), (right, _)| {
                left.len().cmp(&right.len()).then_with(|| left.cmp(right))
            });
            for (key, value) in sorted {
                bytes.extend(key);
                write(bytes, &Term::of(value));
            }
        }
        Term::List(..) | Term::Json(_) => {
            header(bytes, LIST, term.length().unwrap_or(0) as u64);
            for item in term.items() {
                write(bytes, &item);
            }
        }
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    header(bytes, TEXT, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and within the range"
)]
fn write_number(bytes: &mut Vec<u8>, number: f64) {
    const ABOVE_ALL: f64 = 18_446_744_073_709_551_616.0; // 2^64
    const LEAST: f64 = -9_223_372_036_854_775_808.0; // -2^63
    if number.fract() == 0.0 && (0.0..ABOVE_ALL).contains(&number) {
        header(bytes, 0, number as u64);
    } else if number.fract() == 0.0 && (LEAST..0.0).contains(&number) {
        header(bytes, NEGATIVE, !(number as i64) as u64);
    } else {
        write_float(bytes, number);
    }
}

/// The shortest of half, single and double precision that loses nothing.
#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "that is the question")]
fn write_float(bytes: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        bytes.extend_from_slice(&[0xf9, 0x7e, 0x00]);
        return;
    }
    let single = number as f32;
    if f64::from(single) != number {
        bytes.push(0xfb);
        bytes.extend_from_slice(&number.to_be_bytes());
    } else if let Some(half) = half(single) {
        bytes.push(0xf9);
        bytes.extend_from_slice(&half.to_be_bytes());
    } else {
        bytes.push(0xfa);
        bytes.extend_from_slice(&single.to_be_bytes());
    }
}

/// A number in half precision, where that loses nothing.
fn half(single: f32) -> Option<u16> {
    let bits = single.to_bits();
    let sign = u16::try_from(bits >> 31).ok()? << 15;
    let exponent = i32::try_from((bits >> 23) & 0xff).ok()?;
    let fraction = bits & 0x007f_ffff;
    if exponent == 0xff {
        return (fraction == 0).then_some(sign | 0x7c00);
    }
    if exponent == 0 && fraction == 0 {
        return Some(sign);
    }
    let scale = exponent - 127;
    if (-14..=15).contains(&scale) && fraction.trailing_zeros() >= 13 {
        let exponent = u16::try_from(scale + 15).ok()? << 10;
        return Some(sign | exponent | u16::try_from(fraction >> 13).ok()?);
    }
    // Below 2^-14 the leading one is written out and shifted down.
    let shift = u32::try_from(-1 - scale).ok().filter(|_| (-24..-14).contains(&scale))?;
    let whole = fraction | 0x0080_0000;
    (whole.trailing_zeros() >= shift).then_some(sign | u16::try_from(whole >> shift).ok()?)
}

fn header(bytes: &mut Vec<u8>, kind: u8, number: u64) {
    let [.., b3, b2, b1, b0] = number.to_be_bytes();
    match number {
        0..24 => bytes.push(kind | b0),
        24..0x100 => bytes.extend_from_slice(&[kind | 24, b0]),
        0x100..0x1_0000 => bytes.extend_from_slice(&[kind | 25, b1, b0]),
        0x1_0000..0x1_0000_0000 => bytes.extend_from_slice(&[kind | 26, b3, b2, b1, b0]),
        _ => {
            bytes.push(kind | 27);
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
}
