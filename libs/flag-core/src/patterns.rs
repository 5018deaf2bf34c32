//! Lists of globs over workspace ids, found in a time that does not grow with the list.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
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
type ByLength = Vec<OfLength>;

/// Texts of one length: to compare with a single one is faster than to look for it.
#[derive(Debug, Clone)]
enum OfLength {
    One(Box<str>),
    Several(usize, Texts),
}

/// Texts, found by a hash of their bytes. Whoever asks cannot choose what is in it, so that a fast
/// one is safe.
#[derive(Debug, Clone, Default)]
struct Texts {
    found: HashTable<Box<str>>,
    hashing: RandomState,
}

impl Texts {
    #[inline]
    fn hash(hashing: &RandomState, text: &str) -> u64 {
        let mut hasher = hashing.build_hasher();
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    #[inline]
    fn contains(&self, text: &str) -> bool {
        if self.found.is_empty() {
            return false;
        }
        let hash = Self::hash(&self.hashing, text);
        self.found.find(hash, |one| same(one.as_bytes(), text.as_bytes())).is_some()
    }

    fn insert(&mut self, text: Box<str>) {
        let Self { found, hashing } = self;
        let hash = Self::hash(hashing, &text);
        let entry = found.entry(hash, |one| *one == text, |one| Self::hash(hashing, one));
        entry.or_insert(text.clone());
    }
}

/// Whether two are equal. Most ids are short: to call somebody takes longer than to compare them.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    let ((ones, ones_left), (others, others_left)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    one.len() == other.len()
        && ones.iter().zip(others).all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && ones_left.iter().zip(others_left).all(|(a, b)| a == b)
}

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
    #[inline]
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        if self.listed.is_empty() {
            return false;
        }
        self.any
            || self.exact.contains(id)
            || self.prefixes.iter().any(|texts| texts.begin(id))
            || self.suffixes.iter().any(|texts| texts.end(id))
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

impl OfLength {
    const fn length(&self) -> usize {
        match self {
            Self::One(text) => text.len(),
            Self::Several(length, _) => *length,
        }
    }

    #[inline]
    fn begin(&self, id: &str) -> bool {
        match self {
            // Most differ in their first byte.
            Self::One(text) => {
                id.as_bytes().first() == text.as_bytes().first() && id.starts_with(&**text)
            }
            Self::Several(length, texts) => {
                id.get(..*length).is_some_and(|start| texts.contains(start))
            }
        }
    }

    fn end(&self, id: &str) -> bool {
        match self {
            Self::One(text) => id.ends_with(&**text),
            Self::Several(length, texts) => {
                let start = id.len().checked_sub(*length).and_then(|at| id.get(at..));
                start.is_some_and(|end| texts.contains(end))
            }
        }
    }
}

fn insert(texts: &mut ByLength, text: &str) {
    match texts.iter_mut().find(|same| same.length() == text.len()) {
        Some(OfLength::Several(_, same)) => same.insert(text.into()),
        Some(one) => {
            let first = std::mem::replace(one, OfLength::Several(text.len(), Texts::default()));
            if let (OfLength::One(first), OfLength::Several(_, same)) = (first, one) {
                same.insert(first);
                same.insert(text.into());
            }
        }
        None => texts.push(OfLength::One(text.into())),
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
