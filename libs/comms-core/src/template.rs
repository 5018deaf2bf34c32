//! Texts of messages, per event. Undefined variables are errors, and a subject is one line.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value};
use plan::CommunicationEvent;

/// Subject and body of an event's messages.
const TEMPLATES: [(CommunicationEvent, &str, &str); 2] = [
    (
        CommunicationEvent::PhaseStart,
        "{{ pipeline }}: {{ phase_id }} {{ phase_name }} has started",
        "{{ pipeline }} entered {{ phase_id }} ({{ phase_name }}) at {{ time }}.\n\
         Objective: {{ objective }}\n\
         Audience: {{ audience }}; on by percentage: {{ exposure }}.\n\
         Review: {{ review }}.\n\
         By: {{ actor }}.",
    ),
    (
        CommunicationEvent::Incident,
        "{{ pipeline }}: {{ title }}",
        "{{ title }} at {{ time }}, by {{ actor }}.\n\
         Reason: {{ why }}\n\
         Effect: {{ effect }}",
    ),
];

/// Fields of a message that a template may use.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// Renders subject and body; `None` for events that have no template yet.
pub(crate) fn render(
    event: CommunicationEvent,
    fields: &Fields,
) -> Option<Result<(String, String), String>> {
    let (_, subject, body) = TEMPLATES.iter().find(|(known, ..)| *known == event)?;
    Some(render_texts(subject, body, fields))
}

fn render_texts(subject: &str, body: &str, fields: &Fields) -> Result<(String, String), String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let values = Value::from(fields.iter().cloned().collect::<BTreeMap<_, _>>());
    let rendered = |text: &str| {
        environment.render_str(text, values.clone()).map_err(|error| format!("template: {error}"))
    };
    Ok((one_line(&rendered(subject)?), rendered(body)?))
}

/// Makes a text safe for a header: control characters become spaces, at most 200 characters.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// Renders every template with every field filled in.
///
/// # Errors
/// Names the template that does not render.
pub fn check_templates() -> Result<(), String> {
    let names = [
        "pipeline",
        "phase_id",
        "phase_name",
        "time",
        "objective",
        "audience",
        "exposure",
        "review",
        "actor",
        "title",
        "why",
        "effect",
    ];
    let fields: Fields = names.iter().map(|name| (*name, format!("[{name}]"))).collect();
    TEMPLATES.iter().try_for_each(|(event, subject, body)| {
        render_texts(subject, body, &fields).map(drop).map_err(|why| format!("{event:?}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_renders_and_an_unknown_variable_does_not() {
        assert_eq!(check_templates(), Ok(()));
        assert!(render_texts("{{ nobody }}", "", &Vec::new()).is_err());
    }

    #[test]
    fn values_are_never_templates_and_a_subject_is_one_line() {
        let fields = vec![("title", "{{ 7 * 7 }}\r\nBcc: all@example.com".to_owned())];
        let (subject, _) = render_texts("{{ title }}", "", &fields).unwrap();
        assert_eq!(subject, "{{ 7 * 7 }}  Bcc: all@example.com");
    }
}
