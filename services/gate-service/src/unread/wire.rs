//! Protobuf's wire format, read where it lies: what prost takes is taken, what it refuses is
//! refused.

/// Groups within messages, deeper than which nobody reads: as prost has it.
const DEPTH_MAX: u32 = 100;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

/// What of a message is still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    depth_left: u32,
}

const NUMBER: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const BYTES: u64 = 2;
const GROUP: u64 = 3;
const GROUP_END: u64 = 4;
const FOUR_BYTES: u64 = 5;
const KIND_BITS: u32 = 3;

/// The key of a field that is a number.
pub(super) const fn number(tag: u64) -> u64 {
    tag << KIND_BITS | NUMBER
}

/// The key of a field that is a text or a message.
pub(super) const fn bytes(tag: u64) -> u64 {
    tag << KIND_BITS | BYTES
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to decode Protobuf message: {}", self.0)
    }
}

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message, depth_left: DEPTH_MAX }
    }

    /// The key of the next field, whose value is to be taken; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<u64>, Malformed> {
        if self.rest.is_empty() { Ok(None) } else { self.key().map(Some) }
    }

    /// Passes over a field that is not one of those up to `known`.
    #[cold]
    pub(super) fn pass(&mut self, key: u64, known: u64) -> Result<(), Malformed> {
        if key >> KIND_BITS <= known {
            return Err(Malformed("invalid wire type"));
        }
        self.skip(key, self.depth_left)
    }

    /// The fields of a message within this one.
    #[inline]
    pub(super) fn message(&mut self) -> Result<Self, Malformed> {
        Ok(Self { rest: self.bytes()?, depth_left: self.depth_left.saturating_sub(1) })
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_e| Malformed("invalid string value: data is not UTF-8 encoded"))
    }

    /// A number of 32 bits: of a longer one the lower half, as everybody reads it.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "protobuf's own rule for `int32` and enums"
    )]
    pub(super) fn int32(&mut self) -> Result<i32, Malformed> {
        Ok(self.number()? as i32)
    }

    #[inline]
    pub(super) fn int64(&mut self) -> Result<i64, Malformed> {
        Ok(self.number()?.cast_signed())
    }

    #[inline]
    fn key(&mut self) -> Result<u64, Malformed> {
        let key = self.number()?;
        let (tag, kind) = (key >> KIND_BITS, key & ((1 << KIND_BITS) - 1));
        if tag == 0 || key > u64::from(u32::MAX) || kind > FOUR_BYTES {
            return Err(Malformed("invalid key of a field"));
        }
        Ok(key)
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, Malformed> {
        const INVALID: Malformed = Malformed("invalid varint");
        const LAST: usize = 9; // Its one bit is the 64th.
        let mut number = 0;
        for (place, byte) in self.rest.iter().take(LAST + 1).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                if place == LAST && *byte > 1 {
                    return Err(INVALID);
                }
                self.rest = &self.rest[place + 1..];
                return Ok(number);
            }
        }
        Err(INVALID)
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(length)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let taken = self.rest.split_at_checked(length);
        let (taken, rest) = taken.ok_or(Malformed("buffer underflow"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over a value that nobody wants.
    fn skip(&mut self, key: u64, depth_left: u32) -> Result<(), Malformed> {
        let Some(within) = depth_left.checked_sub(1) else {
            return Err(Malformed("recursion limit reached"));
        };
        match key & ((1 << KIND_BITS) - 1) {
            NUMBER => self.number().map(drop),
            EIGHT_BYTES => self.take(8).map(drop),
            FOUR_BYTES => self.take(4).map(drop),
            BYTES => self.bytes().map(drop),
            GROUP => loop {
                let inner = self.key()?;
                if inner & ((1 << KIND_BITS) - 1) != GROUP_END {
                    self.skip(inner, within)?;
                } else if inner >> KIND_BITS == key >> KIND_BITS {
                    break Ok(());
                } else {
                    break Err(Malformed("unexpected end group tag"));
                }
            },
            _ => Err(Malformed("unexpected end group tag")),
        }
    }
}
