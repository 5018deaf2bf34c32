//! What is wrong with a plan file, and where.

use std::fmt;

/// More than this many problems say nothing new; the rest is left out, and said.
const PROBLEMS_MAX: usize = 500;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The plan is refused.
    Error,
    /// The plan loads; people should know.
    Warning,
}

/// One thing wrong with a plan file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the document, e.g. `phases[2].ramp[1].percentage`; empty for the whole of it.
    pub path: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// The column in the line, from 1, in characters.
    pub column: usize,
    /// What is wrong and what is allowed, as a lowercase fragment.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let path = if self.path.is_empty() { "plan" } else { &self.path };
        write!(f, "{}:{}: {severity}: {path}: {}", self.line, self.column, self.message)
    }
}

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    pub(crate) fn error(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.add(Severity::Error, place, path, message.into());
    }

    pub(crate) fn warning(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.add(Severity::Warning, place, path, message.into());
    }

    fn add(&mut self, severity: Severity, place: Place, path: &str, message: String) {
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let Place { line, column } = place;
        self.found.push(Problem { severity, path: path.to_owned(), line, column, message });
    }

    /// Whether another problem would be left out.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    pub(crate) fn has_error(&self) -> bool {
        self.left_out > 0 || self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        if self.left_out > 0 {
            let message = format!("and {} more problems", self.left_out);
            let Place { line, column } = Place::START;
            self.found.push(Problem {
                severity: Severity::Error,
                path: String::new(),
                line,
                column,
                message,
            });
        }
        self.found
    }
}
