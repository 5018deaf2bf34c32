use super::*;
use crate::parse;

const EXPORT: &str = "Day,Campaign,Ad group,Impr.,Clicks,Cost,Conversions\n\
    2024-12-28,Spring,Shoes,100,7,1.25,0.5\n\
    2024-12-28,Spring,Hats,50,3,0.75,1\n\
    2024-12-29,Spring,Shoes,10,1,0.10,0\n";

fn upload(id: &str) -> UploadId {
    UploadId::new(id).unwrap()
}

fn stage(staging: &mut Staging, id: &str, text: &str) -> Result<u64, StageError> {
    staging.stage(&upload(id), parse::read(text.as_bytes(), 1_000_000).unwrap())
}

fn totals() -> Totals {
    Totals {
        results: 2,
        impressions: 160,
        clicks: 11,
        spend_micros: 2_100_000,
        conversions_micros: 1_500_000,
    }
}

#[test]
fn an_upload_goes_through_staging_into_daily_results() {
    let mut staging = Staging::in_memory().unwrap();
    assert_eq!(stage(&mut staging, "u1", EXPORT).unwrap(), 3);
    assert_eq!(staging.backlog().unwrap(), 3);
    assert_eq!(staging.aggregate(&upload("u1")).unwrap(), 2);
    staging.commit(&upload("u1"), 3).unwrap();
    assert_eq!(staging.backlog().unwrap(), 0);
    assert_eq!(staging.totals(&upload("u1")).unwrap(), totals());
    assert_eq!(staging.committed_rows(&upload("u1")).unwrap(), Some(3));
    let days: Vec<_> = staging.results(&upload("u1")).unwrap();
    assert_eq!((days[0].date.as_str(), days[0].totals.impressions), ("2024-12-28", 150));
}

#[test]
fn every_step_may_be_repeated() {
    let mut staging = Staging::in_memory().unwrap();
    for _ in 0..3 {
        stage(&mut staging, "u1", EXPORT).unwrap();
        assert_eq!(staging.backlog().unwrap(), 3);
        for _ in 0..2 {
            staging.aggregate(&upload("u1")).unwrap();
        }
        staging.commit(&upload("u1"), 3).unwrap();
    }
    assert_eq!(staging.totals(&upload("u1")).unwrap(), totals());
}

#[test]
fn a_bad_row_leaves_nothing_staged() {
    let mut staging = Staging::in_memory().unwrap();
    let bad = EXPORT.replace("0.10", "free");
    let error = stage(&mut staging, "u1", &bad).unwrap_err();
    assert!(matches!(&error, StageError::File(_)) && !error.is_worth_another_try(), "{error}");
    assert_eq!(staging.backlog().unwrap(), 0);
}

#[test]
fn uploads_do_not_touch_each_other() {
    let mut staging = Staging::in_memory().unwrap();
    stage(&mut staging, "u1", EXPORT).unwrap();
    stage(&mut staging, "u2", EXPORT).unwrap();
    staging.aggregate(&upload("u1")).unwrap();
    staging.commit(&upload("u1"), 3).unwrap();
    assert_eq!(staging.backlog().unwrap(), 3);
    assert_eq!(staging.discard(&upload("u2")).unwrap(), 3);
    assert_eq!(staging.totals(&upload("u2")).unwrap(), Totals::default());
    assert_eq!(staging.totals(&upload("u1")).unwrap(), totals());
}

#[test]
fn what_is_committed_survives_and_an_outage_left_behind_is_ended_on_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.sqlite");
    let mut staging = Staging::open(&path).unwrap();
    stage(&mut staging, "u1", EXPORT).unwrap();
    staging.aggregate(&upload("u1")).unwrap();
    staging.commit(&upload("u1"), 3).unwrap();
    staging.begin_outage().unwrap();
    drop(staging);
    let mut staging = Staging::open(&path).unwrap();
    assert_eq!(staging.totals(&upload("u1")).unwrap(), totals());
    assert_eq!(stage(&mut staging, "u2", EXPORT).unwrap(), 3);
}

#[test]
fn an_outage_fails_for_real_and_ends() {
    let mut staging = Staging::in_memory().unwrap();
    staging.begin_outage().unwrap();
    let error = stage(&mut staging, "u1", EXPORT).unwrap_err();
    assert!(error.to_string().contains("no such table: staging"), "{error}");
    assert!(error.is_worth_another_try());
    staging.end_outage().unwrap();
    staging.end_outage().unwrap();
    assert_eq!(stage(&mut staging, "u1", EXPORT).unwrap(), 3);
}
