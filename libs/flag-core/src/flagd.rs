//! Definitions in flagd's own words: read, evaluated as flagd does, and written.
//!
//! The rules are JsonLogic as its JavaScript reference has it, with flagd's operators besides. Every
//! evaluation has a number of steps it may take, so that no rule costs more than a bound.

mod bundle;
mod cbor;
mod coerce;
mod export;
mod fractional;
mod logic;
mod operator;
mod run;
mod term;

use serde_json::{Map, Value as Json, json};
use vocab::excerpt;

pub use bundle::bundle;
pub use export::{Effect, document, export};

use crate::context::{Attribute, Attributes, Facts};
use crate::evaluate::{Evaluation, Question, Reason};
use crate::limits::{ATTRIBUTES_MAX, FLAGD_BYTES_MAX, VARIANTS_MAX};
use crate::problem::{Problem, at_most};
use crate::value::{Value, Variant};
use logic::Logic;

/// A flag as flagd defines it.
#[derive(Debug, Clone)]
pub struct Imported {
    source: Json,
    enabled: bool,
    variants: Vec<Variant>,
    default: Option<usize>,
    off: Option<usize>,
    targeting: Option<Logic>,
    metadata: Attributes,
}

/// Why an imported definition has no answer: the caller's own value holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The targeting says something that is not a variant.
    #[error("targeting says `{0}`, which is not a variant")]
    NoVariant(String),
    /// The targeting cannot be carried out.
    #[error("targeting cannot be evaluated: {0}")]
    Failed(String),
    /// It would take more steps than anybody may have.
    #[error("targeting takes more than {} steps", crate::limits::LOGIC_STEPS_MAX)]
    TooExpensive,
}

impl PartialEq for Imported {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source // Everything else follows from it.
    }
}

impl Imported {
    /// Reads the definition of one flag.
    ///
    /// # Errors
    /// Names the field, relative to the definition.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        at_most("", "bytes", text.len(), FLAGD_BYTES_MAX)?;
        let source: Json = serde_json::from_str(text)
            .map_err(|error| Problem::new("", format!("is not JSON: {error}")))?;
        Self::of(source)
    }

    /// Reads the definition of one flag.
    ///
    /// # Errors
    /// As [`Imported::parse`].
    pub fn of(source: Json) -> Result<Self, Problem> {
        const FIELDS: [&str; 5] = ["state", "variants", "defaultVariant", "targeting", "metadata"];
        let Json::Object(fields) = &source else {
            return Err(Problem::new("", "expected an object with `state` and `variants`"));
        };
        if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            let why =
                format!("`{}` is not a field: there are {}", excerpt(unknown), FIELDS.join(", "));
            return Err(Problem::new("", why));
        }
        let enabled = match fields.get("state").and_then(Json::as_str) {
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            Some(_) | None => {
                return Err(Problem::new("state", "expected \"ENABLED\" or \"DISABLED\""));
            }
        };
        let variants = read_variants(fields.get("variants"))?;
        let default = read_default(fields.get("defaultVariant"), &variants)?;
        let targeting = match fields.get("targeting") {
            None | Some(Json::Null) => None,
            Some(Json::Object(empty)) if empty.is_empty() => None,
            Some(rule @ Json::Object(_)) => {
                Some(Logic::compile(rule).map_err(|problem| problem.within("targeting"))?)
            }
            Some(_) => return Err(Problem::new("targeting", "expected an object")),
        };
        let metadata = read_metadata(fields.get("metadata"))?;
        let off = off(&variants, default);
        Ok(Self { enabled, variants, default, off, targeting, metadata, source })
    }

    /// The definition as it was given.
    #[must_use]
    pub const fn source(&self) -> &Json {
        &self.source
    }

    /// What clients are told of the flag.
    #[must_use]
    pub const fn metadata(&self) -> &Attributes {
        &self.metadata
    }

    /// Its variants, by name.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// Whether it is switched off: then every caller's own value holds.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        !self.enabled
    }

    /// Whether everybody gets what a kill switch would serve.
    #[must_use]
    pub fn exposes_nobody(&self) -> bool {
        !self.enabled || (self.targeting.is_none() && self.default == self.off)
    }

    /// What a kill switch and a pause serve: the default variant, or, of a boolean flag, one that
    /// is false; nothing where there is none.
    #[must_use]
    pub fn off(&self, reason: Reason) -> Evaluation<'_> {
        let variant = self.off.and_then(|at| self.variants.get(at));
        Evaluation { enabled: false, reason, variant }
    }

    /// What a definition that is switched off serves: the caller's own value holds.
    pub(crate) const fn nothing(&self) -> Evaluation<'_> {
        Evaluation { enabled: false, reason: Reason::Disabled, variant: None }
    }

    /// Evaluates it as flagd does, where it is not switched off.
    pub(crate) fn evaluate<F: Facts + ?Sized>(
        &self,
        flag: &str,
        question: &Question<'_, F>,
    ) -> Result<Evaluation<'_>, Unanswered> {
        let Some(targeting) = &self.targeting else {
            let reason = if self.default.is_some() { Reason::Static } else { Reason::Default };
            return Ok(self.answer(reason, self.default));
        };
        let context = context(flag, question);
        match targeting.variant(&context)? {
            None => Ok(self.answer(Reason::Default, self.default)),
            Some(name) => {
                let found = self.variants.iter().position(|variant| *variant.name == *name);
                let at = found.ok_or_else(|| Unanswered::NoVariant(excerpt(&name)))?;
                Ok(self.answer(Reason::Targeted, Some(at)))
            }
        }
    }

    fn answer(&self, reason: Reason, at: Option<usize>) -> Evaluation<'_> {
        let variant = at.and_then(|at| self.variants.get(at));
        let enabled = match variant.map(|variant| &variant.value) {
            None => false,
            Some(Value::Truth(truth)) => *truth,
            Some(_) => at != self.default,
        };
        Evaluation { enabled, reason, variant }
    }
}

/// What the rules see: attributes, the key, and what flagd adds.
fn context<F: Facts + ?Sized>(flag: &str, question: &Question<'_, F>) -> Json {
    let mut context = question.facts.document();
    let key = question.key.map_or(Json::Null, |key| Json::String(key.to_owned()));
    context.insert("targetingKey".to_owned(), key);
    let about = json!({ "flagKey": flag, "timestamp": question.now.as_seconds() });
    context.insert("$flagd".to_owned(), about);
    Json::Object(context)
}

fn read_variants(json: Option<&Json>) -> Result<Vec<Variant>, Problem> {
    let variants = json.and_then(Json::as_object).filter(|variants| !variants.is_empty());
    let variants = variants
        .ok_or_else(|| Problem::new("variants", "expected an object with at least one variant"))?;
    at_most("variants", "variants", variants.len(), VARIANTS_MAX)?;
    let read = variants.iter().map(|(name, json)| {
        let value = Value::of_json(json).ok_or_else(|| {
            Problem::new(format!("variants.{}", excerpt(name)), "is null: expected a value")
        })?;
        Ok(Variant { name: name.as_str().into(), value })
    });
    read.collect()
}

fn read_default(json: Option<&Json>, variants: &[Variant]) -> Result<Option<usize>, Problem> {
    let name = match json {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(name)) if name.is_empty() => return Ok(None),
        Some(Json::String(name)) => name.clone(),
        Some(Json::Bool(truth)) => truth.to_string(),
        Some(_) => return Err(Problem::new("defaultVariant", "expected the name of a variant")),
    };
    let found = variants.iter().position(|variant| *variant.name == *name);
    found.map(Some).ok_or_else(|| {
        Problem::new("defaultVariant", format!("`{}` is not a variant", excerpt(&name)))
    })
}

fn off(variants: &[Variant], default: Option<usize>) -> Option<usize> {
    let is =
        |at: usize, truth| variants.get(at).is_some_and(|one| one.value == Value::Truth(truth));
    if !variants.iter().any(|variant| matches!(variant.value, Value::Truth(_))) {
        return default;
    }
    default.filter(|at| is(*at, false)).or_else(|| (0..variants.len()).find(|at| is(*at, false)))
}

/// Reads metadata: texts, numbers and truth values by name.
fn read_metadata(json: Option<&Json>) -> Result<Attributes, Problem> {
    let empty = Map::new();
    let fields = match json {
        None | Some(Json::Null) => &empty,
        Some(Json::Object(fields)) => fields,
        Some(_) => return Err(Problem::new("metadata", "expected an object")),
    };
    at_most("metadata", "entries", fields.len(), ATTRIBUTES_MAX)?;
    let read = fields.iter().map(|(name, json)| {
        let value = match json {
            Json::String(text) => Some(Attribute::Text(text.clone())),
            Json::Bool(truth) => Some(Attribute::Truth(*truth)),
            Json::Number(number) => number.as_f64().map(Attribute::Number),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        };
        let path = format!("metadata.{}", excerpt(name));
        let value = value
            .filter(|_| !name.is_empty())
            .ok_or_else(|| Problem::new(path, "expected a text, a number or a truth value"))?;
        Ok((name.clone(), value))
    });
    read.collect()
}
