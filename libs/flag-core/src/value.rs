//! What a flag can be: typed values under a name.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use vocab::excerpt;

use crate::limits::{DEPTH_MAX, VALUE_BYTES_MAX, VARIANTS_MAX};
use crate::problem::{Problem, at_most};

/// A value of a flag.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A truth value.
    Truth(bool),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// An object, or, in an imported definition, a list.
    Nested(Json),
}

/// The type of a flag's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Truth values.
    Boolean,
    /// Texts.
    String,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Objects.
    Object,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Object => "object",
        })
    }
}

impl Value {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> Type {
        match self {
            Self::Truth(_) => Type::Boolean,
            Self::Text(_) => Type::String,
            Self::Integer(_) => Type::Integer,
            Self::Float(_) => Type::Float,
            Self::Nested(_) => Type::Object,
        }
    }

    /// The value as JSON.
    #[must_use]
    pub fn as_json(&self) -> Json {
        match self {
            Self::Truth(truth) => Json::Bool(*truth),
            Self::Text(text) => Json::String(text.clone()),
            Self::Integer(number) => Json::from(*number),
            // A float stays one in JSON: a client that asks for an integer must be told.
            Self::Float(number) => {
                serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number)
            }
            Self::Nested(json) => json.clone(),
        }
    }

    /// Reads a value from JSON; `None` for null.
    #[must_use]
    pub fn of_json(json: &Json) -> Option<Self> {
        Some(match json {
            Json::Null => return None,
            Json::Bool(truth) => Self::Truth(*truth),
            Json::String(text) => Self::Text(text.clone()),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => Self::Float(number.as_f64()?),
            },
            Json::Array(_) | Json::Object(_) => Self::Nested(json.clone()),
        })
    }

    fn check(&self, path: &str) -> Result<(), Problem> {
        let bytes = match self {
            Self::Text(text) => text.len(),
            Self::Float(number) if !number.is_finite() => {
                return Err(Problem::new(path, "is not a finite number"));
            }
            Self::Nested(json) => {
                if depth(json) > DEPTH_MAX {
                    let why = format!("is nested too deeply: expected at most {DEPTH_MAX} levels");
                    return Err(Problem::new(path, why));
                }
                json.to_string().len()
            }
            Self::Truth(_) | Self::Integer(_) | Self::Float(_) => 0,
        };
        at_most(path, "bytes", bytes, VALUE_BYTES_MAX)
    }
}

/// Levels of a JSON value. It was parsed or decoded, both of which bound it.
pub(crate) fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}

/// A value under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The name, e.g. `on`.
    pub name: Box<str>,
    /// The value.
    pub value: Value,
}

/// Position of a variant within its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariantIndex(usize);

/// The variants of a flag: all of one type, one of them for whoever nothing else applies to.
#[derive(Debug, Clone, PartialEq)]
pub struct Variants {
    list: Arc<[Variant]>,
    default: VariantIndex,
    on: Option<VariantIndex>,
    short: bool,
}

impl Default for Variants {
    /// `on` and `off`, those of the short form.
    fn default() -> Self {
        let variant = |name: &str, truth| Variant { name: name.into(), value: Value::Truth(truth) };
        Self {
            list: [variant("on", true), variant("off", false)].into(),
            default: VariantIndex(1),
            on: Some(VariantIndex(0)),
            short: true,
        }
    }
}

impl Variants {
    /// Checks variants. `on`: the one of allowlist and percentage; empty for none.
    ///
    /// # Errors
    /// Names the field, relative to the definition.
    pub fn new(list: Vec<Variant>, default: &str, on: &str) -> Result<Self, Problem> {
        at_most("variants", "variants", list.len(), VARIANTS_MAX)?;
        let Some(first) = list.first() else {
            return Err(Problem::new("variants", "expected at least one"));
        };
        let kind = first.value.kind();
        for (at, variant) in list.iter().enumerate() {
            let path = format!("variants[{at}]");
            check_name(&format!("{path}.name"), &variant.name)?;
            if list[..at].iter().any(|earlier| earlier.name == variant.name) {
                let why = format!("`{}` is there twice", variant.name);
                return Err(Problem::new(format!("{path}.name"), why));
            }
            if variant.value.kind() != kind {
                let why = format!(
                    "is of type {}, and `{}` of type {kind}: all variants have one type",
                    variant.value.kind(),
                    first.name
                );
                return Err(Problem::new(format!("{path}.value"), why));
            }
            if matches!(&variant.value, Value::Nested(json) if !json.is_object()) {
                return Err(Problem::new(format!("{path}.value"), "expected an object"));
            }
            variant.value.check(&format!("{path}.value"))?;
        }
        let default = find(&list, "default_variant", default)?;
        if list[default.0].value == Value::Truth(true) {
            let why = "is true: it is what a kill switch, a pause and the denylist serve, so it \
                       must be a variant that is false";
            return Err(Problem::new("default_variant", why));
        }
        let on = if on.is_empty() { None } else { Some(find(&list, "on_variant", on)?) };
        if on == Some(default) {
            let why = "is the default variant too: the allowlist would change nothing";
            return Err(Problem::new("on_variant", why));
        }
        Ok(Self { list: list.into(), default, on, short: false })
    }

    /// Whether they are those of the short form.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.short
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> &[Variant] {
        &self.list
    }

    /// The variant at a position that these variants gave.
    #[must_use]
    pub fn at(&self, index: VariantIndex) -> &Variant {
        &self.list[index.0]
    }

    /// Finds a variant by name.
    ///
    /// # Errors
    /// Says which there are; `path` names the field.
    pub fn find(&self, path: &str, name: &str) -> Result<VariantIndex, Problem> {
        find(&self.list, path, name)
    }

    /// Whoever nothing else applies to gets this one.
    #[must_use]
    pub const fn default_index(&self) -> VariantIndex {
        self.default
    }

    /// Allowlist and percentage serve this one.
    #[must_use]
    pub const fn on_index(&self) -> Option<VariantIndex> {
        self.on
    }

    /// The type of all of them.
    #[must_use]
    pub fn kind(&self) -> Type {
        self.at(self.default).value.kind()
    }
}

fn find(list: &[Variant], path: &str, name: &str) -> Result<VariantIndex, Problem> {
    list.iter().position(|variant| &*variant.name == name).map(VariantIndex).ok_or_else(|| {
        let names: Vec<_> = list.iter().take(10).map(|variant| &*variant.name).collect();
        let known = names.join(", ");
        Problem::new(path, format!("`{}` is not a variant: there are {known}", excerpt(name)))
    })
}

fn check_name(path: &str, name: &str) -> Result<(), Problem> {
    let well = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if (1..=128).contains(&name.len()) && name.chars().all(well) {
        return Ok(());
    }
    let why = format!(
        "`{}` is not a variant's name: expected 1 to 128 ASCII letters, digits, `_`, `-`, `.`",
        excerpt(name)
    );
    Err(Problem::new(path, why))
}
