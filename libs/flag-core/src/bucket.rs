//! Sticky, monotone bucketing: flagd's `fractional` in its newest form, so that an OpenFeature
//! client that evaluates in-process agrees with the server on every workspace.
//!
//! The hash is murmur3 x86 32-bit, seed 0, over the canonical CBOR encoding (RFC 8949) of the
//! array `[flag key, targeting key]`; the bucket is `(hash * total weight) >> 32`.

use crate::limits::KEY_BYTES_MAX;

// A flag's key of at most 128 bytes and a targeting key, a header each, and the array's header.
const ENCODED_SHORT: usize = 1 + 2 * (2 + 128);
const ENCODED_MAX: usize = 1 + (2 + 128) + (3 + KEY_BYTES_MAX);

/// The place in the line of whoever has this targeting key, `0..10000`: it is on where the share is
/// above it. Keys longer than [`KEY_BYTES_MAX`] come last; the door refuses them.
#[must_use]
pub fn bucket(flag: &str, key: &str) -> u16 {
    scale(hash(flag, key), 10_000)
}

fn scale(hash: u32, total_weight: u16) -> u16 {
    let scaled = (u64::from(hash) * u64::from(total_weight)) >> 32;
    u16::try_from(scaled).unwrap_or(u16::MAX) // Below the weight, by the shift.
}

fn hash(flag: &str, key: &str) -> u32 {
    if flag.len() <= 128 && key.len() <= 128 {
        return hash_in(&mut [0_u8; ENCODED_SHORT], flag, key);
    }
    if flag.len() <= 128 && key.len() <= KEY_BYTES_MAX {
        return hash_in(&mut [0_u8; ENCODED_MAX], flag, key);
    }
    u32::MAX
}

fn hash_in(buffer: &mut [u8], flag: &str, key: &str) -> u32 {
    buffer[0] = 0x82; // An array of two.
    let length = encode_text(buffer, 1, flag);
    let length = encode_text(buffer, length, key);
    murmur3(&buffer[..length])
}

/// murmur3 x86 32-bit, seed 0 (Appleby, `MurmurHash3_x86_32`). By hand, since the crate reads
/// from a stream: that was two thirds of what an evaluation costs.
pub(crate) fn murmur3(bytes: &[u8]) -> u32 {
    let scramble =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, block| {
        let mixed = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13);
        mixed.wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = tail.iter().rev().fold(0_u32, |last, byte| (last << 8) | u32::from(*byte));
    hash ^= scramble(last); // Of nothing it is nothing.
    // Lengths beyond 2^32 cannot be here: whatever is hashed has a bound.
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Writes a CBOR text string at `at` and returns where it ends. The buffer has room for it.
fn encode_text(buffer: &mut [u8], at: usize, text: &str) -> usize {
    let [.., high, low] = text.len().to_be_bytes();
    let header: &[u8] = match text.len() {
        0..24 => &[0x60 | low],
        24..256 => &[0x78, low],
        _ => &[0x79, high, low],
    };
    let start = at + header.len();
    buffer[at..start].copy_from_slice(header);
    buffer[start..start + text.len()].copy_from_slice(text.as_bytes());
    start + text.len()
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
            let hashed = hash(&flag, &workspace);
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

    #[test]
    fn a_share_selects_about_as_many_as_it_says() {
        let on = (0..20_000)
            .filter(|n| bucket("ingestion_v2_enabled", &format!("ws-{n}")) < 1_000)
            .count();
        assert!((1_800..=2_200).contains(&on), "{on} of 20000 at 10%"); // Over 4.7 sigma each way.
    }
}
