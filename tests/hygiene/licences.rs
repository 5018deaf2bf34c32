//! Every dependency comes under a licence we may ship.

use softlaunch_tests::Blueprint;

/// Licences that ask for attribution, or for the library's own changes, at most.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be met with allowed licences only: one side of every `OR`, both
/// of every `AND`. `/` is the `OR` of old manifests.
fn is_allowed(expression: &str) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let (allowed, rest) = either(&words);
    allowed && rest.is_empty()
}

fn either<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut allowed, mut rest) = both(words);
    while let [first, tail @ ..] = rest
        && *first == "OR"
    {
        let (other, left) = both(tail);
        (allowed, rest) = (allowed || other, left);
    }
    (allowed, rest)
}

fn both<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut allowed, mut rest) = one(words);
    while let [first, tail @ ..] = rest
        && *first == "AND"
    {
        let (other, left) = one(tail);
        (allowed, rest) = (allowed && other, left);
    }
    (allowed, rest)
}

fn one<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    match words {
        ["(", inner @ ..] => match either(inner) {
            (allowed, [close, rest @ ..]) if *close == ")" => (allowed, rest),
            (_, rest) => (false, rest),
        },
        [licence, with, exception, rest @ ..] if *with == "WITH" => {
            (ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (ALLOWED.contains(licence), rest),
        [] => (false, words),
    }
}

#[test]
fn every_dependency_has_a_licence_we_may_ship() {
    let blueprint = Blueprint::read();
    let mut refused = Vec::new();
    for package in &blueprint.metadata.packages {
        let licence = package.license.as_deref().unwrap_or("none");
        if !is_allowed(licence) {
            refused.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(refused.is_empty(), "not on the list of licences:\n{}", refused.join("\n"));
}

#[test]
fn an_expression_is_allowed_where_one_choice_is() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "Apache-2.0 AND ISC",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["", "none", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR AGPL-3.0) AND MIT", "(MIT"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}
