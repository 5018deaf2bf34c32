//! A bucket of counters as one row: a batch that changes a hundred counters of it writes it once.
//!
//! Fields in order, each as its length (`u16`), its bytes and its count (`u64`), little-endian.

use crate::error::StoreError;

const COUNT: usize = size_of::<u64>();
const LENGTH: usize = size_of::<u16>();

/// The fields of a row, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

/// Reads a row.
pub(super) const fn fields(row: &[u8]) -> Fields<'_> {
    Fields(row)
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<(&'a str, u64)> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (count, rest) = rest.split_first_chunk::<COUNT>()?;
        let field = std::str::from_utf8(field).ok()?;
        self.0 = rest;
        Some((field, u64::from_le_bytes(*count)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, u64), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.take().ok_or_else(|| {
            self.0 = &[]; // Nothing behind it can be told apart.
            StoreError::Corrupt("a bucket of counters".to_owned())
        }))
    }
}

/// The row with `adds` added, which are in order, each field once.
pub(super) fn added(row: &[u8], adds: &[(&str, u64)]) -> Result<Vec<u8>, StoreError> {
    let new: usize = adds.iter().map(|(field, _)| LENGTH + field.len() + COUNT).sum();
    let mut sum = Vec::with_capacity(row.len() + new);
    let mut adds = adds.iter().copied().peekable();
    for known in fields(row) {
        let (field, mut count) = known?;
        while let Some((new, by)) = adds.next_if(|(new, _)| *new < field) {
            put(&mut sum, new, by)?;
        }
        if let Some((_, by)) = adds.next_if(|(same, _)| *same == field) {
            count = count.saturating_add(by);
        }
        put(&mut sum, field, count)?;
    }
    for (new, by) in adds {
        put(&mut sum, new, by)?;
    }
    Ok(sum)
}

fn put(row: &mut Vec<u8>, field: &str, count: u64) -> Result<(), StoreError> {
    let length = u16::try_from(field.len()).map_err(|_e| {
        let shown = vocab::excerpt(field);
        StoreError::Settings(format!("a counter named `{shown}`: expected 65,535 bytes at most"))
    })?;
    row.extend_from_slice(&length.to_le_bytes());
    row.extend_from_slice(field.as_bytes());
    row.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn read(row: &[u8]) -> BTreeMap<String, u64> {
        let read = fields(row).map(|field| field.map(|(field, count)| (field.to_owned(), count)));
        read.collect::<Result<_, _>>().unwrap()
    }

    proptest! {
        #[test]
        fn a_row_is_what_was_added_to_it(
            batches in prop::collection::vec(
                prop::collection::btree_map("[a-c/]{0,3}", any::<u64>(), 0..6), 0..6),
        ) {
            let (mut row, mut expected) = (Vec::new(), BTreeMap::<String, u64>::new());
            for batch in &batches {
                let adds: Vec<_> = batch.iter().map(|(field, by)| (field.as_str(), *by)).collect();
                row = added(&row, &adds).unwrap();
                for (field, by) in batch {
                    let count = expected.entry(field.clone()).or_default();
                    *count = count.saturating_add(*by);
                }
            }
            prop_assert_eq!(read(&row), expected);
        }

        #[test]
        fn a_row_that_nobody_wrote_is_an_error_and_no_panic(row: Vec<u8>) {
            let read = fields(&row).filter(Result::is_err).count();
            prop_assert!(read <= 1);
            prop_assert_eq!(added(&row, &[]).is_err(), read == 1);
        }
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert!(added(&[], &[(&"x".repeat(65_536), 1)]).is_err());
    }
}
