//! Whom is asked for.

use flag_core::limits::ATTRIBUTES_MAX;
use flag_core::{Attribute, Attributes};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use vocab::{Invalid, WorkspaceId};

/// A workspace and what is known of it: what OpenFeature calls the evaluation context.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    targeting_key: WorkspaceId,
    attributes: Attributes,
}

impl Context {
    /// A workspace of which nothing else is known. Its id is the targeting key.
    #[must_use]
    pub const fn new(workspace: WorkspaceId) -> Self {
        Self { targeting_key: workspace, attributes: Attributes::new() }
    }

    /// The same, with one more attribute, e.g. `tier`; one of the same name is replaced.
    ///
    /// # Errors
    /// Refuses what the service would: a name that is empty or longer than 128 bytes, a text longer
    /// than 1,024, a number that is not finite, anything nested, more than 64 attributes.
    pub fn with(mut self, name: &str, value: Attribute) -> Result<Self, Invalid> {
        let wire = Struct { fields: [(name.to_owned(), wire_value(&value))].into() };
        let checked = flag_wire::attributes("attributes", Some(&wire));
        checked.map_err(|problem| Invalid::new(problem.to_string()))?;
        self.attributes.insert(name.to_owned(), value);
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err(Invalid::new(format!(
                "attributes: one more is too many: expected at most {ATTRIBUTES_MAX}"
            )));
        }
        Ok(self)
    }

    /// The workspace.
    #[must_use]
    pub const fn targeting_key(&self) -> &WorkspaceId {
        &self.targeting_key
    }

    /// What else is known of it.
    #[must_use]
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub(super) fn wire_attributes(&self) -> Option<Struct> {
        let fields = self.attributes.iter().map(|(name, value)| (name.clone(), wire_value(value)));
        (!self.attributes.is_empty()).then(|| Struct { fields: fields.collect() })
    }
}

fn wire_value(value: &Attribute) -> Value {
    let kind = match value {
        Attribute::Text(text) => Kind::StringValue(text.clone()),
        Attribute::Number(number) => Kind::NumberValue(*number),
        Attribute::Truth(truth) => Kind::BoolValue(*truth),
        Attribute::Nested(json) => return flag_wire::value_of(json),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::new(WorkspaceId::new("ws-1").unwrap())
    }

    #[test]
    fn what_the_service_would_refuse_is_refused_here() {
        let text = |length: usize| Attribute::Text("x".repeat(length));
        assert!(context().with("tier", text(1_024)).is_ok());
        let refused = [
            ("", text(1)),
            ("tier", text(1_025)),
            ("uploads", Attribute::Number(f64::NAN)),
            (&"n".repeat(129), Attribute::Truth(true)),
        ];
        for (name, value) in refused {
            assert!(context().with(name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn there_are_64_attributes_at_most_and_one_can_be_replaced() {
        let mut full = context();
        for n in 0..ATTRIBUTES_MAX {
            full = full.with(&format!("a{n}"), Attribute::Truth(true)).unwrap();
        }
        assert!(full.clone().with("a0", Attribute::Truth(false)).is_ok());
        assert!(full.with("more", Attribute::Truth(true)).is_err());
    }
}
