//! The embedded store after a crash at any byte, and after a byte of it has changed.
//!
//! Most rules look at some hundred of all possible places; `tests/long` looks at every one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cut;
mod damage;
mod image;
