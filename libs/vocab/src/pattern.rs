//! Globs over workspace ids: `*` only, linear in the input (semantics §3).

use crate::{Invalid, excerpt};

const PATTERN_LENGTH_MAX: usize = 128; // As long as the ids it is matched with.

/// A glob: an exact id, or one with `*` at the start, the end, both ends, or once in the middle.
/// Case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Exact,
    Any,
    Prefix,
    Suffix,
    Contains,
    /// The `*` stands at this byte, with text on both sides.
    Middle(usize),
}

/// What a pattern asks of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts<'a> {
    /// To be this.
    Exact(&'a str),
    /// Nothing.
    Any,
    /// To begin with this.
    Prefix(&'a str),
    /// To end with this.
    Suffix(&'a str),
    /// To have this inside.
    Contains(&'a str),
    /// To begin with the one and end with the other, without overlap.
    Middle(&'a str, &'a str),
}

impl Pattern {
    /// Checks and compiles a glob.
    ///
    /// # Errors
    /// Refuses characters no workspace id has, and stars elsewhere than the forms allow.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:@*".contains(c);
        if text.is_empty() || text.len() > PATTERN_LENGTH_MAX || !text.chars().all(allowed) {
            return Err(Invalid::new(format!(
                "`{}` is not a workspace pattern: expected 1 to {PATTERN_LENGTH_MAX} ASCII \
                 letters, digits, `_`, `-`, `.`, `:`, `@` and `*`",
                excerpt(text)
            )));
        }
        let stars = text.matches('*').count();
        let form = match (stars, text.starts_with('*'), text.ends_with('*')) {
            (0, ..) => Form::Exact,
            (1, true, true) => Form::Any,
            (1, true, false) => Form::Suffix,
            (1, false, true) => Form::Prefix,
            (1, false, false) => Form::Middle(text.find('*').unwrap_or(0)),
            (2, true, true) if text.len() > 2 => Form::Contains,
            _ => {
                return Err(Invalid::new(format!(
                    "`{}` has too many stars: `*` may stand at the start, at the end, at both \
                     ends, or once in the middle",
                    excerpt(text)
                )));
            }
        };
        Ok(Self { text: text.into(), form })
    }

    /// Whether the whole of `id` fits.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        let text = &*self.text;
        match self.form {
            Form::Exact => id == text,
            Form::Any => true,
            Form::Prefix => id.starts_with(&text[..text.len() - 1]),
            Form::Suffix => id.ends_with(&text[1..]),
            Form::Contains => id.contains(&text[1..text.len() - 1]),
            Form::Middle(star) => {
                let (prefix, suffix) = (&text[..star], &text[star + 1..]);
                id.len() >= prefix.len() + suffix.len()
                    && id.starts_with(prefix)
                    && id.ends_with(suffix)
            }
        }
    }

    /// The pattern taken apart.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let text = &*self.text;
        match self.form {
            Form::Exact => Parts::Exact(text),
            Form::Any => Parts::Any,
            Form::Prefix => Parts::Prefix(&text[..text.len() - 1]),
            Form::Suffix => Parts::Suffix(&text[1..]),
            Form::Contains => Parts::Contains(&text[1..text.len() - 1]),
            Form::Middle(star) => Parts::Middle(&text[..star], &text[star + 1..]),
        }
    }

    /// Whether the pattern names exactly one workspace.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self.form, Form::Exact)
    }

    /// The glob as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, id: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(id)
    }

    /// The meaning of a star, written the slow and obvious way.
    fn obviously_matches(pattern: &str, id: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == id,
            Some((before, after)) => id.strip_prefix(before).is_some_and(|rest| {
                (0..=rest.len()).any(|skip| obviously_matches(after, &rest[skip..]))
            }),
        }
    }

    #[test]
    fn the_forms_of_the_plan_match_what_they_say() {
        assert!(matches("enterprise-*", "enterprise-acme"));
        assert!(!matches("enterprise-*", "Enterprise-acme"));
        assert!(matches("*-test", "eu-test"));
        assert!(matches("eu-*-prod", "eu-1-prod"));
        assert!(!matches("eu-*-prod", "eu-prod"));
        assert!(matches("*beta*", "a-beta-b"));
        assert!(matches("canary-ws-1", "canary-ws-1"));
        assert!(!matches("canary-ws-1", "canary-ws-10"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn a_glob_bomb_is_refused_at_the_door() {
        for bad in ["a*b*c", "**", "*a*b", "", "a b", "é*", "[a-z]", "{x}", &"a".repeat(129)] {
            assert!(Pattern::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_obvious_definition(
            pattern in "[ab]{0,3}\\*?[ab]{0,3}|\\*[ab]{1,3}\\*", id in "[ab]{0,7}"
        ) {
            if let Ok(compiled) = Pattern::new(&pattern) {
                prop_assert_eq!(compiled.matches(&id), obviously_matches(&pattern, &id));
            }
        }
    }
}
