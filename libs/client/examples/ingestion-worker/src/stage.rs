//! The staging table and the results, in an embedded SQL database.
//!
//! Each step is one transaction and may be repeated: staging an upload again replaces its rows,
//! aggregating it again replaces its results, and a committed upload stays as it is.

mod schema;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use vocab::UploadId;

use crate::parse::{ParseError, Row};

const BUSY_WAIT: Duration = Duration::from_secs(5); // Another worker's transaction ends sooner.

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The database refused: worth another try.
    #[error("failed to use the staging database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file changed since it was validated.
    #[error("failed to read the file again: {0}")]
    File(#[from] ParseError),
}

impl StageError {
    /// Whether another try can help.
    #[must_use]
    pub const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

/// What an upload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Results: days times campaigns.
    pub results: i64,
    /// Times shown.
    pub impressions: i64,
    /// Times clicked.
    pub clicks: i64,
    /// Money spent, in millionths.
    pub spend_micros: i64,
    /// Conversions, in millionths.
    pub conversions_micros: i64,
}

/// A campaign's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyResult {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// The campaign.
    pub campaign: String,
    /// The numbers; `results` is 1.
    pub totals: Totals,
}

/// The staging database.
#[derive(Debug)]
pub struct Staging {
    connection: Connection,
}

impl Staging {
    /// Opens the database at `path` or creates it.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn open(path: &Path) -> Result<Self, StageError> {
        Self::with(Connection::open(path)?)
    }

    /// Opens a database that lives as long as this value.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn in_memory() -> Result<Self, StageError> {
        Self::with(Connection::open_in_memory()?)
    }

    fn with(connection: Connection) -> Result<Self, StageError> {
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let mut staging = Self { connection };
        staging.end_outage()?; // One that a crash left behind.
        staging.connection.execute_batch(schema::CREATE)?;
        Ok(staging)
    }

    /// Stages the rows of an upload, all or none, in place of any staged before.
    ///
    /// # Errors
    /// Leaves the table as it was, and says what failed.
    pub fn stage(
        &mut self,
        upload: &UploadId,
        rows: impl Iterator<Item = Result<Row, ParseError>>,
    ) -> Result<u64, StageError> {
        let transaction = begin(&mut self.connection)?;
        transaction.execute(schema::UNSTAGE, [upload.as_str()])?;
        let mut count: u64 = 0;
        {
            let mut insert = transaction.prepare_cached(schema::STAGE)?;
            for row in rows {
                let row = row?;
                count += 1;
                insert.execute(params![
                    upload.as_str(),
                    i64::try_from(count).unwrap_or(i64::MAX),
                    row.date.to_string(),
                    row.campaign,
                    row.ad_group,
                    row.impressions,
                    row.clicks,
                    row.spend_micros,
                    row.conversions_micros,
                ])?;
            }
        }
        transaction.commit()?;
        Ok(count)
    }

    /// Sums the staged rows of an upload into results per day and campaign.
    ///
    /// # Errors
    /// Leaves the results as they were, and says what the database said.
    pub fn aggregate(&mut self, upload: &UploadId) -> Result<u64, StageError> {
        let transaction = begin(&mut self.connection)?;
        transaction.execute(schema::CLEAR_RESULTS, [upload.as_str()])?;
        let results = transaction.execute(schema::AGGREGATE, [upload.as_str()])?;
        transaction.commit()?;
        Ok(results as u64)
    }

    /// Marks an upload committed and empties its part of the staging table.
    ///
    /// # Errors
    /// Leaves everything as it was, and says what the database said.
    pub fn commit(&mut self, upload: &UploadId, rows: u64) -> Result<(), StageError> {
        let transaction = begin(&mut self.connection)?;
        transaction.execute(schema::UNSTAGE, [upload.as_str()])?;
        mark_committed(&transaction, upload, rows)?;
        transaction.commit()?;
        Ok(())
    }

    /// Writes results past the staging table and marks the upload committed: the legacy path.
    ///
    /// # Errors
    /// Leaves everything as it was, and says what the database said.
    pub fn commit_directly<'r>(
        &mut self,
        upload: &UploadId,
        rows: u64,
        results: impl Iterator<Item = &'r DailyResult>,
    ) -> Result<(), StageError> {
        let transaction = begin(&mut self.connection)?;
        transaction.execute(schema::CLEAR_RESULTS, [upload.as_str()])?;
        {
            let mut insert = transaction.prepare_cached(schema::INSERT_RESULT)?;
            for DailyResult { date, campaign, totals } in results {
                insert.execute(params![
                    upload.as_str(),
                    date,
                    campaign,
                    totals.impressions,
                    totals.clicks,
                    totals.spend_micros,
                    totals.conversions_micros,
                ])?;
            }
        }
        mark_committed(&transaction, upload, rows)?;
        transaction.commit()?;
        Ok(())
    }

    /// The rows of an upload if it was committed.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn committed_rows(&self, upload: &UploadId) -> Result<Option<u64>, StageError> {
        let mut select = self.connection.prepare_cached(schema::COMMITTED_ROWS)?;
        let rows: Option<i64> = select.query_row([upload.as_str()], |row| row.get(0)).optional()?;
        Ok(rows.map(i64::unsigned_abs))
    }

    /// Rows in the staging table.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn backlog(&self) -> Result<u64, StageError> {
        let rows: i64 = self.connection.query_row(schema::BACKLOG, [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }

    /// Removes the staged rows of an upload that will not be finished.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn discard(&mut self, upload: &UploadId) -> Result<u64, StageError> {
        Ok(self.connection.execute(schema::UNSTAGE, [upload.as_str()])? as u64)
    }

    /// The results of an upload, by day and campaign.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn results(&self, upload: &UploadId) -> Result<Vec<DailyResult>, StageError> {
        let mut select = self.connection.prepare_cached(schema::RESULTS)?;
        let results = select.query_map([upload.as_str()], |row| {
            let totals = Totals {
                results: 1,
                impressions: row.get(2)?,
                clicks: row.get(3)?,
                spend_micros: row.get(4)?,
                conversions_micros: row.get(5)?,
            };
            Ok(DailyResult { date: row.get(0)?, campaign: row.get(1)?, totals })
        })?;
        Ok(results.collect::<Result<_, _>>()?)
    }

    /// What an upload came to.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn totals(&self, upload: &UploadId) -> Result<Totals, StageError> {
        Ok(self.connection.query_row(schema::TOTALS, [upload.as_str()], |row| {
            Ok(Totals {
                results: row.get(0)?,
                impressions: row.get(1)?,
                clicks: row.get(2)?,
                spend_micros: row.get(3)?,
                conversions_micros: row.get(4)?,
            })
        })?)
    }

    /// Takes the staging table away, so that every use of it fails for real: for drills.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn begin_outage(&mut self) -> Result<(), StageError> {
        Ok(self.connection.execute_batch(schema::BEGIN_OUTAGE)?)
    }

    /// Puts the staging table back, if it was taken away.
    ///
    /// # Errors
    /// Says what the database said.
    pub fn end_outage(&mut self) -> Result<(), StageError> {
        let away: bool = self.connection.query_row(schema::IS_OUTAGE, [], |row| row.get(0))?;
        if away {
            self.connection.execute_batch(schema::END_OUTAGE)?;
        }
        Ok(())
    }
}

/// Takes the write lock at once: a transaction that waits for it in its middle would deadlock.
fn begin(connection: &mut Connection) -> Result<Transaction<'_>, rusqlite::Error> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn mark_committed(
    transaction: &Transaction<'_>,
    upload: &UploadId,
    rows: u64,
) -> Result<(), rusqlite::Error> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    transaction.execute(schema::MARK_COMMITTED, params![upload.as_str(), rows])?;
    Ok(())
}

#[cfg(test)]
mod tests;
