//! From text to a plan.

use crate::check::check;
use crate::node;
use crate::problem::{Problem, Problems};
use crate::shape::{DIRECTORY, Kind, PLAN};
use crate::validate::{each_contact_once, validate};
use crate::{Contact, Plan, decode};

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

/// Reads a directory: a YAML file with `contacts`, as a plan has them, for those who are not to be
/// in the plan. The same bounds as a plan's: 1 MiB, 1,000 contacts.
///
/// # Errors
/// Every problem in the order of the file.
pub fn read_contacts(text: &str) -> Result<Vec<Contact>, Vec<Problem>> {
    let mut problems = Problems::default();
    let Some(tree) = node::read(text, &mut problems) else {
        return Err(problems.into_sorted());
    };
    check(&tree, &Kind::Object(&DIRECTORY), "", &mut problems);
    each_contact_once(&tree, &mut problems);
    if problems.has_error() {
        return Err(problems.into_sorted());
    }
    decode::directory(&tree).map_err(|problem| vec![problem])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_as_the_contacts_of_a_plan_are() {
        let text =
            "contacts:\n  - { id: acme, addresses: [ops@acme.example], workspaces: [acme-*] }\n";
        let contacts = read_contacts(text).unwrap();
        assert_eq!(contacts.len(), 1);
        assert!(contacts[0].workspaces[0].matches("acme-1"));
    }

    #[test]
    fn every_problem_of_a_directory_is_said_with_its_line() {
        let text = "contacts:\n  - { id: acme, addresses: [nobody] }\n  - { id: acme, \
                    addresses: [a@example.com], phone: 5 }\n";
        let said: Vec<_> =
            read_contacts(text).unwrap_err().iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        for wanted in ["a mail address", "is there already, on line 2", "phone"] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        assert!(read_contacts("contacts: {").is_err());
        assert!(read_contacts("").is_err());
    }
}
