//! Sticky, monotone bucketing: flagd's `fractional` in its newest form, so that an OpenFeature
//! client that evaluates in-process agrees with the server on every workspace.
//!
//! The hash is murmur3 x86 32-bit, seed 0, over the canonical CBOR encoding (RFC 8949) of the
//! array `[flag key, targeting key]`; the bucket is `(hash * total weight) >> 32`.

use vocab::{FlagKey, WorkspaceId};

// Two names of at most 128 bytes, a two-byte header each, and the array's header.
const ENCODED_MAX: usize = 1 + 2 * (2 + 128);

/// The workspace's place in the line, `0..10000`: it is on where the share is above it.
#[must_use]
pub fn bucket(flag: &FlagKey, workspace: &WorkspaceId) -> u16 {
    scale(hash(flag.as_str(), workspace.as_str()), 10_000)
}

fn scale(hash: u32, total_weight: u16) -> u16 {
    let scaled = (u64::from(hash) * u64::from(total_weight)) >> 32;
    u16::try_from(scaled).unwrap_or(u16::MAX) // Below the weight, by the shift.
}

fn hash(flag: &str, workspace: &str) -> u32 {
    let mut buffer = [0_u8; ENCODED_MAX];
    buffer[0] = 0x82; // An array of two.
    let length = encode_text(&mut buffer, 1, flag);
    let length = encode_text(&mut buffer, length, workspace);
    // Reading from memory cannot fail; if it did, the last bucket is the last to be exposed.
    murmur3::murmur3_32(&mut &buffer[..length], 0).unwrap_or(u32::MAX)
}

/// Writes a CBOR text string at `at` and returns where it ends. Names are at most 128 bytes long.
fn encode_text(buffer: &mut [u8; ENCODED_MAX], at: usize, text: &str) -> usize {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let start = if length < 24 {
        buffer[at] = 0x60 | length;
        at + 1
    } else {
        buffer[at] = 0x78;
        buffer[at + 1] = length;
        at + 2
    };
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
            if flag.len() > 128 || workspace.len() > 128 {
                continue; // No such name can exist here.
            }
            let hashed = hash(&flag, &workspace);
            assert_eq!(u64::from(hashed), number("murmur3_x86_32"), "{flag} {workspace}");
            assert_eq!(u64::from(scale(hashed, 100)), number("bucket_100"));
            assert_eq!(u64::from(scale(hashed, 10_000)), number("bucket_10000"));
        }
    }

    #[test]
    fn a_share_selects_about_as_many_as_it_says() {
        let flag = FlagKey::new("ingestion_v2_enabled").unwrap();
        let on = (0..20_000)
            .filter(|n| bucket(&flag, &WorkspaceId::new(&format!("ws-{n}")).unwrap()) < 1_000)
            .count();
        assert!((1_800..=2_200).contains(&on), "{on} of 20000 at 10%"); // Over 4.7 sigma each way.
    }
}
