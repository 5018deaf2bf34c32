//! A plan file as a tree in which every part knows its place.

mod build;

pub(crate) use build::read;

use crate::problem::Place;

/// A value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text, a number, a boolean or nothing; `plain` where it is not in quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// Keys and values, each key once.
    Map(Vec<Entry>),
    /// Reported already; nothing more is said about it.
    Refused,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// What YAML's core schema takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarType {
    Text,
    Integer(i64),
    /// A fraction, or an integer beyond 64 bits.
    Number,
    Boolean(bool),
    Nothing,
}

impl Node {
    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Keys and values; none where this is no map.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items; none where this is no list.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The items of the list under `key`.
    pub(crate) fn list(&self, key: &str) -> &[Self] {
        self.get(key).map_or(&[], Self::items)
    }

    /// The text, where this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match (&self.value, self.scalar_type()) {
            (Value::Scalar { text, .. }, Some(ScalarType::Text)) => Some(text),
            _ => None,
        }
    }

    /// The text under `key`.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The integer, where this is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Some(ScalarType::Integer(integer)) = self.scalar_type() {
            return Some(integer);
        }
        None
    }

    /// The boolean, where this is one.
    pub(crate) fn boolean(&self) -> Option<bool> {
        if let Some(ScalarType::Boolean(boolean)) = self.scalar_type() {
            return Some(boolean);
        }
        None
    }

    /// What kind of scalar this is; `None` where it is none.
    pub(crate) fn scalar_type(&self) -> Option<ScalarType> {
        let Value::Scalar { text, plain } = &self.value else { return None };
        Some(if *plain { resolve(text) } else { ScalarType::Text })
    }

    /// What this is, for a message, e.g. `a list`.
    pub(crate) fn described(&self) -> String {
        match (&self.value, self.scalar_type()) {
            (Value::Scalar { text, .. }, Some(kind)) => {
                let text = vocab::excerpt(text);
                match kind {
                    ScalarType::Text => format!("the text `{text}`"),
                    ScalarType::Integer(_) | ScalarType::Number => format!("the number {text}"),
                    ScalarType::Boolean(_) => format!("the boolean {text}"),
                    ScalarType::Nothing => "nothing".to_owned(),
                }
            }
            (Value::List(_), _) => "a list".to_owned(),
            (Value::Map(_), _) => "a map".to_owned(),
            (Value::Scalar { .. } | Value::Refused, _) => "something else".to_owned(),
        }
    }
}

/// YAML 1.2 core schema, §10.3.2.
fn resolve(text: &str) -> ScalarType {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarType::Nothing,
        "true" | "True" | "TRUE" => return ScalarType::Boolean(true),
        "false" | "False" | "FALSE" => return ScalarType::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => return ScalarType::Number,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || is_prefixed_number(unsigned) {
        return ScalarType::Number;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.contains(|c: char| c.is_ascii_digit())
    {
        return ScalarType::Text;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_or(ScalarType::Number, ScalarType::Integer);
    }
    if text.parse::<f64>().is_ok() { ScalarType::Number } else { ScalarType::Text }
}

/// Octal and hexadecimal: numbers to YAML, too easily misread to be taken for one here.
fn is_prefixed_number(text: &str) -> bool {
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    text.strip_prefix("0x").is_some_and(|digits| all(digits, 16))
        || text.strip_prefix("0o").is_some_and(|digits| all(digits, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_what_yaml_takes_it_for() {
        for text in ["P0", "3d", "-", "-a", "1.2.3", "2024-12-29", "1_000", ".", "yes", "0xg"] {
            assert_eq!(resolve(text), ScalarType::Text, "{text}");
        }
        for text in ["1.0", "1e3", ".5", "-.inf", "0x1F", "0o7", "99999999999999999999"] {
            assert_eq!(resolve(text), ScalarType::Number, "{text}");
        }
        assert_eq!(resolve("-10"), ScalarType::Integer(-10));
        assert_eq!(resolve("True"), ScalarType::Boolean(true));
        assert_eq!(resolve("~"), ScalarType::Nothing);
    }
}
