//! Several messages that can wait, told as one.

use crate::template::{html_of, one_line};

/// Messages in one digest at most.
pub const DIGEST_MAX: usize = 20;

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Subject, one line.
    pub subject: String,
    /// Text.
    pub body: String,
    /// The same as HTML; empty for channels that do not take it.
    pub html_body: String,
}

/// One text of several, in their order: each under its subject. One alone stays as it is.
#[must_use]
pub fn digest(texts: &[Text]) -> Text {
    if let [alone] = texts {
        return alone.clone();
    }
    let subjects: Vec<_> = texts.iter().map(|text| text.subject.as_str()).collect();
    let subject = one_line(&format!("{} updates: {}", texts.len(), subjects.join("; ")));
    let parts = texts.iter().enumerate().map(|(index, text)| {
        format!("{}. {}\n\n{}", index + 1, text.subject, text.body.trim_end())
    });
    let body = parts.collect::<Vec<_>>().join("\n\n\n");
    let takes_html = texts.iter().any(|text| !text.html_body.is_empty());
    let html_body = if takes_html { html_of(&body) } else { String::new() };
    Text { subject, body, html_body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subject: &str, body: &str, html_body: &str) -> Text {
        let [subject, body, html_body] = [subject, body, html_body].map(str::to_owned);
        Text { subject, body, html_body }
    }

    #[test]
    fn one_alone_is_no_digest() {
        let alone = text("P1: review", "Look at it.", "<p>Look at it.</p>");
        assert_eq!(digest(std::slice::from_ref(&alone)), alone);
    }

    #[test]
    fn each_is_told_under_its_subject_and_nothing_becomes_markup() {
        let together = digest(&[
            text("P1: review", "Look at it.\n", "<p>Look at it.</p>\n"),
            text("Task <b> is due", "Archive & close.", "<p>Archive &amp; close.</p>\n"),
        ]);
        assert_eq!(together.subject, "2 updates: P1: review; Task <b> is due");
        assert_eq!(
            together.body,
            "1. P1: review\n\nLook at it.\n\n\n2. Task <b> is due\n\nArchive & close."
        );
        assert!(together.html_body.contains("<p>2. Task &lt;b&gt; is due</p>"), "{together:?}");
        assert!(together.html_body.contains("<p>Archive &amp; close.</p>"), "{together:?}");
    }

    #[test]
    fn a_channel_without_html_gets_none_and_a_subject_stays_one_line() {
        let many: Vec<_> =
            (0..DIGEST_MAX).map(|n| text(&format!("subject {n}"), "b", "")).collect();
        let together = digest(&many);
        assert_eq!(together.html_body, "");
        assert!(together.subject.starts_with("20 updates: subject 0; subject 1;"));
        assert!(together.subject.chars().count() <= 200);
    }
}
