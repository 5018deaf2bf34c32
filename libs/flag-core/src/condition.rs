//! Conditions on attributes: what holds of a workspace or not.

use serde_json::Value as Json;
use vocab::Pattern;

use crate::context::{Fact, Facts};
use crate::limits::{ATTRIBUTE_NAME_BYTES_MAX, CONDITION_DEPTH_MAX, IN_MAX};
use crate::problem::{Problem, at_most};
use crate::version;

/// The workspace id, as a test names it.
pub const KEY_ATTRIBUTE: &str = "targetingKey";

/// Something that holds of a workspace or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A test of one attribute.
    Test(AttributeTest),
    /// All of them.
    All(Vec<Self>),
    /// Any of them.
    Any(Vec<Self>),
    /// Not this one.
    Not(Box<Self>),
}

/// A test of one attribute. It fails where the attribute is absent or of another type.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeTest {
    attribute: Box<str>,
    test: Test,
}

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is this text.
    Text(String),
    /// It is this truth value.
    Truth(bool),
    /// It is one of these texts.
    Texts(Vec<String>),
    /// It is one of these numbers.
    Numbers(Vec<f64>),
    /// It is a number that compares so.
    Number(Comparison, f64),
    /// It is a text that fits.
    Glob(Pattern),
    /// It is a semantic version that compares so.
    Version(Comparison, Box<semver::Version>),
}

/// How two things compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// Smaller.
    Below,
    /// Smaller or the same.
    AtMost,
    /// Greater.
    Above,
    /// Greater or the same.
    AtLeast,
    /// Of the same major version.
    SameMajor,
    /// Of the same major and minor version.
    SameMinor,
}

impl Comparison {
    /// The operator of flagd's `sem_ver`.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::SameMajor => "^",
            Self::SameMinor => "~",
        }
    }

    #[expect(clippy::float_cmp, reason = "an attribute is equal or it is not")]
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::SameMajor | Self::SameMinor => false, // Refused when made.
        }
    }
}

impl AttributeTest {
    /// Checks a test.
    ///
    /// # Errors
    /// Names the field, relative to the test.
    pub fn new(attribute: &str, test: Test) -> Result<Self, Problem> {
        check_attribute(attribute).map_err(|problem| problem.within("attribute"))?;
        match &test {
            Test::Texts(texts) => at_most("in", "values", texts.len(), IN_MAX)?,
            Test::Numbers(numbers) => at_most("in", "values", numbers.len(), IN_MAX)?,
            Test::Number(Comparison::SameMajor | Comparison::SameMinor, _) => {
                let why = "numbers have no major or minor part: use a version test";
                return Err(Problem::new("number.comparison", why));
            }
            Test::Text(_)
            | Test::Truth(_)
            | Test::Number(..)
            | Test::Glob(_)
            | Test::Version(..) => {}
        }
        let numbers = match &test {
            Test::Numbers(numbers) => numbers.as_slice(),
            Test::Number(_, number) => std::slice::from_ref(number),
            Test::Text(_) | Test::Truth(_) | Test::Texts(_) | Test::Glob(_) | Test::Version(..) => {
                &[]
            }
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(Problem::new("number", "is not a finite number"));
        }
        Ok(Self { attribute: attribute.into(), test })
    }

    /// The attribute.
    #[must_use]
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// The test.
    #[must_use]
    pub const fn test(&self) -> &Test {
        &self.test
    }

    fn passes<F: Facts + ?Sized>(&self, key: Option<&str>, facts: &F) -> bool {
        let fact = if &*self.attribute == KEY_ATTRIBUTE {
            key.map(Fact::Text)
        } else {
            facts.fact(&self.attribute)
        };
        match (fact, &self.test) {
            (Some(Fact::Text(text)), Test::Text(wanted)) => text == wanted,
            (Some(Fact::Text(text)), Test::Texts(wanted)) => wanted.iter().any(|one| one == text),
            (Some(Fact::Text(text)), Test::Glob(glob)) => glob.matches(text),
            (Some(Fact::Text(text)), Test::Version(comparison, wanted)) => version::parse(text)
                .and_then(|found| version::compares(&found, comparison.operator(), wanted))
                .unwrap_or(false),
            (Some(Fact::Truth(truth)), Test::Truth(wanted)) => truth == *wanted,
            (Some(Fact::Number(number)), Test::Number(comparison, wanted)) => {
                comparison.holds(number, *wanted)
            }
            (Some(Fact::Number(number)), Test::Numbers(wanted)) => {
                wanted.iter().any(|one| Comparison::Equal.holds(number, *one))
            }
            (Some(Fact::Text(_) | Fact::Truth(_) | Fact::Number(_) | Fact::Nested) | None, _) => {
                false
            }
        }
    }
}

impl Condition {
    /// Whether it holds.
    pub fn holds<F: Facts + ?Sized>(&self, key: Option<&str>, facts: &F) -> bool {
        match self {
            Self::Test(test) => test.passes(key, facts),
            Self::All(all) => all.iter().all(|one| one.holds(key, facts)),
            Self::Any(any) => any.iter().any(|one| one.holds(key, facts)),
            Self::Not(not) => !not.holds(key, facts),
        }
    }

    /// How many tests there are, as long as it is not too deep.
    ///
    /// # Errors
    /// Refuses more than [`CONDITION_DEPTH_MAX`] levels, and lists of none.
    pub fn count(&self) -> Result<usize, Problem> {
        self.count_within(1)
    }

    fn count_within(&self, depth: usize) -> Result<usize, Problem> {
        if depth > CONDITION_DEPTH_MAX {
            let why =
                format!("is nested too deeply: expected at most {CONDITION_DEPTH_MAX} levels");
            return Err(Problem::new("", why));
        }
        match self {
            Self::Test(_) => Ok(1),
            Self::All(list) | Self::Any(list) if list.is_empty() => {
                Err(Problem::new("", "expected at least one condition"))
            }
            Self::All(list) | Self::Any(list) => {
                list.iter().try_fold(0, |sum, one| Ok(sum + one.count_within(depth + 1)?))
            }
            Self::Not(not) => not.count_within(depth + 1),
        }
    }
}

/// Checks the name of an attribute that a rule or an exclusion looks at.
///
/// # Errors
/// Refuses names that JsonLogic would take for paths, and control characters.
pub fn check_attribute(name: &str) -> Result<(), Problem> {
    let within = (1..=ATTRIBUTE_NAME_BYTES_MAX).contains(&name.len());
    if within && !name.contains('.') && !name.chars().any(char::is_control) && name != "$flagd" {
        return Ok(());
    }
    let why = format!(
        "`{}` is not an attribute: expected 1 to {ATTRIBUTE_NAME_BYTES_MAX} bytes without `.` and \
         control characters",
        vocab::excerpt(name)
    );
    Err(Problem::new("", why))
}

/// The values of an `in` as JSON, for an export.
pub(crate) fn listed<T: Clone>(values: &[T]) -> Json
where
    Json: From<T>,
{
    Json::Array(values.iter().cloned().map(Json::from).collect())
}
