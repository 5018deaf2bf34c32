//! From text to a plan.

use crate::check::check;
use crate::node;
use crate::problem::{Problem, Problems};
use crate::shape::{Kind, PLAN};
use crate::validate::validate;
use crate::{Plan, decode};

impl Plan {
    /// Reads a plan file (YAML, one document) and checks all of it.
    ///
    /// A plan comes with its warnings: it holds, but people should know. Bounds: 1 MiB, 1,000
    /// items in a list, 500 characters in a text, 16 levels; no anchors, aliases or tags.
    ///
    /// # Errors
    /// Every problem in the order of the file, warnings among them. Where the text is no YAML,
    /// what follows the first slip cannot be read, and only what came before is reported.
    pub fn parse(text: &str) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut problems = Problems::default();
        let Some(tree) = node::read(text, &mut problems) else {
            return Err(problems.into_sorted());
        };
        check(&tree, &Kind::Object(&PLAN), "", &mut problems);
        validate(&tree, &mut problems);
        if problems.has_error() {
            return Err(problems.into_sorted());
        }
        match decode::plan(&tree) {
            Ok(plan) => Ok((plan, problems.into_sorted())),
            Err(problem) => Err(vec![problem]),
        }
    }
}
