//! A message in Slack's own markup.

/// Slack cuts a text off here without a word.
const LENGTH_MAX: usize = 40_000;
const SHORTENED: &str = "\n… (shortened: the whole is in the record of messages)";

/// Subject and body as one text, escaped: nothing in it can mention anybody or hide a link. A text
/// that is too long is shortened, and says so.
pub(super) fn written(subject: &str, body: &str) -> String {
    let room = LENGTH_MAX - SHORTENED.chars().count();
    let mut text = String::new();
    let mut length = 0;
    let mut room_end = 0; // What stays if it has to be shortened.
    for c in "*".chars().chain(subject.chars()).chain("*\n".chars()).chain(body.chars()) {
        length += push_escaped(&mut text, c);
        if length <= room {
            room_end = text.len();
        }
        if length > LENGTH_MAX {
            text.truncate(room_end);
            text.push_str(SHORTENED);
            break;
        }
    }
    text
}

/// Adds a character, and returns how many it has become.
fn push_escaped(text: &mut String, c: char) -> usize {
    let escaped = match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        plain => {
            text.push(plain);
            return 1;
        }
    };
    text.push_str(escaped);
    escaped.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_mention_everybody_or_hide_a_link() {
        assert_eq!(
            written("<!channel> & co", "<@U1> <https://evil.example|here>"),
            "*&lt;!channel&gt; &amp; co*\n&lt;@U1&gt; &lt;https://evil.example|here&gt;"
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_shortened_and_says_so() {
        let fits = "é".repeat(LENGTH_MAX - 4);
        assert_eq!(written("s", &fits).chars().count(), LENGTH_MAX);
        assert!(!written("s", &fits).ends_with(SHORTENED));
        for c in ["é", "&"] {
            let text = written("s", &c.repeat(LENGTH_MAX));
            assert!(text.ends_with(SHORTENED) && text.chars().count() <= LENGTH_MAX);
            let kept = text.trim_end_matches(SHORTENED);
            assert!(kept.ends_with('é') || kept.ends_with("&amp;"), "cut within a character");
        }
    }
}
