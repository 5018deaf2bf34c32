//! What is known of a workspace besides its id.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// A property of a workspace, or an entry of a flag's metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A finite number.
    Number(f64),
    /// A truth value.
    Truth(bool),
    /// A list or an object: only imported definitions look into it.
    Nested(Json),
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// An attribute as a test sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fact<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// A truth value.
    Truth(bool),
    /// Something else.
    Nested,
}

/// Where attributes are looked up: in [`Attributes`], or in whatever form a question came.
pub trait Facts {
    /// The attribute of that name; `None` where it is absent or null. Allocates nothing.
    fn fact(&self, name: &str) -> Option<Fact<'_>>;

    /// All of them, for imported definitions. Not on the fast path.
    fn document(&self) -> Map<String, Json>;
}

impl Facts for Attributes {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        Some(match self.get(name)? {
            Attribute::Text(text) => Fact::Text(text),
            Attribute::Number(number) => Fact::Number(*number),
            Attribute::Truth(truth) => Fact::Truth(*truth),
            Attribute::Nested(Json::Null) => return None,
            Attribute::Nested(_) => Fact::Nested,
        })
    }

    fn document(&self) -> Map<String, Json> {
        self.iter().map(|(name, value)| (name.clone(), Json::from(value))).collect()
    }
}

impl From<&Attribute> for Json {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Self::String(text.clone()),
            Attribute::Number(number) => number_as_json(*number),
            Attribute::Truth(truth) => Self::Bool(*truth),
            Attribute::Nested(json) => json.clone(),
        }
    }
}

/// A number as JSON, whole ones without a fraction; null where it is not finite.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
pub fn number_as_json(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: beyond it not every whole number is one.
    if number.fract() == 0.0
        && number.abs() < EXACT
        && !(number == 0.0 && number.is_sign_negative())
    {
        return Json::from(number as i64);
    }
    serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number)
}
