//! The operators of JsonLogic, as its JavaScript reference has them, and flagd's.

mod lists;
mod numbers;
mod texts;

use std::cmp::Ordering;

use super::Unanswered;
use super::coerce::{alike, same, truthy};
use super::fractional::fractional;
use super::logic::{Node, Scope};
use super::run::Run;
use super::term::Term;

macro_rules! operators {
    ($($name:literal $variant:ident),* $(,)?) => {
        /// An operator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operator { $($variant),* }

        impl Operator {
            /// Finds an operator by its name in a rule.
            pub(super) fn find(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    "?:" => Some(Self::If),
                    _ => None,
                }
            }
        }
    };
}

operators! {
    "var" Var, "missing" Missing, "missing_some" MissingSome,
    "if" If, "and" And, "or" Or, "!" Not, "!!" Truthy,
    "==" Alike, "===" Same, "!=" NotAlike, "!==" NotSame,
    "<" Below, "<=" AtMost, ">" Above, ">=" AtLeast,
    "max" Max, "min" Min, "+" Add, "-" Subtract, "*" Multiply, "/" Divide, "%" Remainder,
    "map" Map, "filter" Filter, "reduce" Reduce, "all" All, "some" Some, "none" None,
    "merge" Merge, "in" In, "cat" Cat, "substr" Substr, "log" Log,
    "fractional" Fractional, "starts_with" StartsWith, "ends_with" EndsWith, "sem_ver" SemVer,
}

impl Operator {
    /// Applies an operator. Those that do not need all their arguments evaluate what they need.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others need all of them")]
    pub(super) fn apply<'a>(
        self,
        nodes: &'a [Node],
        scope: &Scope<'a>,
        run: &mut Run,
    ) -> Result<Term<'a>, Unanswered> {
        match self {
            Self::If => condition(nodes, scope, run),
            Self::And => first(nodes, false, scope, run),
            Self::Or => first(nodes, true, scope, run),
            Self::Map => lists::map(nodes, scope, run),
            Self::Filter => lists::filter(nodes, scope, run),
            Self::Reduce => lists::reduce(nodes, scope, run),
            Self::All => lists::all(nodes, scope, run),
            Self::Some => lists::some(nodes, scope, run).map(Term::Truth),
            Self::None => lists::some(nodes, scope, run).map(|some| Term::Truth(!some)),
            _ => {
                let terms: Vec<_> =
                    nodes.iter().map(|node| node.evaluate(scope, run)).collect::<Result<_, _>>()?;
                self.strict(&terms, scope, run)
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are applied above")]
    fn strict<'a>(
        self,
        terms: &[Term<'a>],
        scope: &Scope<'a>,
        run: &mut Run,
    ) -> Result<Term<'a>, Unanswered> {
        let nothing = Term::Null;
        let (one, two) = (terms.first().unwrap_or(&nothing), terms.get(1).unwrap_or(&nothing));
        Ok(match self {
            Self::Var => lists::var(terms, scope, run)?,
            Self::Missing => lists::missing(terms, scope, run)?,
            Self::MissingSome => lists::missing_some(one, two, scope, run)?,
            Self::Not => Term::Truth(!truthy(one)),
            Self::Truthy => Term::Truth(truthy(one)),
            Self::Alike => Term::Truth(alike(one, two, run)?),
            Self::Same => Term::Truth(same(one, two, run)?),
            Self::NotAlike => Term::Truth(!alike(one, two, run)?),
            Self::NotSame => Term::Truth(!same(one, two, run)?),
            Self::Below => Term::Truth(numbers::between(terms, Ordering::is_lt, run)?),
            Self::AtMost => Term::Truth(numbers::between(terms, Ordering::is_le, run)?),
            Self::Above => Term::Truth(numbers::compare(terms, Ordering::is_gt, run)?),
            Self::AtLeast => Term::Truth(numbers::compare(terms, Ordering::is_ge, run)?),
            Self::Max => numbers::extreme(terms, f64::NEG_INFINITY, f64::max, run)?,
            Self::Min => numbers::extreme(terms, f64::INFINITY, f64::min, run)?,
            Self::Add => numbers::fold(terms, 0.0, |left, right| left + right, run)?,
            Self::Multiply => numbers::fold(terms, 1.0, |left, right| left * right, run)?,
            Self::Subtract => numbers::subtract(terms, run)?,
            Self::Divide => numbers::pair(terms, |left, right| left / right, run)?,
            Self::Remainder => numbers::pair(terms, |left, right| left % right, run)?,
            Self::Merge => lists::merge(terms, run)?,
            Self::In => Term::Truth(texts::within(one, two, run)?),
            Self::Cat => texts::concatenate(terms, run)?,
            Self::Substr => texts::substr(terms, run)?,
            Self::Log => one.clone(),
            Self::Fractional => fractional(terms, scope, run)?,
            Self::StartsWith => texts::edge(terms, |text, edge| text.starts_with(edge)),
            Self::EndsWith => texts::edge(terms, |text, edge| text.ends_with(edge)),
            Self::SemVer => texts::versions(terms, run)?,
            _ => Term::Null,
        })
    }
}

/// `if`: pairs of condition and result, and what holds otherwise.
fn condition<'a>(
    nodes: &'a [Node],
    scope: &Scope<'a>,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    for pair in nodes.chunks(2) {
        match pair {
            [condition, result] => {
                if condition.holds(scope, run)? {
                    return result.evaluate(scope, run);
                }
            }
            [otherwise, ..] => return otherwise.evaluate(scope, run),
            [] => {}
        }
    }
    Ok(Term::Null)
}

/// `and`, `or`: the first that counts as `wanted`, else the last.
fn first<'a>(
    nodes: &'a [Node],
    wanted: bool,
    scope: &Scope<'a>,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    let mut last = Term::Null;
    for node in nodes {
        last = node.evaluate(scope, run)?;
        if truthy(&last) == wanted {
            break;
        }
    }
    Ok(last)
}
