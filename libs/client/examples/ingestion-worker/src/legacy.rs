//! The legacy path: the whole file in memory, results written at once, no staging.

use std::collections::BTreeMap;

use vocab::UploadId;

use crate::ingest::Source;
use crate::parse::{self, ParseError, Row};
use crate::stage::{DailyResult, StageError, Staging, Totals};

/// Ingests an upload the old way and says how many rows it had.
///
/// # Errors
/// Says what is wrong with the file, or what the database said.
pub fn ingest(
    upload: &UploadId,
    source: &Source<'_>,
    size_max_bytes: u64,
    staging: &mut Staging,
) -> Result<u64, StageError> {
    if let Some(rows) = staging.committed_rows(upload)? {
        return Ok(rows);
    }
    let rows = parse::read(source.open()?, size_max_bytes)?;
    let rows = rows.collect::<Result<Vec<Row>, ParseError>>()?;
    let count = rows.len() as u64;
    staging.commit_directly(upload, count, daily(rows).iter())?;
    Ok(count)
}

fn daily(rows: Vec<Row>) -> Vec<DailyResult> {
    let mut days: BTreeMap<(String, String), Totals> = BTreeMap::new();
    for row in rows {
        let totals = days.entry((row.date.to_string(), row.campaign)).or_default();
        totals.results = 1;
        totals.impressions += row.impressions;
        totals.clicks += row.clicks;
        totals.spend_micros += row.spend_micros;
        totals.conversions_micros += row.conversions_micros;
    }
    let result = |((date, campaign), totals)| DailyResult { date, campaign, totals };
    days.into_iter().map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Expectation};

    #[test]
    fn it_gives_the_same_results_as_the_new_path_and_stages_nothing() {
        for sample in samples::catalogue() {
            let mut staging = Staging::in_memory().unwrap();
            let (old, new) = (UploadId::new("old").unwrap(), UploadId::new("new").unwrap());
            let bytes = sample.bytes();
            let source = Source::Bytes(&bytes);
            let outcome = ingest(&old, &source, 1_000_000, &mut staging);
            match sample.expectation {
                Expectation::Invalid(kind) => {
                    let Err(StageError::File(problem)) = outcome else { panic!("{outcome:?}") };
                    assert_eq!(problem.kind(), kind, "{}", sample.name);
                }
                Expectation::Valid { rows, totals, .. } => {
                    assert_eq!(outcome.unwrap(), rows, "{}", sample.name);
                    assert_eq!(staging.totals(&old).unwrap(), totals, "{}", sample.name);
                    let parsed = parse::read(source.open().unwrap(), u64::MAX).unwrap();
                    staging.stage(&new, parsed).unwrap();
                    staging.aggregate(&new).unwrap();
                    assert_eq!(staging.results(&old).unwrap(), staging.results(&new).unwrap());
                }
            }
        }
    }
}
