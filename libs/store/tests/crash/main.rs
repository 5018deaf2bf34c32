//! The embedded store after a crash at any byte, and after a byte of it has changed.
//!
//! Rules look at some of all possible places; `tests/long crash` looks at more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cut;
mod damage;
mod full;
mod image;
