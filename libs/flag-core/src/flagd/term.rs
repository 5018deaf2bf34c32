//! Values while a rule is carried out: JSON, and the numbers that JSON has no word for.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value as Json;

use super::Unanswered;
use crate::limits::LOGIC_DEPTH_MAX;

/// A value. Lists and objects of rule or context are borrowed, made ones are shared.
#[derive(Debug, Clone)]
pub(super) enum Term<'a> {
    Null,
    Truth(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// A list that was made, and how many levels it has.
    List(Rc<[Self]>, usize),
    /// An array or an object, as it stands in rule or context.
    Json(&'a Json),
}

impl<'a> Term<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Truth(*truth),
            Json::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    /// A list that was made. Bounded in depth, since whatever looks into it calls itself.
    pub(super) fn list(items: impl Into<Rc<[Self]>>) -> Result<Self, Unanswered> {
        let items = items.into();
        let level = |item: &Self| if let Self::List(_, depth) = item { *depth } else { 0 };
        let depth = 1 + items.iter().map(level).max().unwrap_or(0);
        if depth > LOGIC_DEPTH_MAX {
            let why = format!("a list of more than {LOGIC_DEPTH_MAX} levels");
            return Err(Unanswered::Failed(why));
        }
        Ok(Self::List(items, depth))
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// How many elements a list has; `None` for what is none.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::List(items, _) => Some(items.len()),
            Self::Json(Json::Array(items)) => Some(items.len()),
            Self::Json(_) | Self::Null | Self::Truth(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// The element of a list at a place.
    pub(super) fn item(&self, at: usize) -> Option<Self> {
        match self {
            Self::List(items, _) => items.get(at).cloned(),
            Self::Json(Json::Array(items)) => items.get(at).map(Self::of),
            Self::Json(_) | Self::Null | Self::Truth(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// The elements of a list; none of what is none.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.length().unwrap_or(0)).filter_map(|at| self.item(at))
    }

    /// The field of an object, or the element of a list, under a name.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Json(Json::Object(fields)) => fields.get(name).map(Self::of),
            Self::List(..) | Self::Json(_) => self.item(name.parse().ok()?),
            Self::Null | Self::Truth(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }
}
