//! Operators that look into lists and context.

use std::rc::Rc;

use super::super::Unanswered;
use super::super::coerce::{number, text, truthy};
use super::super::logic::{Node, Scope};
use super::super::run::Run;
use super::super::term::Term;

type Answer<'a> = Result<Term<'a>, Unanswered>;

/// `var`: what stands at a path, or a default.
pub(super) fn var<'a>(terms: &[Term<'a>], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let path = match terms.first() {
        None | Some(Term::Null) => String::new(),
        Some(path) => text(path, run)?.into_owned(),
    };
    let otherwise = || terms.get(1).cloned().unwrap_or(Term::Null);
    Ok(scope.look_up(&path, run)?.unwrap_or_else(otherwise))
}

/// `missing`: those of the paths at which nothing stands.
pub(super) fn missing<'a>(terms: &[Term<'a>], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let paths: Vec<_> = match terms.first() {
        Some(list) if list.length().is_some() => list.items().collect(),
        Some(_) | None => terms.to_vec(),
    };
    let mut missing = Vec::new();
    for path in paths {
        let name = text(&path, run)?;
        let found = scope.look_up(&name, run)?;
        if found.is_none_or(|found| match found {
            Term::Null => true,
            Term::Text(text) => text.is_empty(),
            Term::Truth(_) | Term::Number(_) | Term::List(..) | Term::Json(_) => false,
        }) {
            missing.push(path);
        }
    }
    Term::list(missing)
}

/// `missing_some`: what is missing, unless enough is there.
pub(super) fn missing_some<'a>(
    needed: &Term<'a>,
    paths: &Term<'a>,
    scope: &Scope<'a>,
    run: &mut Run,
) -> Answer<'a> {
    let needed = number(needed, run)?;
    let all = paths.length().unwrap_or(0);
    let absent = missing(std::slice::from_ref(paths), scope, run)?;
    let there = u32::try_from(all - absent.length().unwrap_or(0).min(all)).unwrap_or(u32::MAX);
    if f64::from(there) >= needed { Term::list([]) } else { Ok(absent) }
}

/// The list that the first argument is; `None` where it is none.
fn list<'a>(
    nodes: &'a [Node],
    scope: &Scope<'a>,
    run: &mut Run,
) -> Result<Option<Term<'a>>, Unanswered> {
    let Some(node) = nodes.first() else { return Ok(None) };
    Ok(Some(node.evaluate(scope, run)?).filter(|list| list.length().is_some()))
}

/// What the second argument says of an element; nothing where there is none.
fn each<'a>(nodes: &'a [Node], item: Term<'a>, scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    run.spend(1)?;
    nodes.get(1).map_or(Ok(Term::Null), |body| body.evaluate(&scope.at(item), run))
}

pub(super) fn map<'a>(nodes: &'a [Node], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let Some(list) = list(nodes, scope, run)? else { return Term::list([]) };
    let made: Result<Rc<[_]>, _> = list.items().map(|item| each(nodes, item, scope, run)).collect();
    Term::list(made?)
}

pub(super) fn filter<'a>(nodes: &'a [Node], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let mut kept = Vec::new();
    if let Some(list) = list(nodes, scope, run)? {
        for item in list.items() {
            if truthy(&each(nodes, item.clone(), scope, run)?) {
                kept.push(item);
            }
        }
    }
    Term::list(kept)
}

pub(super) fn reduce<'a>(nodes: &'a [Node], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let mut accumulator = match nodes.get(2) {
        Some(initial) => initial.evaluate(scope, run)?,
        None => Term::Null,
    };
    let (Some(list), Some(body)) = (list(nodes, scope, run)?, nodes.get(1)) else {
        return Ok(accumulator);
    };
    for item in list.items() {
        run.spend(1)?;
        let scope = Scope { accumulator: Some(accumulator), ..scope.at(item) };
        accumulator = body.evaluate(&scope, run)?;
    }
    Ok(accumulator)
}

/// `all`: of an empty list nothing holds.
pub(super) fn all<'a>(nodes: &'a [Node], scope: &Scope<'a>, run: &mut Run) -> Answer<'a> {
    let Some(list) = list(nodes, scope, run)? else { return Ok(Term::Truth(false)) };
    for item in list.items() {
        if !truthy(&each(nodes, item, scope, run)?) {
            return Ok(Term::Truth(false));
        }
    }
    Ok(Term::Truth(list.length() != Some(0)))
}

pub(super) fn some<'a>(
    nodes: &'a [Node],
    scope: &Scope<'a>,
    run: &mut Run,
) -> Result<bool, Unanswered> {
    let Some(list) = list(nodes, scope, run)? else { return Ok(false) };
    for item in list.items() {
        if truthy(&each(nodes, item, scope, run)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `merge`: one list of lists and of single things.
pub(super) fn merge<'a>(terms: &[Term<'a>], run: &mut Run) -> Answer<'a> {
    let mut merged = Vec::new();
    for term in terms {
        run.spend(term.length().unwrap_or(1))?;
        if term.length().is_some() {
            merged.extend(term.items());
        } else {
            merged.push(term.clone());
        }
    }
    Term::list(merged)
}
