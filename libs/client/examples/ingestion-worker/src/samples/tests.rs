use std::collections::BTreeSet;
use std::io::Write as _;

use super::*;
use crate::parse::{self, ParseError, Row};

/// Parses `bytes` and adds up what is there, without the database.
fn parsed(bytes: &[u8]) -> Result<(Platform, u64, Totals), ParseError> {
    let rows = parse::read(bytes, 100_000_000)?;
    let platform = rows.platform();
    let rows = rows.collect::<Result<Vec<Row>, _>>()?;
    let mut totals = Totals::default();
    let mut days = BTreeSet::new();
    for row in &rows {
        days.insert((row.date, row.campaign.clone()));
        totals.impressions += row.impressions;
        totals.clicks += row.clicks;
        totals.spend_micros += row.spend_micros;
        totals.conversions_micros += row.conversions_micros;
    }
    totals.results = i64::try_from(days.len()).unwrap();
    Ok((platform, rows.len() as u64, totals))
}

#[track_caller]
fn keeps_its_promise(sample: &Sample) {
    let found = match parsed(&sample.bytes()) {
        Ok((platform, rows, totals)) => Expectation::Valid { platform, rows, totals },
        Err(problem) => Expectation::Invalid(problem.kind()),
    };
    assert_eq!(found, sample.expectation, "{}", sample.name);
}

#[test]
fn every_shipped_sample_comes_to_what_it_says() {
    catalogue().iter().for_each(keeps_its_promise);
}

#[test]
fn the_shipped_samples_have_all_platforms_and_many_ways_to_be_wrong() {
    let mut platforms = BTreeSet::new();
    let mut problems = BTreeSet::new();
    for sample in catalogue() {
        match sample.expectation {
            Expectation::Valid { platform, .. } => drop(platforms.insert(platform)),
            Expectation::Invalid(kind) => drop(problems.insert(kind)),
        }
    }
    assert_eq!(platforms.len(), 3);
    assert_eq!(problems.len(), 11);
}

#[test]
fn the_endless_row_begins_with_the_catalogue_and_goes_on_with_valid_files() {
    let shipped = catalogue().len() as u64;
    assert_eq!(nth(0).name, "meta.csv");
    for index in shipped..shipped + 60 {
        let sample = nth(index);
        assert!(sample.is_valid());
        keeps_its_promise(&sample);
        assert_eq!(sample, nth(index));
    }
    assert_ne!(nth(100).bytes(), nth(103).bytes());
    assert!(nth(u64::MAX).is_valid());
}

#[test]
fn a_file_made_to_measure_has_exactly_that_size() {
    for (seed, size) in [(1, SIZE_MIN_BYTES), (4, 12_345), (2, 65_536), (7, 1_048_576)] {
        for platform in Platform::ALL {
            let mut bytes = Vec::new();
            let (rows, totals) = write_sized(&mut bytes, platform, seed, size).unwrap();
            assert_eq!(bytes.len() as u64, size, "{platform} {seed}");
            assert_eq!(parsed(&bytes), Ok((platform, rows, totals)));
        }
    }
    assert!(write_sized(&mut Vec::new(), Platform::Meta, 0, SIZE_MIN_BYTES - 1).is_err());
}

#[test]
fn a_full_disk_is_said() {
    let mut small = [0_u8; 64];
    let mut out = &mut small[..];
    out.flush().unwrap();
    assert!(write_sized(&mut out, Platform::Meta, 0, 5_000).is_err());
}
