//! Pages as HTML. Everything that came with a message is escaped by the templates.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use vocab::Timestamp;

const STYLE: &str = include_str!("templates/style.css");
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names end in `.html`: that is what turns escaping on.
const TEMPLATES: [(&str, &str); 4] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("status.html", include_str!("templates/status.html")),
    ("blog.html", include_str!("templates/blog.html")),
    ("post.html", include_str!("templates/post.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            tracing::error!(name, %error, "a template that cannot be read"); // A test renders all.
        }
    }
    environment
});

/// What the style may be: this text and no other.
pub(super) fn style_hash() -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE.as_bytes())))
}

/// A whole page around what `template` makes of `content`. `feed` is where its feed is.
pub(super) fn page(
    template: &str,
    title: &str,
    feed: &str,
    content: Value,
) -> Result<String, minijinja::Error> {
    let body = ENVIRONMENT.get_template(template)?.render(content)?;
    let layout = ENVIRONMENT.get_template("layout.html")?;
    layout.render(context! {
        title,
        feed,
        style => Value::from_safe_string(STYLE.to_owned()),
        body => Value::from_safe_string(body),
    })
}

/// A part of a path, whatever it is made of.
pub(super) fn in_path(text: &str) -> String {
    // As whole parts these two mean something else.
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, IN_PATH).to_string()
}

/// The paragraphs of a plain text.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let parts = text.split("\n\n").map(|part| part.trim_matches('\n').to_owned());
    parts.filter(|part| !part.trim().is_empty()).collect()
}

/// An instant as people read it, e.g. `2026-11-26 19:00 UTC`.
pub(super) fn readable(time: Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        (None, _) | (_, None) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_stays_one_part_of_it() {
        assert_eq!(in_path("ga-1.2"), "ga-1.2");
        assert_eq!(in_path("../a b?#é"), "..%2Fa%20b%3F%23%C3%A9");
        assert_eq!([in_path("."), in_path("..")], ["%2E", "%2E%2E"]);
    }

    #[test]
    fn a_text_has_paragraphs() {
        assert_eq!(paragraphs("a\nb\r\n\r\nc\n\n\n"), ["a\nb", "c"]);
        assert!(paragraphs(" \n\n ").is_empty());
    }

    #[test]
    fn an_instant_can_be_read() {
        assert_eq!(readable(Timestamp::from_millis(1_795_719_600_123)), "2026-11-26 19:00 UTC");
    }
}
