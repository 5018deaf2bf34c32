//! What clients asked and what they were told, on one clock: what a checker judges by.
//!
//! The clock is the driver's own and monotonic, never a server's. A call whose answer did not come
//! has an unknown outcome: it may take effect at any time after it was made.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged as this revision.
    Done(u64),
    /// Refused: another revision than the expected one was current.
    Refused {
        /// The current one, as the refusal says.
        current: u64,
    },
    /// No answer: it may take effect later, once, or never.
    Unknown,
}

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Writes a payload that no other call writes.
    Write {
        /// The payload.
        payload: String,
        /// The revision that must be current; none where any will do.
        expected: Option<u64>,
        /// What became of it.
        outcome: Outcome,
    },
    /// Reads what is current.
    Read {
        /// Its revision; 0 where there is nothing yet.
        revision: u64,
        /// Its payload.
        payload: String,
    },
}

/// One call of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who called; a client makes one call at a time.
    pub client: usize,
    /// What about, e.g. `flags/x`.
    pub target: String,
    /// When it began.
    pub invoked: Duration,
    /// When the client had an answer, or stopped waiting for one.
    pub ended: Duration,
    /// What was asked and answered.
    pub action: Action,
}

/// A fault that was injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was done.
    pub name: String,
    /// When.
    pub at: Duration,
}

/// Collects calls and faults. Where the test that holds it fails, it keeps them in a file.
#[derive(Debug)]
pub struct Recorder {
    name: &'static str,
    started: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    calls: Vec<Call>,
    faults: Vec<Fault>,
    in_flight: usize,
}

/// A call that has begun.
#[derive(Debug)]
#[must_use = "a call that is not ended counts as in flight for ever"]
pub struct Begun {
    client: usize,
    target: String,
    invoked: Duration,
}

impl Recorder {
    /// Begins a history; `name` is that of the scenario.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, started: Instant::now(), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a client makes a call.
    pub fn begin(&self, client: usize, target: impl Into<String>) -> Begun {
        let mut kept = self.kept();
        kept.in_flight += 1;
        Begun { client, target: target.into(), invoked: self.started.elapsed() }
    }

    /// Notes how the call ended.
    pub fn end(&self, begun: Begun, action: Action) {
        let Begun { client, target, invoked } = begun;
        let mut kept = self.kept();
        kept.in_flight -= 1;
        let ended = self.started.elapsed();
        kept.calls.push(Call { client, target, invoked, ended, action });
    }

    /// Forgets a call: a read without an answer says nothing.
    pub fn drop_call(&self, begun: Begun) {
        drop(begun);
        self.kept().in_flight -= 1;
    }

    /// Notes that a fault was injected just now.
    pub fn fault(&self, name: impl Into<String>) {
        let mut kept = self.kept();
        kept.faults.push(Fault { name: name.into(), at: self.started.elapsed() });
    }

    /// How many calls are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.kept().in_flight
    }

    /// How many calls have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.kept().calls.len()
    }

    /// Everything so far.
    #[must_use]
    pub fn history(&self) -> History {
        let kept = self.kept();
        History { calls: kept.calls.clone(), faults: kept.faults.clone() }
    }
}

impl Drop for Recorder {
    /// Keeps the history of a failed test as JSON lines.
    #[expect(clippy::print_stderr, reason = "says where the evidence of a failed test is")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/faults");
        let path = dir.join(format!("{}.jsonl", self.name));
        let written =
            fs::create_dir_all(&dir).and_then(|()| fs::write(&path, self.history().lines()));
        match written {
            Ok(()) => eprintln!("the history is kept in target/faults/{}.jsonl", self.name),
            Err(error) => eprintln!("the history cannot be kept: {error}"),
        }
    }
}

/// Calls and faults, in the order in which they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The calls.
    pub calls: Vec<Call>,
    /// The faults.
    pub faults: Vec<Fault>,
}

impl History {
    /// The calls about one target.
    #[must_use]
    pub fn about(&self, target: &str) -> Vec<Call> {
        self.calls.iter().filter(|call| call.target == target).cloned().collect()
    }

    /// Whether the run shows anything at all: at least `calls_min` calls were answered or given
    /// up, and at least `faults_min` faults struck while a call was in flight.
    ///
    /// # Errors
    /// Says what there was too little of.
    pub fn suffices(&self, calls_min: usize, faults_min: usize) -> Result<(), String> {
        let struck = |fault: &&Fault| {
            let during = |call: &Call| call.invoked < fault.at && fault.at < call.ended;
            self.calls.iter().any(during)
        };
        let observed = self.faults.iter().filter(struck).count();
        if observed < faults_min {
            return Err(format!(
                "{observed} of {} faults struck while a call was in flight, {faults_min} are \
                 needed: this run shows nothing",
                self.faults.len()
            ));
        }
        if self.calls.len() < calls_min {
            return Err(format!(
                "{} calls were made, {calls_min} are needed: this run shows nothing",
                self.calls.len()
            ));
        }
        Ok(())
    }

    fn lines(&self) -> String {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let calls = self.calls.iter().map(|call| {
            let mut line = serde_json::json!({
                "client": call.client,
                "target": call.target,
                "invokedMicros": micros(call.invoked),
                "endedMicros": micros(call.ended),
            });
            match &call.action {
                Action::Write { payload, expected, outcome } => {
                    line["write"] = payload.as_str().into();
                    line["expected"] = (*expected).into();
                    match outcome {
                        Outcome::Done(revision) => line["done"] = (*revision).into(),
                        Outcome::Refused { current } => line["refused"] = (*current).into(),
                        Outcome::Unknown => line["unknown"] = true.into(),
                    }
                }
                Action::Read { revision, payload } => {
                    line["read"] = payload.as_str().into();
                    line["revision"] = (*revision).into();
                }
            }
            line
        });
        let faults = self
            .faults
            .iter()
            .map(|fault| serde_json::json!({ "fault": fault.name, "atMicros": micros(fault.at) }));
        calls.chain(faults).map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(faults: &[u64]) -> History {
        let call = |invoked: u64, ended: u64| Call {
            client: 0,
            target: "flags/x".to_owned(),
            invoked: Duration::from_micros(invoked),
            ended: Duration::from_micros(ended),
            action: Action::Write {
                payload: "a".to_owned(),
                expected: None,
                outcome: Outcome::Unknown,
            },
        };
        let fault = |at: &u64| Fault { name: "kill -9".to_owned(), at: Duration::from_micros(*at) };
        let faults = faults.iter().map(fault).collect();
        History { calls: vec![call(10, 20), call(30, 40)], faults }
    }

    #[test]
    fn a_run_whose_faults_hit_no_call_shows_nothing() {
        let why = history(&[5, 25, 50]).suffices(1, 1).unwrap_err();
        assert!(why.starts_with("0 of 3 faults struck while a call was in flight"), "{why}");
        history(&[5, 15]).suffices(1, 1).unwrap();
        assert!(history(&[15]).suffices(1, 2).is_err());
        assert!(history(&[]).suffices(1, 1).is_err());
    }

    #[test]
    fn a_run_of_too_few_calls_shows_nothing() {
        let why = history(&[15]).suffices(3, 1).unwrap_err();
        assert!(why.starts_with("2 calls were made, 3 are needed"), "{why}");
    }

    #[test]
    fn a_history_is_one_json_object_a_line() {
        let lines = history(&[15]).lines();
        let parsed: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[0]["unknown"], true);
        assert_eq!(parsed[2]["fault"], "kill -9");
    }

    #[tokio::test]
    async fn a_call_is_in_flight_from_its_beginning_to_its_end() {
        let recorder = Recorder::new("a-call");
        let begun = recorder.begin(0, "flags/x");
        assert_eq!((recorder.in_flight(), recorder.ended()), (1, 0));
        recorder.end(begun, Action::Read { revision: 0, payload: String::new() });
        assert_eq!((recorder.in_flight(), recorder.ended()), (0, 1));
        let call = &recorder.history().calls[0];
        assert!(call.invoked <= call.ended);
    }
}
