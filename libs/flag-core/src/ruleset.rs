//! All flags of a house, by key.

use std::collections::HashMap;
use std::sync::Arc;

use crate::flag::Flag;

/// Flags by key, found in a time that does not depend on how many there are. Cheap to clone a flag
/// out of; to be replaced as a whole where readers must not wait.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    flags: HashMap<Box<str>, Arc<Flag>>,
}

impl Ruleset {
    /// Finds a flag.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Flag>> {
        self.flags.get(key)
    }

    /// Adds a flag, or replaces the one with its key.
    pub fn insert(&mut self, flag: Arc<Flag>) {
        self.flags.insert(flag.key.as_str().into(), flag);
    }

    /// Takes a flag out.
    pub fn remove(&mut self, key: &str) {
        self.flags.remove(key);
    }

    /// All flags, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Flag>> {
        self.flags.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

impl FromIterator<Arc<Flag>> for Ruleset {
    fn from_iter<I: IntoIterator<Item = Arc<Flag>>>(flags: I) -> Self {
        let mut ruleset = Self::default();
        flags.into_iter().for_each(|flag| ruleset.insert(flag));
        ruleset
    }
}
