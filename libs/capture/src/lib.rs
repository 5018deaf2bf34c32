//! Receivers that stand in for the world outside: a Slack-compatible webhook and a mail server.
//!
//! Both listen on a free loopback port, check what arrives as strictly as the real ones do, keep
//! it in memory, and can be told to misbehave.
//!
//! **Invariant:** nothing leaves this process: what is captured is never passed on.

mod inbox;
mod mail;
mod slack;

pub use mail::{Mail, MailAnswer, Message};
pub use slack::{Post, Slack, SlackAnswer};
