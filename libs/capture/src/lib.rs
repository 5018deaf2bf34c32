//! Receivers that stand in for the world outside: Slack's webhooks and Web API, a mail server, a
//! Statuspage-compatible API.
//!
//! All listen on a free loopback port, check what arrives as strictly as the real ones do, keep
//! it in memory, and can be told to misbehave.
//!
//! **Invariant:** nothing leaves this process: what is captured is never passed on.

mod inbox;
mod mail;
mod slack;
mod slack_api;
mod status_page;

pub use mail::{Mail, MailAnswer, Message};
pub use slack::{Post, Slack, SlackAnswer};
pub use slack_api::{ApiAnswer, ChannelMessage, SlackApi, TOKEN};
pub use status_page::{StatusPage, StatusPageAnswer};
