//! Lists of globs over workspace ids, found in a time that does not grow with the list.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use vocab::{Parts, Pattern};

use crate::limits::{GLOBS_MAX, LISTED_MAX};
use crate::problem::{Problem, at_most};

/// A list of globs. Exact ids are found by hashing, and so are prefixes and suffixes, once for each
/// length there is; only globs with text on both sides or inside are looked at one by one.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    listed: Vec<Pattern>,
    exact: Texts,
    any: bool,
    prefixes: ByLength,
    suffixes: ByLength,
    others: Vec<Pattern>,
}

/// Texts of equal length together.
type ByLength = Vec<(usize, Texts)>;

/// Whoever asks cannot choose what is in it, so that a fast hash is safe.
type Texts = HashSet<Box<str>, RandomState>;

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.listed == other.listed // Everything else follows from it.
    }
}

impl Patterns {
    /// Compiles a list.
    ///
    /// # Errors
    /// Refuses more than [`LISTED_MAX`] patterns, or more than [`GLOBS_MAX`] with a star.
    pub fn new(listed: Vec<Pattern>) -> Result<Self, Problem> {
        at_most("", "patterns", listed.len(), LISTED_MAX)?;
        let globs = listed.iter().filter(|pattern| !pattern.is_exact()).count();
        at_most("", "patterns with a `*`", globs, GLOBS_MAX)?;
        let mut patterns = Self::default();
        for pattern in &listed {
            match pattern.parts() {
                Parts::Exact(text) => {
                    patterns.exact.insert(text.into());
                }
                Parts::Any => patterns.any = true,
                Parts::Prefix(text) => insert(&mut patterns.prefixes, text),
                Parts::Suffix(text) => insert(&mut patterns.suffixes, text),
                Parts::Contains(_) | Parts::Middle(..) => patterns.others.push(pattern.clone()),
            }
        }
        Ok(Self { listed, ..patterns })
    }

    /// Whether any pattern matches.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        if self.listed.is_empty() {
            return false;
        }
        self.any
            || self.exact.contains(id)
            || self
                .prefixes
                .iter()
                .any(|(length, texts)| id.get(..*length).is_some_and(|start| texts.contains(start)))
            || self.suffixes.iter().any(|(length, texts)| {
                let start = id.len().checked_sub(*length).and_then(|at| id.get(at..));
                start.is_some_and(|end| texts.contains(end))
            })
            || self.others.iter().any(|glob| glob.matches(id))
    }

    /// The patterns as listed.
    #[must_use]
    pub fn listed(&self) -> &[Pattern] {
        &self.listed
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

fn insert(texts: &mut ByLength, text: &str) {
    match texts.iter_mut().find(|(length, _)| *length == text.len()) {
        Some((_, same)) => {
            same.insert(text.into());
        }
        None => texts.push((text.len(), Texts::from_iter([text.into()]))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_matches_what_one_of_its_patterns_matches(
            texts in proptest::collection::vec("\\*?[ab]{1,3}\\*?|[ab]{1,2}\\*[ab]{1,2}", 0..8),
            id in "[ab]{0,6}|[abä]{0,4}"
        ) {
            let listed: Vec<_> = texts.iter().filter_map(|text| Pattern::new(text).ok()).collect();
            let expected = listed.iter().any(|pattern| pattern.matches(&id));
            prop_assert_eq!(Patterns::new(listed).unwrap().matches(&id), expected);
        }
    }

    #[test]
    fn a_list_over_its_bounds_is_refused_with_both_numbers() {
        let globs: Vec<_> =
            (0..=GLOBS_MAX).map(|n| Pattern::new(&format!("ws-{n}-*")).unwrap()).collect();
        let why = Patterns::new(globs).unwrap_err().to_string();
        assert!(why.contains("1001 patterns with a `*`") && why.contains("at most 1000"), "{why}");
    }
}
