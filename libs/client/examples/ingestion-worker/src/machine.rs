//! The states of an upload and the ways between them (D6.6).

use std::fmt;

use vocab::Timestamp;

/// A state of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is there.
    Received,
    /// The file is being checked.
    Validating,
    /// The file is wrong; the end.
    Rejected,
    /// Its rows are being staged.
    Staging,
    /// Staging failed and will be tried again.
    Retrying,
    /// Staged rows are being summed.
    Aggregating,
    /// Its results are there; the end.
    Committed,
    /// Staging failed too often; the end.
    Failed,
}

impl State {
    /// The name plans and reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Validating => "validating",
            Self::Rejected => "rejected",
            Self::Staging => "staging",
            Self::Retrying => "retrying",
            Self::Aggregating => "aggregating",
            Self::Committed => "committed",
            Self::Failed => "failed",
        }
    }
}

/// Every way there is.
pub const WAYS: [(State, State); 8] = [
    (State::Received, State::Validating),
    (State::Validating, State::Rejected),
    (State::Validating, State::Staging),
    (State::Staging, State::Retrying),
    (State::Retrying, State::Staging),
    (State::Staging, State::Aggregating),
    (State::Aggregating, State::Committed),
    (State::Staging, State::Failed),
];

/// A step an upload took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From where.
    pub from: State,
    /// To where.
    pub to: State,
    /// When.
    pub at: Timestamp,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.from.name(), self.to.name())
    }
}

/// A step there is no way for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no way leads from {} to {}", from.name(), to.name())]
pub struct NoWay {
    /// From where.
    pub from: State,
    /// To where.
    pub to: State,
}

/// One upload on its way, with every step it took.
#[derive(Debug, Clone)]
pub struct Machine {
    state: State,
    steps: Vec<Transition>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { state: State::Received, steps: Vec::new() }
    }
}

impl Machine {
    /// Where the upload stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The steps it took, oldest first.
    #[must_use]
    pub fn steps(&self) -> &[Transition] {
        &self.steps
    }

    /// Goes to `to`.
    ///
    /// # Errors
    /// Stays where it is if there is no way.
    pub fn go(&mut self, to: State, at: Timestamp) -> Result<Transition, NoWay> {
        let from = self.state;
        if !WAYS.contains(&(from, to)) {
            return Err(NoWay { from, to });
        }
        let step = Transition { from, to, at };
        self.state = to;
        self.steps.push(step);
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = include_str!("../../../../../deploy/plans/ingestion_v2.yaml");

    #[test]
    fn the_ways_are_those_of_the_plan() {
        let lines = PLAN.lines().skip_while(|line| !line.starts_with("state_transitions:"));
        let planned: Vec<_> =
            lines.skip(1).map_while(|line| line.trim().strip_prefix("- ")).collect();
        let ours: Vec<_> =
            WAYS.iter().map(|(from, to)| format!("{}->{}", from.name(), to.name())).collect();
        assert_eq!(ours, planned);
    }

    #[test]
    fn an_upload_goes_only_where_a_way_leads_and_remembers_its_steps() {
        let mut machine = Machine::default();
        let refusal = machine.go(State::Committed, Timestamp::EPOCH).unwrap_err();
        assert_eq!(refusal.to_string(), "no way leads from received to committed");
        machine.go(State::Validating, Timestamp::EPOCH).unwrap();
        machine.go(State::Rejected, Timestamp::EPOCH).unwrap();
        assert!(machine.go(State::Staging, Timestamp::EPOCH).is_err());
        let steps: Vec<_> = machine.steps().iter().map(ToString::to_string).collect();
        assert_eq!(steps, ["received->validating", "validating->rejected"]);
    }
}
