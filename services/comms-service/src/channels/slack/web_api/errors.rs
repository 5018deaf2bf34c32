//! What Slack's words mean for a message.

use std::time::Duration;

use comms_core::AttemptOutcome;
use reqwest::StatusCode;

use crate::channels::Answer;
use crate::channels::http::Said;

/// Not done, and it passes.
const TRANSIENT: [&str; 8] = [
    "accesslimited",
    "message_limit_exceeded",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "team_quota_exceeded",
];
/// "It's possible some aspect of the operation succeeded before the error was raised."
const UNKNOWN: [&str; 2] = ["fatal_error", "internal_error"];
/// What was to be replaced is not there any more, or cannot be changed.
const GONE: [&str; 3] = ["cant_update_message", "edit_window_closed", "message_not_found"];
const ARCHIVED_ALREADY: &str = "already_archived";

/// Any other word says that it was not done and why: for good, until somebody mends it.
pub(super) fn of_word(word: &str, retry_after: Option<Duration>) -> Answer {
    let outcome = if TRANSIENT.contains(&word) {
        AttemptOutcome::Transient { retry_after }
    } else if UNKNOWN.contains(&word) {
        AttemptOutcome::Unknown
    } else {
        AttemptOutcome::Permanent
    };
    Answer::new(outcome, if word.is_empty() { "refused without a reason" } else { word })
}

pub(super) fn of_status(said: &Said) -> Answer {
    if said.status == StatusCode::TOO_MANY_REQUESTS
        || said.status == StatusCode::REQUEST_TIMEOUT
        || said.status == StatusCode::SERVICE_UNAVAILABLE
    {
        said.transient()
    } else if said.status.is_server_error() {
        said.unknown()
    } else {
        said.permanent()
    }
}

pub(super) fn is_gone(detail: &str) -> bool {
    GONE.contains(&detail)
}

pub(super) fn is_archived_already(detail: &str) -> bool {
    detail == ARCHIVED_ALREADY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_for_good_unless_slack_says_that_it_passes_or_may_have_been_done() {
        let retry_after = Some(Duration::from_secs(30));
        let outcome = |word| of_word(word, retry_after).outcome;
        for word in ["ratelimited", "service_unavailable", "request_timeout"] {
            assert_eq!(outcome(word), AttemptOutcome::Transient { retry_after }, "{word}");
        }
        for word in ["internal_error", "fatal_error"] {
            assert_eq!(outcome(word), AttemptOutcome::Unknown, "{word}");
        }
        for word in [
            "account_inactive",
            "as_user_not_supported",
            "channel_not_found",
            "ekm_access_denied",
            "invalid_arguments",
            "invalid_auth",
            "invalid_blocks",
            "is_archived",
            "missing_scope",
            "msg_too_long",
            "no_permission",
            "no_text",
            "not_authed",
            "not_in_channel",
            "restricted_action",
            "token_expired",
            "token_revoked",
            "too_many_attachments",
            "",
        ] {
            assert_eq!(outcome(word), AttemptOutcome::Permanent, "{word}");
        }
    }
}
