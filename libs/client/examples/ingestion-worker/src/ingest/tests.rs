use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::*;
use crate::breaker::{Position, Settings};
use crate::samples::{self, Expectation};
use crate::stage::Totals;

/// A worker with a clock that moves by what it waits, and a millisecond with every look at it.
struct Worker {
    staging: Staging,
    breaker: Breaker,
    faults: Faults,
    clock_ms: Cell<i64>,
    /// Whether waiting takes time; if not, an open breaker stays open.
    patient: bool,
    told: RefCell<Vec<String>>,
    waited: RefCell<Vec<Duration>>,
}

impl Worker {
    fn new() -> Self {
        let settings = Settings { failures_to_open: 3, open_for: Duration::from_secs(30) };
        Self {
            staging: Staging::in_memory().unwrap(),
            breaker: Breaker::new(settings),
            faults: Faults::default(),
            clock_ms: Cell::new(0),
            patient: true,
            told: RefCell::default(),
            waited: RefCell::default(),
        }
    }

    fn ingest(&mut self, id: &str, source: &Source<'_>) -> Report {
        let (clock, told, waited) = (&self.clock_ms, &self.told, &self.waited);
        let patient = self.patient;
        let mut workbench = Workbench {
            staging: &mut self.staging,
            breaker: &mut self.breaker,
            faults: &mut self.faults,
            now: &|| {
                clock.set(clock.get() + 1);
                Timestamp::from_millis(clock.get())
            },
            wait: &mut |duration| {
                waited.borrow_mut().push(duration);
                if patient {
                    clock.set(clock.get() + i64::try_from(duration.as_millis()).unwrap());
                }
            },
            tell: &mut |event| {
                told.borrow_mut().push(match event {
                    Event::Upload { step, .. } => step.to_string(),
                    Event::Breaker(t) => format!("{}->{}", t.from.name(), t.to.name()),
                });
            },
            size_max_bytes: 1_000_000,
        };
        ingest(&upload(id), source, &mut workbench)
    }

    fn send(&mut self, id: &str) -> Report {
        let bytes = samples::generated(1).bytes();
        self.ingest(id, &Source::Bytes(&bytes))
    }
}

fn upload(id: &str) -> UploadId {
    UploadId::new(id).unwrap()
}

fn steps(report: &Report) -> Vec<String> {
    report.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_file_goes_all_the_way() {
    let mut worker = Worker::new();
    let report = worker.send("u1");
    assert!(matches!(report.outcome, Outcome::Succeeded), "{report:?}");
    assert_eq!(
        steps(&report),
        [
            "received->validating",
            "validating->staging",
            "staging->aggregating",
            "aggregating->committed"
        ]
    );
    assert_eq!(*worker.told.borrow(), steps(&report), "each step is told as it is taken");
    assert_eq!((report.rows, report.platform), (21, Some(Platform::Google)));
    assert!(report.duration > Duration::ZERO);
    assert_eq!(worker.staging.backlog().unwrap(), 0);
}

#[test]
fn every_sample_ends_as_it_must() {
    let mut worker = Worker::new();
    for index in 0..60 {
        let sample = samples::nth(index);
        let id = format!("u{index}");
        let report = worker.ingest(&id, &Source::Bytes(&sample.bytes()));
        match (&report.outcome, sample.expectation) {
            (Outcome::Invalid(problem), Expectation::Invalid(kind)) => {
                assert_eq!(problem.kind(), kind, "{}", sample.name);
                assert_eq!(steps(&report), ["received->validating", "validating->rejected"]);
            }
            (Outcome::Succeeded, Expectation::Valid { platform, rows, totals }) => {
                assert_eq!((report.platform, report.rows), (Some(platform), rows));
                assert_eq!(worker.staging.totals(&upload(&id)).unwrap(), totals, "{}", sample.name);
            }
            (outcome, _) => panic!("{}: {outcome:?}", sample.name),
        }
    }
    assert_eq!(worker.staging.backlog().unwrap(), 0);
}

#[test]
fn a_committed_upload_stays_as_it_is() {
    let mut worker = Worker::new();
    worker.send("u1");
    let before = worker.staging.totals(&upload("u1")).unwrap();
    let again = worker.ingest("u1", &Source::Bytes(b"another file"));
    assert!(matches!(again.outcome, Outcome::Succeeded) && again.steps.is_empty());
    assert_eq!(again.rows, 21);
    assert_eq!(worker.staging.totals(&upload("u1")).unwrap(), before);
}

#[test]
fn a_short_outage_is_ridden_out() {
    let mut worker = Worker::new();
    worker.faults.fail_staging(2);
    let report = worker.send("u1");
    assert!(matches!(report.outcome, Outcome::Succeeded), "{report:?}");
    let retried = steps(&report).iter().filter(|step| *step == "retrying->staging").count();
    assert_eq!(retried, 2);
    assert_eq!(*worker.waited.borrow(), [FIRST_WAIT, FIRST_WAIT * 2]);
    assert_eq!(worker.breaker.position(), Position::Closed);
}

#[test]
fn a_long_outage_fails_the_upload_opens_the_breaker_and_the_next_upload_closes_it() {
    let mut worker = Worker::new();
    worker.faults.fail_staging(3);
    let report = worker.send("u1");
    let Outcome::Failed(failure) = &report.outcome else { panic!("{report:?}") };
    assert!(failure.to_string().contains("no such table: staging"), "{failure}");
    assert_eq!(report.steps.last().unwrap().to_string(), "staging->failed");
    assert_eq!(worker.breaker.position(), Position::Open);
    assert_eq!(worker.staging.totals(&upload("u1")).unwrap(), Totals::default());
    assert_eq!(worker.staging.backlog().unwrap(), 0);

    let next = worker.send("u2");
    assert!(matches!(next.outcome, Outcome::Succeeded), "{next:?}");
    assert!(worker.waited.borrow().iter().any(|wait| *wait > Duration::from_secs(29)));
    let told = worker.told.borrow();
    let breaker: Vec<_> = told.iter().filter(|event| event.contains("OPEN")).collect();
    assert_eq!(breaker, ["CLOSED->OPEN", "OPEN->HALF_OPEN", "HALF_OPEN->CLOSED"]);
}

#[test]
fn a_failed_upload_may_be_sent_again() {
    let mut worker = Worker::new();
    worker.faults.fail_staging(3);
    assert!(matches!(worker.send("u1").outcome, Outcome::Failed(_)));
    assert!(matches!(worker.send("u1").outcome, Outcome::Succeeded));
}

#[test]
fn a_breaker_that_stays_open_fails_the_upload_without_touching_the_database() {
    let mut worker = Worker::new();
    worker.faults.fail_staging(4);
    worker.send("u1");
    worker.patient = false;
    let report = worker.send("u2");
    let Outcome::Failed(Failure::BreakerOpen { retry_after }) = report.outcome else {
        panic!("{report:?}")
    };
    assert!(retry_after > Duration::from_secs(29));
    assert_eq!(report.steps.last().unwrap().to_string(), "staging->failed");
    assert_eq!(worker.faults.pending(), 1, "the fourth fault met nobody");
}

#[test]
fn together_a_drill_and_the_samples_take_every_way_there_is() {
    let mut worker = Worker::new();
    worker.faults.fail_staging(3);
    worker.send("outage");
    for index in 0..20 {
        worker.ingest(&format!("u{index}"), &Source::Bytes(&samples::nth(index).bytes()));
    }
    let told = worker.told.borrow();
    let taken: BTreeSet<_> = told.iter().filter(|step| !step.contains("OPEN")).collect();
    assert_eq!(taken.len(), machine::WAYS.len());
}

#[test]
fn a_file_on_disk_is_streamed_and_one_that_is_not_there_is_the_pipelines_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.csv");
    let mut file = File::create(&path).unwrap();
    let (rows, totals) = samples::write_sized(&mut file, Platform::TikTok, 3, 300_000).unwrap();
    let mut worker = Worker::new();
    let source = Source::File(&path);
    assert_eq!(source.size_bytes(), Ok(300_000));
    let report = worker.ingest("u1", &source);
    assert_eq!((report.rows, report.platform), (rows, Some(Platform::TikTok)));
    assert_eq!(worker.staging.totals(&upload("u1")).unwrap(), totals);

    let missing = worker.ingest("u2", &Source::File(&folder.path().join("none.csv")));
    assert!(matches!(missing.outcome, Outcome::Failed(Failure::Unreadable(_))), "{missing:?}");
}

#[test]
fn a_file_above_the_limit_is_invalid() {
    let mut bytes = Vec::new();
    samples::write_sized(&mut bytes, Platform::Meta, 0, 1_000_001).unwrap();
    let report = Worker::new().ingest("u1", &Source::Bytes(&bytes));
    let Outcome::Invalid(problem) = report.outcome else { panic!("{report:?}") };
    assert_eq!(problem, ParseError::TooLarge { limit_bytes: 1_000_000 });
}
