//! Operators on texts.

use super::super::Unanswered;
use super::super::coerce::{number, same, text};
use super::super::run::Run;
use super::super::term::Term;
use crate::version;

/// `in`: a text in a text, or a thing in a list.
pub(super) fn within(what: &Term<'_>, place: &Term<'_>, run: &mut Run) -> Result<bool, Unanswered> {
    if let Term::Text(place) = place {
        run.spend_bytes(place.len())?;
        return Ok(place.contains(&*text(what, run)?));
    }
    for item in place.items() {
        if same(what, &item, run)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `cat`: everything as one text; nothing adds nothing.
pub(super) fn concatenate<'a>(terms: &[Term<'a>], run: &mut Run) -> Result<Term<'a>, Unanswered> {
    let mut made = String::new();
    for term in terms {
        if !matches!(term, Term::Null) {
            let part = text(term, run)?;
            run.spend_bytes(part.len())?;
            made.push_str(&part);
        }
    }
    Ok(Term::text(made))
}

/// `substr`: from a place, counted from the end where negative, and so many characters; all but the
/// last few where that is negative.
pub(super) fn substr<'a>(terms: &[Term<'a>], run: &mut Run) -> Result<Term<'a>, Unanswered> {
    let source = match terms.first() {
        None => return Ok(Term::text("undefined")),
        Some(term) => text(term, run)?,
    };
    run.spend_bytes(source.len())?;
    let count = source.chars().count();
    let place = |at: usize, otherwise: f64, run: &mut Run| match terms.get(at) {
        None => Ok(otherwise),
        Some(term) => number(term, run),
    };
    let start = whole(place(1, 0.0, run)?);
    let start = if start < 0 {
        count.saturating_sub(size(start.saturating_neg()))
    } else {
        size(start).min(count)
    };
    let end = match terms.get(2) {
        None => count,
        Some(term) => match whole(number(term, run)?) {
            length if length < 0 => count.saturating_sub(size(length.saturating_neg())),
            length => start.saturating_add(size(length)).min(count),
        },
    };
    let taken: String = source.chars().skip(start).take(end.saturating_sub(start)).collect();
    Ok(Term::text(taken))
}

/// A number without its fraction; 0 for what is none.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and texts are shorter")]
const fn whole(number: f64) -> i64 {
    number as i64
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `starts_with`, `ends_with`: nothing where not both are texts.
pub(super) fn edge<'a>(terms: &[Term<'a>], holds: fn(&str, &str) -> bool) -> Term<'a> {
    match terms {
        [Term::Text(text), Term::Text(edge)] => Term::Truth(holds(text, edge)),
        _ => Term::Null,
    }
}

/// `sem_ver`: nothing where it is not two versions and an operator.
pub(super) fn versions<'a>(terms: &[Term<'a>], run: &mut Run) -> Result<Term<'a>, Unanswered> {
    let [left, Term::Text(operator), right] = terms else { return Ok(Term::Null) };
    let (left, right) = (text(left, run)?, text(right, run)?);
    run.spend(10)?;
    let compared = match (version::parse(&left), version::parse(&right)) {
        (Some(left), Some(right)) => version::compares(&left, operator, &right),
        (Some(_) | None, _) => None,
    };
    Ok(compared.map_or(Term::Null, Term::Truth))
}
