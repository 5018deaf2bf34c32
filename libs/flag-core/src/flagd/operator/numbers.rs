//! Operators on numbers. What is no number makes the result none.

use std::cmp::Ordering;

use super::super::Unanswered;
use super::super::coerce::{leading_number, number, order};
use super::super::run::Run;
use super::super::term::Term;

/// `>`, `>=`: of the first two.
pub(super) fn compare(
    terms: &[Term<'_>],
    wanted: fn(Ordering) -> bool,
    run: &mut Run,
) -> Result<bool, Unanswered> {
    let [left, right, ..] = terms else { return Ok(false) }; // With undefined, nothing compares.
    Ok(order(left, right, run)?.is_some_and(wanted))
}

/// `<`, `<=`: of two, or of one between two.
pub(super) fn between(
    terms: &[Term<'_>],
    wanted: fn(Ordering) -> bool,
    run: &mut Run,
) -> Result<bool, Unanswered> {
    Ok(compare(terms, wanted, run)? && (terms.len() < 3 || compare(&terms[1..], wanted, run)?))
}

/// `+`, `*`: of the numbers that the terms begin with.
pub(super) fn fold<'a>(
    terms: &[Term<'a>],
    start: f64,
    combine: fn(f64, f64) -> f64,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    run.spend(terms.len())?;
    let folded = terms
        .iter()
        .try_fold(start, |so_far, term| Ok(combine(so_far, leading_number(term, run)?)));
    folded.map(Term::Number)
}

/// `/`, `%`.
pub(super) fn pair<'a>(
    terms: &[Term<'a>],
    combine: fn(f64, f64) -> f64,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    let [left, right, ..] = terms else { return Ok(Term::Number(f64::NAN)) };
    Ok(Term::Number(combine(number(left, run)?, number(right, run)?)))
}

/// `-`: of two, or the opposite of one.
pub(super) fn subtract<'a>(terms: &[Term<'a>], run: &mut Run) -> Result<Term<'a>, Unanswered> {
    match terms {
        [one] => Ok(Term::Number(-number(one, run)?)),
        _ => pair(terms, |left, right| left - right, run),
    }
}

/// `max`, `min`.
pub(super) fn extreme<'a>(
    terms: &[Term<'a>],
    start: f64,
    choose: fn(f64, f64) -> f64,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    let mut found = start;
    for term in terms {
        run.spend(1)?;
        let number = number(term, run)?;
        if number.is_nan() {
            return Ok(Term::Number(number));
        }
        found = choose(found, number);
    }
    Ok(Term::Number(found))
}
