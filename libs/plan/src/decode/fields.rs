//! The fields of one map, by key.

use vocab::Invalid;

use crate::node::Node;
use crate::problem::{Place, Problem, Severity};
use crate::shape::Object;

/// What a reader gives.
pub(crate) type Decoded<T> = Result<T, Problem>;

/// The fields of one map.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    node: &'n Node,
    shape: &'static Object,
}

/// Takes a checked text as it is.
pub(super) fn verbatim(text: &str) -> Result<String, Invalid> {
    Ok(text.to_owned())
}

impl<'n> Fields<'n> {
    pub(super) const fn of(node: &'n Node, shape: &'static Object) -> Self {
        Self { node, shape }
    }

    /// The value under `key`; `None` where it was left out.
    pub(super) fn find(self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(self.shape.field(key).is_some(), "{}.{key} has no shape", self.shape.name);
        #[cfg(test)]
        read_keys::note(self.shape.name, key);
        self.node.get(key)
    }

    pub(super) fn text(self, key: &'static str) -> Decoded<String> {
        self.word(key, verbatim)
    }

    pub(super) fn text_or_empty(self, key: &'static str) -> Decoded<String> {
        Ok(self.maybe_word(key, verbatim)?.unwrap_or_default())
    }

    pub(super) fn word<T>(
        self,
        key: &'static str,
        read: fn(&str) -> Result<T, Invalid>,
    ) -> Decoded<T> {
        self.maybe_word(key, read)?.ok_or_else(|| self.unread(key))
    }

    pub(super) fn maybe_word<T>(
        self,
        key: &'static str,
        read: fn(&str) -> Result<T, Invalid>,
    ) -> Decoded<Option<T>> {
        self.find(key).map(|node| self.read(key, node, read)).transpose()
    }

    pub(super) fn words<T>(
        self,
        key: &'static str,
        read: fn(&str) -> Result<T, Invalid>,
    ) -> Decoded<Vec<T>> {
        let items = self.find(key).map_or(&[][..], Node::items);
        items.iter().map(|node| self.read(key, node, read)).collect()
    }

    fn read<T>(
        self,
        key: &'static str,
        node: &Node,
        read: fn(&str) -> Result<T, Invalid>,
    ) -> Decoded<T> {
        node.text().and_then(|text| read(text).ok()).ok_or_else(|| self.unread(key))
    }

    /// The value of a name in its table.
    pub(super) fn named<T: Copy>(
        self,
        key: &'static str,
        table: &[(&'static str, T)],
    ) -> Decoded<T> {
        self.maybe_named(key, table)?.ok_or_else(|| self.unread(key))
    }

    pub(super) fn maybe_named<T: Copy>(
        self,
        key: &'static str,
        table: &[(&'static str, T)],
    ) -> Decoded<Option<T>> {
        let Some(node) = self.find(key) else { return Ok(None) };
        let found = table.iter().find(|(name, _)| node.text() == Some(name));
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.unread(key))
    }

    pub(super) fn integer<T: TryFrom<i64>>(self, key: &'static str) -> Decoded<T> {
        self.maybe_integer(key)?.ok_or_else(|| self.unread(key))
    }

    pub(super) fn maybe_integer<T: TryFrom<i64>>(self, key: &'static str) -> Decoded<Option<T>> {
        let Some(node) = self.find(key) else { return Ok(None) };
        let integer = node.integer().and_then(|integer| T::try_from(integer).ok());
        integer.map(Some).ok_or_else(|| self.unread(key))
    }

    pub(super) fn boolean(self, key: &'static str) -> Decoded<bool> {
        self.maybe_boolean(key)?.ok_or_else(|| self.unread(key))
    }

    pub(super) fn maybe_boolean(self, key: &'static str) -> Decoded<Option<bool>> {
        let Some(node) = self.find(key) else { return Ok(None) };
        node.boolean().map(Some).ok_or_else(|| self.unread(key))
    }

    pub(super) fn one<T>(self, key: &'static str, read: fn(&Node) -> Decoded<T>) -> Decoded<T> {
        self.maybe_one(key, read)?.ok_or_else(|| self.unread(key))
    }

    pub(super) fn maybe_one<T>(
        self,
        key: &'static str,
        read: fn(&Node) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        self.find(key).map(read).transpose()
    }

    pub(super) fn list<T>(
        self,
        key: &'static str,
        read: fn(&Node) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        self.find(key).map_or(&[][..], Node::items).iter().map(read).collect()
    }

    /// The shape let something through that the reader cannot read.
    pub(super) fn unread(self, key: &str) -> Problem {
        let Place { line, column } = self.node.get(key).map_or(self.node.place, |node| node.place);
        Problem {
            severity: Severity::Error,
            path: format!("{}.{key}", self.shape.name),
            line,
            column,
            message: "passed every check and yet cannot be read: please report this".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) use read_keys::keys_read;

#[cfg(test)]
mod read_keys {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static READ: RefCell<BTreeSet<(&'static str, &'static str)>> = RefCell::default();
    }

    pub(super) fn note(shape: &'static str, key: &'static str) {
        READ.with_borrow_mut(|read| read.insert((shape, key)));
    }

    /// The keys read on this thread so far.
    pub(crate) fn keys_read() -> BTreeSet<(&'static str, &'static str)> {
        READ.with_borrow(BTreeSet::clone)
    }
}
