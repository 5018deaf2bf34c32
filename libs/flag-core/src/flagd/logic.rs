//! Rules, compiled: every operator is known and nothing is too deep before anybody asks.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::Value as Json;
use vocab::excerpt;

use super::Unanswered;
use super::coerce::{number_text, truthy};
use super::operator::Operator;
use super::run::Run;
use super::term::Term;
use crate::limits::LOGIC_DEPTH_MAX;
use crate::problem::Problem;

/// A compiled rule.
#[derive(Debug, Clone)]
pub(super) struct Logic(Node);

/// A part of a rule.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Stands for itself.
    Literal(Json),
    /// A list whose elements are evaluated.
    List(Vec<Node>),
    /// An operator and what it is applied to.
    Call(Operator, Vec<Node>),
}

/// What a part of a rule sees: the whole context, and the element that it is applied to.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    pub(super) root: &'a Json,
    pub(super) here: Term<'a>,
    /// Within `reduce`: `accumulator`; `here` is `current`.
    pub(super) accumulator: Option<Term<'a>>,
}

impl Logic {
    /// Compiles a rule.
    pub(super) fn compile(json: &Json) -> Result<Self, Problem> {
        compile(json, 1).map(Self)
    }

    /// The name of the variant that the rule says; `None` where it leaves it to the default.
    pub(super) fn variant(&self, context: &Json) -> Result<Option<String>, Unanswered> {
        let mut run = Run::new();
        let scope = Scope { root: context, here: Term::of(context), accumulator: None };
        Ok(match self.0.evaluate(&scope, &mut run)? {
            Term::Null => None,
            Term::Truth(truth) => Some(truth.to_string()),
            Term::Number(number) => Some(number_text(number)),
            Term::Text(text) => Some(text.into_owned()),
            Term::List(..) | Term::Json(Json::Array(_)) => Some("[...]".to_owned()),
            Term::Json(_) => Some("{...}".to_owned()),
        })
    }
}

/// JsonLogic takes an object of one field for an operator; any other is a literal.
fn compile(json: &Json, depth: usize) -> Result<Node, Problem> {
    if depth > LOGIC_DEPTH_MAX {
        let why = format!("is nested too deeply: expected at most {LOGIC_DEPTH_MAX} levels");
        return Err(Problem::new("", why));
    }
    match json {
        Json::Array(items) => {
            let nodes = compile_all(items, depth)?;
            if nodes.iter().all(|node| matches!(node, Node::Literal(_))) {
                return Ok(Node::Literal(json.clone()));
            }
            Ok(Node::List(nodes))
        }
        Json::Object(fields) => match (fields.iter().next(), fields.len()) {
            (Some((name, arguments)), 1) => {
                let operator = Operator::find(name).ok_or_else(|| {
                    let why =
                        format!("`{}` is not an operator of JsonLogic or flagd", excerpt(name));
                    Problem::new("", why)
                })?;
                let inside = |problem: Problem| problem.within(name);
                let nodes = match arguments {
                    Json::Array(items) => compile_all(items, depth).map_err(inside)?,
                    // What is applied to one thing need not be a list.
                    one @ (Json::Null
                    | Json::Bool(_)
                    | Json::Number(_)
                    | Json::String(_)
                    | Json::Object(_)) => vec![compile(one, depth + 1).map_err(inside)?],
                };
                Ok(Node::Call(operator, nodes))
            }
            (Some(_) | None, _) => Ok(Node::Literal(json.clone())),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Ok(Node::Literal(json.clone()))
        }
    }
}

fn compile_all(items: &[Json], depth: usize) -> Result<Vec<Node>, Problem> {
    let compiled = items.iter().enumerate().map(|(at, item)| {
        compile(item, depth + 1).map_err(|problem| problem.within(&format!("[{at}]")))
    });
    compiled.collect()
}

impl Node {
    /// Evaluates a part of a rule.
    pub(super) fn evaluate<'a>(
        &'a self,
        scope: &Scope<'a>,
        run: &mut Run,
    ) -> Result<Term<'a>, Unanswered> {
        run.spend(1)?;
        match self {
            Self::Literal(json) => Ok(Term::of(json)),
            Self::List(nodes) => {
                let items: Result<Rc<[_]>, _> =
                    nodes.iter().map(|node| node.evaluate(scope, run)).collect();
                Term::list(items?)
            }
            Self::Call(operator, nodes) => operator.apply(nodes, scope, run),
        }
    }

    /// Evaluates and asks whether it counts as true.
    pub(super) fn holds<'a>(
        &'a self,
        scope: &Scope<'a>,
        run: &mut Run,
    ) -> Result<bool, Unanswered> {
        self.evaluate(scope, run).map(|term| truthy(&term))
    }
}

impl<'a> Scope<'a> {
    /// The same context, seen from an element of a list.
    pub(super) const fn at(&self, here: Term<'a>) -> Self {
        Self { root: self.root, here, accumulator: None }
    }

    /// Looks a path up: parts between dots; everything where it is empty.
    pub(super) fn look_up(
        &self,
        path: &str,
        run: &mut Run,
    ) -> Result<Option<Term<'a>>, Unanswered> {
        if path.is_empty() {
            return Ok(Some(self.here.clone()));
        }
        let mut parts = path.split('.');
        let mut found = match (&self.accumulator, parts.next()) {
            (Some(accumulator), Some("accumulator")) => Some(accumulator.clone()),
            (Some(_), Some("current")) => Some(self.here.clone()),
            (Some(_), Some(_)) => None,
            (_, part) => part.and_then(|part| self.here.field(part)),
        };
        for part in parts {
            run.spend(1)?;
            found = found.and_then(|found| found.field(part));
        }
        Ok(found)
    }

    /// A text of the whole context.
    pub(super) fn root_text(&self, path: &[&str]) -> Option<Cow<'a, str>> {
        let mut here = self.root;
        for part in path {
            here = here.get(part)?;
        }
        here.as_str().map(Cow::Borrowed)
    }
}
