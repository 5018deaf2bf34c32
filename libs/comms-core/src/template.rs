//! Texts of messages. Undefined variables are errors, a subject is one line, a text has a bound, and
//! values are never templates.

mod defaults;

use std::collections::BTreeMap;
use std::io::{Error, Write};

use minijinja::{Environment, UndefinedBehavior, Value};
use plan::{ChannelKind, CommunicationEvent, Message, Plan};
use sha2::{Digest as _, Sha256};

use crate::template::defaults::text_of;

/// No message is longer: mail servers, Slack and people have bounds of their own.
pub const BODY_BYTES_MAX: usize = 32 * 1_024;
const STEPS_MAX: u64 = 50_000; // A template that loops ends.
const SUBJECT_LENGTH_MAX: usize = 200;

/// Fields of a message that a template may use.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// The names of all fields; one that an event does not give is empty.
pub(crate) const FIELDS: [&str; 30] = [
    "pipeline",
    "plan_title",
    "rollout",
    "flag",
    "actor",
    "time",
    "phase_id",
    "phase_name",
    "objective",
    "audience",
    "review",
    "minimum_duration",
    "gate",
    "attendees",
    "exposure",
    "verb",
    "title",
    "why",
    "effect",
    "status",
    "from_phase",
    "to_phase",
    "concern",
    "action",
    "task",
    "section",
    "change",
    "number",
    "start_time",
    "end_time",
];

/// A text, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) html: String,
    pub(crate) digest: String,
}

/// Renders the text of a message for a kind of channel: the plan's own where it has one.
pub(crate) fn render(
    plan: &Plan,
    message: &Message,
    kind: ChannelKind,
    fields: &Fields,
) -> Result<Rendered, String> {
    let own = plan.communication.templates.iter().filter(|one| one.message == message.id);
    // One for this kind beats one for all.
    let own = own.filter(|one| one.kind.is_none_or(|wanted| wanted == kind));
    let own = own.max_by_key(|one| one.kind.is_some());
    let (subject, body) = match own {
        Some(own) => (own.subject.clone(), own.body.join("\n")),
        None => {
            let (subject, body) = text_of(message.event, kind);
            (subject.to_owned(), body.to_owned())
        }
    };
    render_texts(&subject, &body, kind, fields)
}

fn render_texts(
    subject: &str,
    body: &str,
    kind: ChannelKind,
    fields: &Fields,
) -> Result<Rendered, String> {
    let mut environment = Environment::empty(); // No function, no loop without end.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS_MAX));
    let values = Value::from(fields.clone());
    let rendered = |text: &str| {
        let mut bounded = Bounded(Vec::new());
        let template = environment.template_from_str(text).map_err(|e| format!("template: {e}"))?;
        template
            .render_captured_to(values.clone(), &mut bounded)
            .map_err(|error| format!("template: {error}"))?;
        String::from_utf8(bounded.0).map_err(|error| format!("template: {error}"))
    };
    let template = format!("{subject}\0{body}");
    let subject = one_line(&rendered(&subject.replace('\n', " "))?);
    let text = rendered(body)?;
    let html = match kind {
        ChannelKind::Mail | ChannelKind::Meeting | ChannelKind::Blog | ChannelKind::StatusPage => {
            html_of(&text)
        }
        ChannelKind::Slack | ChannelKind::Banner | ChannelKind::Webhook => String::new(),
    };
    let digest = Sha256::digest(format!("{}\0{template}", kind.name()));
    let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(Rendered { subject, body: text, html, digest })
}

/// Refuses more than a message may hold.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.0.len() + bytes.len() > BODY_BYTES_MAX {
            return Err(Error::other(format!("longer than {BODY_BYTES_MAX} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Makes a text safe for a header: control characters become spaces, at most 200 characters.
#[must_use]
pub fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(SUBJECT_LENGTH_MAX).collect()
}

/// A text as HTML: a paragraph for each block of lines, with everything that could be markup escaped.
#[must_use]
pub fn html_of(text: &str) -> String {
    let paragraphs = text.replace("\r\n", "\n");
    let blocks = paragraphs.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    blocks.map(|block| format!("<p>{}</p>\n", escape(block).replace('\n', "<br>\n"))).collect()
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => safe.push(' '),
            c => safe.push(c),
        }
        safe
    })
}

/// Renders everything a plan can send, with every field filled in.
///
/// # Errors
/// Names the messages that do not render, and why.
pub fn check_plan(plan: &Plan) -> Result<(), String> {
    let fields = FIELDS.iter().map(|name| (*name, format!("[{name}]"))).collect();
    let mut wrong = Vec::new();
    for message in &plan.communication.messages {
        let channels = plan.communication.channels.iter();
        for channel in channels.filter(|one| message.channels.contains(&one.id)) {
            if let Err(why) = render(plan, message, channel.kind, &fields) {
                wrong.push(format!("{} in {}: {why}", message.id, channel.id));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Renders every text that comes with Softlaunch, with every field filled in.
///
/// # Errors
/// Names the text that does not render.
pub fn check_templates() -> Result<(), String> {
    let fields: Fields = FIELDS.iter().map(|name| (*name, format!("[{name}]"))).collect();
    for (_, event) in CommunicationEvent::ALL {
        for (_, kind) in ChannelKind::ALL {
            let (subject, body) = text_of(*event, *kind);
            render_texts(subject, body, *kind, &fields)
                .map_err(|why| format!("{} for {}: {why}", event.name(), kind.name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(subject: &str, body: &str, title: &str) -> Result<Rendered, String> {
        let fields = [("title", title.to_owned())].into();
        render_texts(subject, body, ChannelKind::Mail, &fields)
    }

    #[test]
    fn every_template_renders_and_an_unknown_variable_does_not() {
        assert_eq!(check_templates(), Ok(()));
        assert!(rendered("{{ nobody }}", "", "").is_err());
    }

    #[test]
    fn values_are_never_templates_and_a_subject_is_one_line() {
        let made = rendered("{{ title }}", "", "{{ 7 * 7 }}\r\nBcc: all@example.com").unwrap();
        assert_eq!(made.subject, "{{ 7 * 7 }}  Bcc: all@example.com");
    }

    #[test]
    fn a_value_is_no_markup() {
        let made = rendered("", "{{ title }}", "<script>\u{7}&\"").unwrap();
        assert_eq!(made.html, "<p>&lt;script&gt; &amp;&quot;</p>\n");
    }

    #[test]
    fn an_enormous_body_is_refused() {
        let why = rendered("", "{{ title }}", &"x".repeat(BODY_BYTES_MAX + 1)).unwrap_err();
        assert!(why.contains("template"), "{why}");
        let loops =
            "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}";
        assert!(rendered("", loops, "").is_err(), "a loop ends");
    }

    #[test]
    fn a_plan_with_a_template_that_does_not_render_is_told_so() {
        let source = plan::SHIPPED
            .replace("subject: A faster way to import your data", "subject: \"{{ mistake }}\"");
        let plan = Plan::parse(&source).unwrap().0;
        assert!(check_plan(&plan).unwrap_err().contains("beta-announcement in in-app-banner"));
    }
}
