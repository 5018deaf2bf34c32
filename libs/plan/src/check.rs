//! Compares the tree with the shape of a plan and reports every difference.

use crate::closest::hint;
use crate::node::{Node, ScalarType, Value};
use crate::problem::Problems;
use crate::shape::{Kind, LIST_LENGTH_MAX, Object, TEXT_LENGTH_MAX};

/// Checks `node` to be of `kind`.
pub(crate) fn check(node: &Node, kind: &Kind, path: &str, problems: &mut Problems) {
    if node.value == Value::Refused {
        return;
    }
    match kind {
        Kind::Text => drop(line(node, path, "text", problems)),
        Kind::Word(word) => {
            let Some(text) = line(node, path, "text", problems) else { return };
            if let Err(wrong) = (word.check)(text) {
                problems.error(node.place, path, wrong.0);
            }
        }
        Kind::Integer(min, max) => integer(node, *min, *max, path, problems),
        Kind::Boolean => {
            if node.boolean().is_none() {
                let message = format!("expected true or false, found {}", node.described());
                problems.error(node.place, path, message);
            }
        }
        Kind::OneOf(what, names) => one_of(node, what, &names(), path, problems),
        Kind::List(min, of) => list(node, *min, of, path, problems),
        Kind::Object(shape) => object(node, shape, path, problems),
    }
}

/// A line of text within bounds.
fn line<'n>(node: &'n Node, path: &str, what: &str, problems: &mut Problems) -> Option<&'n str> {
    let Some(text) = node.text() else {
        let quote = match node.scalar_type() {
            None | Some(ScalarType::Nothing) => "",
            Some(_) => ": put it in quotes if text is meant",
        };
        let message = format!("expected {what}, found {}{quote}", node.described());
        problems.error(node.place, path, message);
        return None;
    };
    let length = text.chars().count();
    let message = if text.trim().is_empty() {
        format!("expected {what}, found an empty one")
    } else if length > TEXT_LENGTH_MAX {
        format!("{length} characters are too many: expected at most {TEXT_LENGTH_MAX}")
    } else if text.chars().any(char::is_control) {
        let text = vocab::excerpt(text);
        format!("`{text}` has a control character: expected one line of text")
    } else {
        return Some(text);
    };
    problems.error(node.place, path, message);
    None
}

fn integer(node: &Node, min: i64, max: i64, path: &str, problems: &mut Problems) {
    let message = match node.integer() {
        Some(integer) if (min..=max).contains(&integer) => return,
        Some(integer) => format!("{integer} is out of range: expected {min} to {max}"),
        None => format!("expected a whole number, found {}", node.described()),
    };
    problems.error(node.place, path, message);
}

fn one_of(node: &Node, what: &str, names: &[&str], path: &str, problems: &mut Problems) {
    let Some(text) = line(node, path, what, problems) else { return };
    if !names.contains(&text) {
        let shown = vocab::excerpt(text);
        let hint = hint(text, names.iter().copied());
        let known = names.join(", ");
        let message = format!("unknown {what} `{shown}`: expected one of {known}{hint}");
        problems.error(node.place, path, message);
    }
}

fn list(node: &Node, min: usize, of: &Kind, path: &str, problems: &mut Problems) {
    let Value::List(items) = &node.value else {
        problems.error(node.place, path, format!("expected a list, found {}", node.described()));
        return;
    };
    if items.len() < min {
        problems.error(node.place, path, "the list is empty: expected at least one");
    }
    if items.len() > LIST_LENGTH_MAX {
        let message =
            format!("{} items are too many: expected at most {LIST_LENGTH_MAX}", items.len());
        problems.error(node.place, path, message);
        return;
    }
    for (i, item) in items.iter().enumerate() {
        check(item, of, &format!("{path}[{i}]"), problems);
    }
}

fn object(node: &Node, shape: &Object, path: &str, problems: &mut Problems) {
    let Value::Map(entries) = &node.value else {
        let message = format!("expected a map, found {}", node.described());
        problems.error(node.place, path, message);
        return;
    };
    for entry in entries {
        let path = join(path, &entry.key);
        match shape.field(&entry.key) {
            Some(field) => check(&entry.value, &field.kind, &path, problems),
            None => {
                let key = vocab::excerpt(&entry.key);
                let keys: Vec<_> = shape.fields.iter().map(|field| field.key).collect();
                let hint = hint(&entry.key, keys.iter().copied());
                let message = format!("unknown key `{key}`{hint}");
                problems.error(entry.place, &path, message);
            }
        }
    }
    for field in shape.fields.iter().filter(|field| field.required) {
        if node.get(field.key).is_none() {
            problems.error(node.place, path, format!("`{}` is missing", field.key));
        }
    }
    exactly_one(node, shape, path, problems);
    (shape.also)(node, path, problems);
}

fn exactly_one(node: &Node, shape: &Object, path: &str, problems: &mut Problems) {
    if shape.exactly_one_of.is_empty() {
        return;
    }
    let given: Vec<_> =
        shape.exactly_one_of.iter().copied().filter(|key| node.get(key).is_some()).collect();
    if given.len() != 1 {
        let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        let message =
            format!("expected exactly one of {}, found {found}", shape.exactly_one_of.join(", "));
        problems.error(node.place, path, message);
    }
}

/// The path of `key` under `path`.
fn join(path: &str, key: &str) -> String {
    let key = vocab::excerpt(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
