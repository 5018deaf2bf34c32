//! Sticky, monotone bucketing: flagd's `fractional` in its newest form, so that an OpenFeature
//! client that evaluates in-process agrees with the server on every workspace.
//!
//! The hash is murmur3 x86 32-bit, seed 0, over the canonical CBOR encoding (RFC 8949) of the
//! array `[flag key, targeting key]`; the bucket is `(hash * total weight) >> 32`.

use crate::limits::KEY_BYTES_MAX;

/// Longest key of a flag that is hashed.
const FLAG_BYTES_MAX: usize = 128;
/// CBOR's header of an array of two.
const ARRAY_OF_TWO: u8 = 0x82;

/// The place in the line of whoever has this targeting key, `0..10000`: it is on where the share is
/// above it. Keys longer than [`KEY_BYTES_MAX`] come last; the door refuses them.
#[must_use]
pub fn bucket(flag: &str, key: &str) -> u16 {
    Salt::of(flag).bucket(key)
}

/// The flag's part of what is hashed, hashed already: for who asks about many keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(Option<Begun>);

/// A hash of whole blocks, and the bytes behind them: as in the little-endian number that they are
/// the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begun {
    hash: u32,
    rest: u64,
    rest_bytes: u32,
    bytes: u32,
}

impl Salt {
    /// That of a flag. Where its key is longer than 128 bytes, which no flag's is, everybody comes
    /// last.
    #[must_use]
    pub fn of(flag: &str) -> Self {
        let text = flag.as_bytes();
        if text.len() > FLAG_BYTES_MAX {
            return Self(None);
        }
        let (header, header_bytes) = header(text.len());
        let head = u64::from(ARRAY_OF_TWO) | header << 8;
        Self(Some(Begun { hash: 0, rest: head, rest_bytes: 1 + header_bytes, bytes: 0 }.with(text)))
    }

    /// See [`bucket`].
    #[inline]
    #[must_use]
    pub fn bucket(&self, key: &str) -> u16 {
        scale(self.hash(key), 10_000)
    }

    #[inline]
    fn hash(&self, key: &str) -> u32 {
        let Some(begun) = self.0.filter(|_| key.len() <= KEY_BYTES_MAX) else { return u32::MAX };
        let (header, header_bytes) = header(key.len());
        let rest = begun.rest | header << (8 * begun.rest_bytes);
        Begun { rest, rest_bytes: begun.rest_bytes + header_bytes, ..begun }
            .with(key.as_bytes())
            .end()
    }
}

impl Begun {
    /// Goes on with a text; at most six bytes are left over from before.
    #[inline]
    fn with(self, text: &[u8]) -> Self {
        match text.first_chunk::<8>() {
            Some(first) => {
                // Two blocks of what was left over and what fills them up; the rest of the text
                // begins in the middle of `first`.
                let two = self.rest | u64::from_le_bytes(*first) << (8 * self.rest_bytes);
                let [low, high] = halves(two);
                let (blocks, tail) = text[8 - self.rest_bytes as usize..].as_chunks::<4>();
                let hash = blocks.iter().fold(mix(mix(self.hash, low), high), |hash, block| {
                    mix(hash, u32::from_le_bytes(*block))
                });
                let bytes = self.bytes + 8 + 4 * to_u32(blocks.len());
                Self { hash, rest: few(tail), rest_bytes: to_u32(tail.len()), bytes }
            }
            None => {
                let all = u128::from(self.rest) | u128::from(few(text)) << (8 * self.rest_bytes);
                let bytes = self.rest_bytes + to_u32(text.len());
                let [one, two, three, four] = quarters(all);
                // At most 13 bytes: three blocks and one more.
                let (hash, blocks, rest) = match bytes / 4 {
                    0 => (self.hash, 0, one),
                    1 => (mix(self.hash, one), 1, two),
                    2 => (mix(mix(self.hash, one), two), 2, three),
                    _ => (mix(mix(mix(self.hash, one), two), three), 3, four),
                };
                let rest = u64::from(rest);
                Self { hash, rest, rest_bytes: bytes % 4, bytes: self.bytes + 4 * blocks }
            }
        }
    }

    #[inline]
    fn end(self) -> u32 {
        let [rest, _none] = halves(self.rest);
        finish(self.hash ^ scramble(rest), self.bytes + self.rest_bytes)
    }
}

/// The header of a CBOR text string of so many bytes, and how many it takes.
#[inline]
fn header(bytes: usize) -> (u64, u32) {
    let bytes = bytes as u64;
    match bytes {
        0..24 => (0x60 | bytes, 1),
        24..256 => (0x78 | bytes << 8, 2),
        _ => (0x79 | (bytes >> 8) << 8 | (bytes & 0xff) << 16, 3),
    }
}

/// At most seven bytes as a little-endian number.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | last
        }
        _ => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

fn scale(hash: u32, total_weight: u16) -> u16 {
    let scaled = (u64::from(hash) * u64::from(total_weight)) >> 32;
    u16::try_from(scaled).unwrap_or(u16::MAX) // Below the weight, by the shift.
}

/// murmur3 x86 32-bit, seed 0 (Appleby, `MurmurHash3_x86_32`). By hand, since the crate reads
/// from a stream: that was two thirds of what an evaluation costs.
pub(crate) fn murmur3(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let hash = blocks.iter().fold(0, |hash, block| mix(hash, u32::from_le_bytes(*block)));
    let [rest, _none] = halves(few(tail));
    // Lengths beyond 2^32 cannot be here: whatever is hashed has a bound.
    finish(hash ^ scramble(rest), to_u32(bytes.len()))
}

#[inline]
const fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[inline]
const fn mix(hash: u32, block: u32) -> u32 {
    (hash ^ scramble(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

#[inline]
const fn finish(hash: u32, bytes: u32) -> u32 {
    let hash = hash ^ bytes;
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Four bytes each, the lowest first.
#[inline]
const fn quarters(number: u128) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = number.to_le_bytes();
    let [one, two] = halves(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    let [three, four] = halves(u64::from_le_bytes([i, j, k, l, m, n, o, p]));
    [one, two, three, four]
}

/// The lower and the upper four bytes.
#[inline]
const fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_agree_with_the_vectors_of_flagd() {
        let file = include_str!("../tests/fractional-vectors.json");
        let file: serde_json::Value = serde_json::from_str(file).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert!(vectors.len() >= 20, "{} vectors are too few to mean anything", vectors.len());
        for vector in vectors {
            let text = |field: &str| vector[field].as_str().unwrap().to_owned();
            let number = |field: &str| vector[field].as_u64().unwrap();
            let (flag, workspace) = (text("flag_key"), text("targeting_key"));
            let hashed = Salt::of(&flag).hash(&workspace);
            assert_eq!(u64::from(hashed), number("murmur3_x86_32"), "{flag} {workspace}");
            assert_eq!(u64::from(scale(hashed, 100)), number("bucket_100"));
            assert_eq!(u64::from(scale(hashed, 10_000)), number("bucket_10000"));
        }
    }

    proptest::proptest! {
        #[test]
        fn the_hash_is_the_one_a_known_library_computes(bytes: Vec<u8>) {
            let known = murmur3::murmur3_32(&mut bytes.as_slice(), 0).unwrap();
            proptest::prop_assert_eq!(murmur3(&bytes), known);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_hashed_is_the_flag_and_the_key_as_cbor_writes_them(
            flag in "[a-z_]{0,30}|[a-z]{120,128}",
            key in "[a-z0-9-]{0,9}|[ä-ü]{0,16}|[a-z]{20,26}|[a-z]{250,260}",
        ) {
            let text = |text: &str| {
                let [.., high, low] = text.len().to_be_bytes();
                let header = match text.len() {
                    0..24 => vec![0x60 | low],
                    24..256 => vec![0x78, low],
                    _ => vec![0x79, high, low],
                };
                [&header, text.as_bytes()].concat()
            };
            let bytes = [&[0x82][..], &text(&flag), &text(&key)].concat();
            let known = murmur3::murmur3_32(&mut bytes.as_slice(), 0).unwrap();
            proptest::prop_assert_eq!(Salt::of(&flag).hash(&key), known);
        }
    }

    #[test]
    fn who_is_too_long_comes_last() {
        assert_eq!(bucket("f", &"k".repeat(KEY_BYTES_MAX + 1)), 9_999);
        assert_eq!(bucket(&"f".repeat(129), "k"), 9_999);
        assert_ne!(bucket(&"f".repeat(128), &"k".repeat(KEY_BYTES_MAX)), 9_999);
    }

    #[test]
    fn a_share_selects_about_as_many_as_it_says() {
        let on = (0..20_000)
            .filter(|n| bucket("ingestion_v2_enabled", &format!("ws-{n}")) < 1_000)
            .count();
        assert!((1_800..=2_200).contains(&on), "{on} of 20000 at 10%"); // Over 4.7 sigma each way.
    }
}
