//! One event as it is stored: who, when, why, what, and the hash that chains it to the one before.

use sha2::{Digest as _, Sha256};
use vocab::{Actor, Invalid, Role, Timestamp};

/// The position of a record in its stream: the first is 1; 0 is the empty stream.
pub type Version = u64;

/// The name of a stream: 1 to 63 of `a-z`, `0-9`, `-`, e.g. `rollout`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Box<str>);

impl StreamName {
    /// Checks a stream name.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let good = (1..=63).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if good {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new(format!(
            "`{}` is not a stream name: expected 1 to 63 of a-z, 0-9 and -",
            vocab::excerpt(text)
        )))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl Hash {
    /// Reads what `Display` writes: 64 hexadecimal digits. None for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes = pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?;
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An event about to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What happened, in the past tense, e.g. `PhaseEntered`.
    pub kind: String,
    /// The event, as protobuf bytes.
    pub payload: Vec<u8>,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position in the stream, from 1, without gaps.
    pub version: Version,
    /// When the command was decided, by the clock of the service.
    pub time: Timestamp,
    /// Who gave the command.
    pub actor: Actor,
    /// Why, in the words of the one who gave it; may be empty.
    pub reason: String,
    /// What happened, e.g. `PhaseEntered`.
    pub kind: String,
    /// The event, as protobuf bytes.
    pub payload: Vec<u8>,
    /// The W3C `traceparent` of the command, or empty.
    pub traceparent: String,
    /// The hash of the record before; zeros for the first.
    pub previous: Hash,
    /// The hash of this record: over `previous` and everything above.
    pub hash: Hash,
}

impl Record {
    /// Seals a draft as record `version` behind a record with hash `previous`.
    #[must_use]
    pub fn seal(version: Version, previous: Hash, append: &crate::Append, draft: &Draft) -> Self {
        let mut record = Self {
            version,
            time: append.time,
            actor: append.actor.clone(),
            reason: append.reason.clone(),
            kind: draft.kind.clone(),
            payload: draft.payload.clone(),
            traceparent: append.traceparent.clone(),
            previous,
            hash: Hash::default(),
        };
        record.hash = record.expected_hash();
        record
    }

    /// The hash this record must have.
    #[must_use]
    pub fn expected_hash(&self) -> Hash {
        Hash::of(&self.stored_form().body())
    }

    /// The bytes a store keeps.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.stored_form())
    }

    /// Reads the bytes a store kept, and checks the record's own hash.
    ///
    /// # Errors
    /// Says what does not add up.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::StoreError> {
        let corrupt = |what: String| crate::StoreError::Corrupt(what);
        let stored: Stored = prost::Message::decode(bytes)
            .map_err(|error| corrupt(format!("undecodable record: {error}")))?;
        let record = stored.restore().map_err(|error| corrupt(error.to_string()))?;
        if record.hash == record.expected_hash() {
            return Ok(record);
        }
        Err(corrupt(format!("record {} does not match its hash", record.version)))
    }

    fn stored_form(&self) -> Stored {
        Stored {
            version: self.version,
            time_ms: self.time.as_millis(),
            subject: self.actor.subject.clone(),
            roles: self.actor.roles.iter().map(ToString::to_string).collect(),
            authenticated: self.actor.authenticated,
            reason: self.reason.clone(),
            kind: self.kind.clone(),
            payload: self.payload.clone(),
            traceparent: self.traceparent.clone(),
            previous: self.previous.0.to_vec(),
            hash: self.hash.0.to_vec(),
        }
    }
}

/// The storage form. Field numbers are promised: journals are kept for ever.
#[derive(Clone, PartialEq, prost::Message)]
struct Stored {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
    #[prost(string, tag = "3")]
    subject: String,
    #[prost(string, repeated, tag = "4")]
    roles: Vec<String>,
    #[prost(bool, tag = "5")]
    authenticated: bool,
    #[prost(string, tag = "6")]
    reason: String,
    #[prost(string, tag = "7")]
    kind: String,
    #[prost(bytes = "vec", tag = "8")]
    payload: Vec<u8>,
    #[prost(string, tag = "9")]
    traceparent: String,
    #[prost(bytes = "vec", tag = "10")]
    previous: Vec<u8>,
    #[prost(bytes = "vec", tag = "11")]
    hash: Vec<u8>,
}

impl Stored {
    /// The bytes the hash covers: everything but the hash itself.
    fn body(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(&Self { hash: Vec::new(), ..self.clone() })
    }

    fn restore(self) -> Result<Record, Invalid> {
        let hash = |bytes: Vec<u8>| {
            <[u8; 32]>::try_from(bytes)
                .map(Hash)
                .map_err(|_bytes| Invalid::new("a hash that is not 32 bytes long"))
        };
        Ok(Record {
            version: self.version,
            time: Timestamp::from_millis(self.time_ms),
            actor: Actor {
                subject: self.subject,
                roles: self.roles.iter().map(|role| Role::new(role)).collect::<Result<_, _>>()?,
                authenticated: self.authenticated,
            },
            reason: self.reason,
            kind: self.kind,
            payload: self.payload,
            traceparent: self.traceparent,
            previous: hash(self.previous)?,
            hash: hash(self.hash)?,
        })
    }
}
