//! What is wrong with a definition, and where.

use std::fmt;

/// A field that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, e.g. `rules[2].condition.test.number`; empty for the whole.
    pub path: String,
    /// What was wrong and what would be right, as a lowercase fragment.
    pub why: String,
}

impl Problem {
    /// A problem of a field.
    pub fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into() }
    }

    /// The same, seen from further out.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.path = join(outer, &self.path);
        self
    }
}

/// A path from two parts, either of which may be empty.
#[must_use]
pub fn join(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", inner) => inner.to_owned(),
        (outer, "") => outer.to_owned(),
        (outer, inner) if inner.starts_with('[') => format!("{outer}{inner}"),
        (outer, inner) => format!("{outer}.{inner}"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "{}: {}", self.path, self.why)
        }
    }
}

impl std::error::Error for Problem {}

/// Refuses more than `max` of something.
pub(crate) fn at_most(path: &str, what: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count <= max {
        return Ok(());
    }
    Err(Problem::new(path, format!("{count} {what} are too many: expected at most {max}")))
}
