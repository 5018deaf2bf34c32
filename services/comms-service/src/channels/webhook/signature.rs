//! Signatures as Standard Webhooks has them: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::secret::Secret;

const PREFIX: &str = "whsec_";
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64; // In bytes, as the specification asks.

/// The keys that messages are signed with. Several while they are changed: the receiver takes any.
#[derive(Debug)]
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Reads secrets of the form `whsec_` and base64; what is wrong is said without them.
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        if secrets.is_empty() {
            return Err("expected one at least: nothing is sent unsigned".to_owned());
        }
        let keys: Result<_, String> = secrets.iter().map(key).collect();
        Ok(Self(keys?))
    }

    /// The value of `webhook-signature`: one signature for each key.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &str) -> String {
        let text = format!("{id}.{timestamp}.{body}");
        let signed = self.0.iter().map(|key| {
            let tag = hmac::sign(key, text.as_bytes());
            format!("v1,{}", STANDARD.encode(tag.as_ref()))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &Secret) -> Result<hmac::Key, String> {
    let text = secret.reveal();
    let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok();
    let bytes = bytes.filter(|bytes| LENGTHS.contains(&bytes.len())).ok_or_else(|| {
        format!("expected `{PREFIX}` and {} to {} bytes in base64", LENGTHS.start(), LENGTHS.end())
    })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        let keys = Keys::new(&[Secret::new(SECRET)]).unwrap();
        let signed =
            keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_key_signs_and_a_bad_one_is_refused_without_being_shown() {
        let keys = Keys::new(&[Secret::new(SECRET), Secret::new(SECRET)]).unwrap();
        assert_eq!(keys.sign("a", "1", "{}").split(' ').count(), 2);
        for bad in ["hush", "whsec_aHVzaA==", ""] {
            let why = Keys::new(&[Secret::new(bad)]).unwrap_err();
            assert!(why.contains("base64") && !why.contains("hush"), "{why}");
        }
        assert!(Keys::new(&[]).unwrap_err().contains("unsigned"));
    }
}
