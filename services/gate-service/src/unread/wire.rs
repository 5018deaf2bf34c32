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

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field of ours has.
    Other,
}

const NUMBER: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const BYTES: u64 = 2;
const GROUP: u64 = 3;
const FOUR_BYTES: u64 = 5;
const KIND_BITS: u32 = 3;
const GROUP_END: u64 = 4;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to decode Protobuf message: {}", self.0)
    }
}

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message, depth_left: DEPTH_MAX }
    }

    /// The next field's tag and value; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, kind) = self.key()?;
        let value = match kind {
            NUMBER => Value::Number(self.number()?),
            BYTES => Value::Bytes(self.bytes()?),
            other => {
                self.skip(tag, other, self.depth_left)?;
                Value::Other
            }
        };
        Ok(Some((tag, value)))
    }

    /// The fields of a message that is a value of this one.
    #[inline]
    pub(super) fn within(&self, value: Value<'a>) -> Result<Self, Malformed> {
        Ok(Self { rest: value.bytes()?, depth_left: self.depth_left.saturating_sub(1) })
    }

    #[inline]
    fn key(&mut self) -> Result<(u64, u64), Malformed> {
        let key = self.number()?;
        let (tag, kind) = (key >> KIND_BITS, key & ((1 << KIND_BITS) - 1));
        if tag == 0 || key > u64::from(u32::MAX) || kind > FOUR_BYTES {
            return Err(Malformed("invalid key of a field"));
        }
        Ok((tag, kind))
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
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
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
    #[cold]
    fn skip(&mut self, tag: u64, kind: u64, depth_left: u32) -> Result<(), Malformed> {
        let Some(within) = depth_left.checked_sub(1) else {
            return Err(Malformed("recursion limit reached"));
        };
        match kind {
            NUMBER => self.number().map(drop),
            EIGHT_BYTES => self.take(8).map(drop),
            FOUR_BYTES => self.take(4).map(drop),
            BYTES => self.bytes().map(drop),
            GROUP => loop {
                match self.key()? {
                    (end, GROUP_END) if end == tag => break Ok(()),
                    (_, GROUP_END) => break Err(Malformed("unexpected end group tag")),
                    (inner, kind) => self.skip(inner, kind, within)?,
                }
            },
            _ => Err(Malformed("unexpected end group tag")),
        }
    }
}

impl<'a> Value<'a> {
    const UNEXPECTED: Malformed = Malformed("invalid wire type");

    #[inline]
    pub(super) fn number(self) -> Result<u64, Malformed> {
        if let Self::Number(number) = self { Ok(number) } else { Err(Self::UNEXPECTED) }
    }

    #[inline]
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Self::UNEXPECTED) }
    }

    #[inline]
    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_e| Malformed("invalid string value: data is not UTF-8 encoded"))
    }

    /// A number of 32 bits: of a longer one the lower half, as everybody reads it.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "protobuf's own rule for `int32` and enums"
    )]
    pub(super) fn int32(self) -> Result<i32, Malformed> {
        Ok(self.number()? as i32)
    }

    #[inline]
    pub(super) fn int64(self) -> Result<i64, Malformed> {
        Ok(self.number()?.cast_signed())
    }
}
