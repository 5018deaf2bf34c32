//! A journal from its beginning, page by page, each record checked against the one before.

use store::{Head, Record, Store, StoreError, StreamName};

/// Records read at once: bounds the memory, whatever the length of a journal.
pub(super) const SIZE: usize = 500;

#[derive(Debug)]
pub(super) struct Pages<'a> {
    store: &'a Store,
    stream: StreamName,
    head: Head,
}

impl<'a> Pages<'a> {
    pub(super) fn new(store: &'a Store, stream: StreamName) -> Self {
        Self { store, stream, head: Head::default() }
    }

    /// Where the last page ended.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// The next page; empty at the end. Where a page does not hold, what does hold of it comes
    /// first, one by one.
    pub(super) async fn next(&mut self) -> Result<Vec<Record>, StoreError> {
        let mut page = self.store.journal.read(&self.stream, self.head.version, SIZE).await;
        if let Err(StoreError::Corrupt(_)) = page {
            page = self.store.journal.read(&self.stream, self.head.version, 1).await;
        }
        let page = page?;
        for record in &page {
            self.head = self.head.followed_by(&self.stream, record)?;
        }
        Ok(page)
    }
}
