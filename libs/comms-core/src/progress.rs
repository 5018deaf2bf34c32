//! How far a communication is.

/// One of its messages; what stands in for one counts with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Where it goes.
    pub destination: &'a str,
    /// In which channel.
    pub channel: &'a str,
    /// How far it is.
    pub state: PartState<'a>,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState<'a> {
    /// On its way.
    Pending,
    /// Told, by itself or by what stands in for it.
    Sent,
    /// Not told, and nobody tries any more: the last word.
    Failed(&'a str),
    /// Overtaken.
    Cancelled,
}

/// How far a communication is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// In one word.
    pub verdict: Verdict,
    /// How many messages it has.
    pub messages: usize,
    /// How many were sent.
    pub sent: usize,
    /// Who has not been told and why; empty where it is complete.
    pub detail: String,
}

/// How far a communication is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not everybody has been told, and there is time.
    Pending,
    /// Everybody has been told.
    Complete,
    /// Somebody cannot be told, or time is up.
    Incomplete,
    /// Overtaken.
    Cancelled,
}

const NAMED_MAX: usize = 5; // The rest is counted: a detail is for people.

/// Adds up. `lacking` says who has no message at all and why; `overdue` that the deadline is past.
#[must_use]
pub fn progress(parts: &[Part<'_>], lacking: &[String], overdue: bool) -> Progress {
    let count = |wanted: fn(&PartState<'_>) -> bool| {
        parts.iter().filter(|part| wanted(&part.state)).count()
    };
    let sent = count(|state| matches!(state, PartState::Sent));
    let pending = count(|state| matches!(state, PartState::Pending));
    let failed = count(|state| matches!(state, PartState::Failed(_)));
    let cancelled = count(|state| matches!(state, PartState::Cancelled));
    let verdict = if failed > 0 || !lacking.is_empty() || (parts.is_empty()) {
        Verdict::Incomplete
    } else if pending > 0 {
        if overdue { Verdict::Incomplete } else { Verdict::Pending }
    } else if cancelled == parts.len() {
        Verdict::Cancelled
    } else {
        Verdict::Complete
    };
    let missing = parts.iter().filter_map(|part| match part.state {
        PartState::Failed(why) => Some(format!("{} in {}: {why}", part.destination, part.channel)),
        PartState::Pending => Some(format!("{} in {}: not yet", part.destination, part.channel)),
        PartState::Sent | PartState::Cancelled => None,
    });
    let mut said: Vec<_> = lacking.iter().cloned().chain(missing).collect();
    if parts.is_empty() && lacking.is_empty() {
        said.push("the plan names no channel for it".to_owned());
    }
    let more = said.len().saturating_sub(NAMED_MAX);
    said.truncate(NAMED_MAX);
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    let complete = matches!(verdict, Verdict::Complete | Verdict::Cancelled);
    let detail = if complete { String::new() } else { said.join("; ") };
    Progress { verdict, messages: parts.len(), sent, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: PartState<'_>) -> Part<'_> {
        Part { destination: "#a", channel: "slack", state }
    }

    fn verdict(states: &[PartState<'_>], overdue: bool) -> Verdict {
        progress(&states.iter().copied().map(part).collect::<Vec<_>>(), &[], overdue).verdict
    }

    #[test]
    fn it_is_complete_when_every_message_was_sent_and_not_before() {
        use PartState::{Cancelled, Failed, Pending, Sent};
        assert_eq!(verdict(&[Sent, Sent], true), Verdict::Complete);
        assert_eq!(verdict(&[Sent, Pending], false), Verdict::Pending);
        assert_eq!(verdict(&[Sent, Pending], true), Verdict::Incomplete);
        assert_eq!(verdict(&[Sent, Failed("gone")], false), Verdict::Incomplete);
        assert_eq!(verdict(&[Cancelled, Cancelled], true), Verdict::Cancelled);
    }

    #[test]
    fn with_nobody_to_tell_it_is_never_complete() {
        assert_eq!(verdict(&[], false), Verdict::Incomplete);
        let lacking = ["mail: nobody in the audience has an address".to_owned()];
        let progress = progress(&[part(PartState::Sent)], &lacking, false);
        assert_eq!(progress.verdict, Verdict::Incomplete);
        assert!(progress.detail.contains("nobody"), "{}", progress.detail);
    }
}
