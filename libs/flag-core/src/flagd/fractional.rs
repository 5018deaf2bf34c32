//! `fractional`: shares of variants by the hash of a bucket key, in its newest generation.

use super::Unanswered;
use super::cbor::encode;
use super::logic::Scope;
use super::run::Run;
use super::term::Term;
use crate::bucket::murmur3;

const WEIGHT_MAX: u64 = i32::MAX as u64; // flagd's own bound on all weights together.

/// Picks one of the shares. Nothing where there is no bucket key, or a share is malformed: then the
/// flag's default variant holds.
///
/// With a first argument that is no list, that is the bucket key; without, it is the list of flag
/// key and targeting key.
pub(super) fn fractional<'a>(
    terms: &[Term<'a>],
    scope: &Scope<'a>,
    run: &mut Run,
) -> Result<Term<'a>, Unanswered> {
    let Some(first) = terms.first() else { return Ok(Term::Null) };
    let (key, shares) = if first.length().is_some() {
        let key = scope.root_text(&["targetingKey"]).filter(|key| !key.is_empty());
        let Some(key) = key else { return Ok(Term::Null) };
        let flag = scope.root_text(&["$flagd", "flagKey"]).unwrap_or_default();
        (Term::list([Term::Text(flag), Term::Text(key)])?, terms)
    } else {
        (first.clone(), &terms[1..])
    };
    if matches!(key, Term::Null) {
        return Ok(Term::Null);
    }
    run.spend(shares.len())?;
    let encoded = encode(&key);
    run.spend_bytes(encoded.len())?;
    let Some(shares) = shares.iter().map(share).collect::<Option<Vec<_>>>() else {
        return Ok(Term::Null);
    };
    let total: u64 = shares.iter().map(|(_, weight)| weight).sum();
    if total == 0 || total > WEIGHT_MAX {
        return Ok(Term::Null);
    }
    let bucket = (u64::from(murmur3(&encoded)) * total) >> 32;
    let mut end = 0;
    for (variant, weight) in shares {
        end += weight;
        if bucket < end {
            return Ok(variant);
        }
    }
    Ok(Term::Null)
}

/// A variant and its weight: 1 where none is given, 0 where it is negative.
fn share<'a>(term: &Term<'a>) -> Option<(Term<'a>, u64)> {
    let variant = term.item(0)?;
    match (term.length(), term.item(1)) {
        (Some(1), _) => Some((variant, 1)),
        (Some(2), Some(Term::Number(weight))) => weight_of(weight).map(|weight| (variant, weight)),
        (Some(_) | None, _) => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole")]
fn weight_of(weight: f64) -> Option<u64> {
    if weight.fract() != 0.0 || !weight.is_finite() {
        return None;
    }
    Some(weight.clamp(0.0, (WEIGHT_MAX + 1) as f64) as u64)
}
