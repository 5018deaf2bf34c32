//! The tables of the file. Names and types are promised: a later release opens the same file.

use std::io::ErrorKind;

use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    WriteTransaction,
};

use crate::error::StoreError;

use super::bucket;

/// Stream and version to the record's bytes.
pub(super) const RECORDS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("records");

/// Stream and request id to the command's digest, its first version and its number of records.
pub(super) const REQUESTS: TableDefinition<(&str, &str), (&[u8; 32], u64, u64)> =
    TableDefinition::new("requests");

/// Scope and batch id to the digest of the batch's contents.
pub(super) const BATCHES: TableDefinition<(&str, &str), &[u8; 32]> =
    TableDefinition::new("batches");

/// Scope, series and start in ms to the counters of a bucket: see [`super::bucket`].
pub(super) const BUCKETS: TableDefinition<(&str, &str, i64), &[u8]> =
    TableDefinition::new("buckets");

/// Scope, series, start in ms and field to a count: as it was kept before [`BUCKETS`].
const COUNTS: TableDefinition<(&str, &str, i64, &str), u64> = TableDefinition::new("counts");

/// Scope and gauge to the time in ms and the value.
pub(super) const GAUGES: TableDefinition<(&str, &str), (i64, i64)> = TableDefinition::new("gauges");

/// Pipeline, `workspace/day` and upload: the uploads that hold quota.
pub(super) const HOLDERS: TableDefinition<(&str, &str, &str), ()> = TableDefinition::new("holders");

/// Pipeline and `workspace/day` to the number of holders.
pub(super) const USED: TableDefinition<(&str, &str), u32> = TableDefinition::new("used");

/// Lease to the last fence given out.
pub(super) const FENCES: TableDefinition<&str, u64> = TableDefinition::new("fences");

/// What is dropped some day: kind, owner, name and start.
pub(super) type Expiring = (u8, &'static str, &'static str, i64);

/// What is dropped some day, to the instant in ms until which it is kept.
pub(super) const KEPT: TableDefinition<Expiring, i64> = TableDefinition::new("kept");

/// When to look at something next: in ms, and what.
pub(super) type Due = (i64, u8, &'static str, &'static str, i64);

/// When to look at it next, in ms, and what: at most one entry for each row of [`KEPT`].
pub(super) const DUE: TableDefinition<Due, ()> = TableDefinition::new("due");

/// One row: the number of the last group of operations that is in the tables.
pub(super) const GROUP: TableDefinition<(), u64> = TableDefinition::new("group");

/// Makes every table, so that readers find them.
pub(super) fn create(database: &Database) -> Result<(), StoreError> {
    let transaction = begin(database, Durability::Immediate)?;
    transaction.open_table(GROUP).map_err(failed)?;
    transaction.open_table(RECORDS).map_err(failed)?;
    transaction.open_table(REQUESTS).map_err(failed)?;
    transaction.open_table(BATCHES).map_err(failed)?;
    transaction.open_table(BUCKETS).map_err(failed)?;
    gather(&transaction)?;
    transaction.open_table(GAUGES).map_err(failed)?;
    transaction.open_table(HOLDERS).map_err(failed)?;
    transaction.open_table(USED).map_err(failed)?;
    transaction.open_table(FENCES).map_err(failed)?;
    transaction.open_table(KEPT).map_err(failed)?;
    transaction.open_table(DUE).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Moves the counters of an older file into their buckets' rows.
fn gather(transaction: &WriteTransaction) -> Result<(), StoreError> {
    {
        let counts = transaction.open_table(COUNTS).map_err(failed)?;
        let mut buckets = transaction.open_table(BUCKETS).map_err(failed)?;
        for entry in counts.iter().map_err(failed)? {
            let (key, count) = entry.map_err(failed)?;
            let (scope, series, start_ms, field) = key.value();
            let bucket = (scope, series, start_ms);
            let row = match buckets.get(bucket).map_err(failed)? {
                None => bucket::added(&[], &[(field, count.value())])?,
                Some(row) => bucket::added(row.value(), &[(field, count.value())])?,
            };
            buckets.insert(bucket, row.as_slice()).map_err(failed)?;
        }
    }
    transaction.delete_table(COUNTS).map(drop).map_err(failed)
}

/// Begins a write.
pub(super) fn begin(
    database: &Database,
    durability: Durability,
) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_durability(durability).map_err(failed)?;
    Ok(transaction)
}

/// The last group of operations that is in the tables; 0 where there is none.
pub(super) fn group_reached(database: &Database) -> Result<u64, StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let table = transaction.open_table(GROUP).map_err(failed)?;
    let reached = table.get(()).map_err(failed)?;
    Ok(reached.map_or(0, |reached| reached.value()))
}

/// Notes that the tables have everything up to group `number`, in the same transaction.
pub(super) fn set_group(transaction: &WriteTransaction, number: u64) -> Result<(), StoreError> {
    let mut table = transaction.open_table(GROUP).map_err(failed)?;
    table.insert((), number).map(drop).map_err(failed)
}

/// Says what a failure of the database means to a caller.
pub(super) fn failed(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    if let redb::Error::Corrupted(what) = error {
        return StoreError::Corrupt(what);
    }
    if let redb::Error::Io(io) = &error
        && matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    {
        return StoreError::Corrupt(io.to_string()); // What the disk gave is no database.
    }
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_an_older_file_are_where_they_are_looked_for_now() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::create(dir.path().join("old.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut counts = transaction.open_table(COUNTS).unwrap();
            for (series, start_ms, field, count) in
                [("h", 0, "bad", 1), ("m", 0, "ok", 2), ("m", 0, "bad", 3), ("m", 60_000, "ok", 4)]
            {
                counts.insert(("p", series, start_ms, field), count).unwrap();
            }
        }
        transaction.commit().unwrap();

        create(&database).unwrap();
        create(&database).unwrap(); // Once is enough, and again does no harm.

        let buckets = database.begin_read().unwrap().open_table(BUCKETS).unwrap();
        let read = |series, start_ms| {
            let row = buckets.get(("p", series, start_ms)).unwrap().unwrap();
            let fields = bucket::fields(row.value()).map(Result::unwrap);
            fields.map(|(field, count)| (field.to_owned(), count)).collect::<Vec<_>>()
        };
        assert_eq!(read("h", 0), [("bad".to_owned(), 1)]);
        assert_eq!(read("m", 0), [("bad".to_owned(), 3), ("ok".to_owned(), 2)]);
        assert_eq!(read("m", 60_000), [("ok".to_owned(), 4)]);
    }
}
