//! Writing a flag as flagd defines it, such that every provider that evaluates in-process answers
//! what this service answers.
//!
//! Only what all implementations of JsonLogic agree on is used. Types are asked for by what `cat`
//! makes of a value, since some engines take `1` and `true` for the same.

use plan::{Exclusion, ExclusionTest};
use serde_json::{Map, Value as Json, json};
use vocab::{BasisPoints, Parts, Pattern};

use crate::audience::{Audience, Serve, Split};
use crate::condition::{AttributeTest, Comparison, Condition, Test, listed};
use crate::context::{Attributes, number_as_json};
use crate::flag::{Definition, Flag};
use crate::patterns::Patterns;
use crate::value::VariantIndex;

use super::Imported;

/// What a kill switch does to a flag now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Everybody is stopped.
    pub killed: bool,
    /// These workspaces are stopped.
    pub stopped: Vec<Pattern>,
}

/// Writes the definition of one flag, under what a kill switch does to it. A flag that is killed or
/// paused is its default variant for everybody.
#[must_use]
pub fn export(flag: &Flag, effect: &Effect) -> Json {
    let off = effect.killed || flag.paused;
    match &flag.definition {
        Definition::Audience(audience) => {
            let default = name(audience, audience.variants.default_index());
            let targeting =
                if off { json!({ "if": [true, default] }) } else { targeting(audience, effect) };
            let variants = audience.variants.list().iter();
            let variants: Map<_, _> =
                variants.map(|one| (one.name.to_string(), one.value.as_json())).collect();
            json!({
                "state": "ENABLED",
                "variants": variants,
                "defaultVariant": default,
                "targeting": targeting,
                "metadata": metadata(&flag.about.metadata),
            })
        }
        Definition::Imported(imported) => imported_under(imported, off, effect),
    }
}

/// A whole document of definitions by key.
#[must_use]
pub fn document(flags: impl IntoIterator<Item = (String, Json)>, about: &Attributes) -> Json {
    let flags: Map<_, _> = flags.into_iter().collect();
    json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": flags,
        "metadata": metadata(about),
    })
}

fn metadata(attributes: &Attributes) -> Json {
    Json::Object(attributes.iter().map(|(name, value)| (name.clone(), value.into())).collect())
}

fn imported_under(imported: &Imported, off: bool, effect: &Effect) -> Json {
    let mut definition = imported.source().clone();
    let untouched = !off && effect.stopped.is_empty();
    let Some(fields) = definition.as_object_mut().filter(|_| !untouched && !imported.is_disabled())
    else {
        return definition;
    };
    let variant =
        imported.off(crate::Reason::Killed).variant.map(|variant| variant.name.to_string());
    let rule =
        fields.get("targeting").filter(|rule| rule.as_object().is_some_and(|it| !it.is_empty()));
    let rule = rule.or_else(|| fields.get("defaultVariant")).cloned().unwrap_or(Json::Null);
    match (off, variant) {
        (true, Some(variant)) => {
            fields.insert("targeting".to_owned(), json!({ "if": [true, variant] }))
        }
        // There is nothing to serve: callers' own values hold.
        (_, None) => fields.insert("state".to_owned(), json!("DISABLED")),
        (false, Some(variant)) => {
            let stopped = one_of(&effect.stopped);
            fields.insert("targeting".to_owned(), json!({ "if": [stopped, variant, rule] }))
        }
    };
    definition
}

fn name(audience: &Audience, index: VariantIndex) -> &str {
    &audience.variants.at(index).name
}

/// Kill, deny, allow, disabled, excluded, rules, share: a chain of `if`.
fn targeting(audience: &Audience, effect: &Effect) -> Json {
    let default = name(audience, audience.variants.default_index());
    let mut chain = Vec::new();
    let mut when = |condition: Json, then: Json| chain.extend([condition, then]);
    if !effect.stopped.is_empty() {
        when(one_of(&effect.stopped), json!(default));
    }
    if !audience.deny.is_empty() {
        when(any_of(&audience.deny), json!(default));
    }
    if let Some(on) = audience.variants.on_index().filter(|_| !audience.allow.is_empty()) {
        when(any_of(&audience.allow), json!(name(audience, on)));
    }
    if !audience.enabled {
        chain.push(json!(default));
        return chained(chain);
    }
    let exclusions: Vec<_> = audience.exclusions.iter().map(exclusion).collect();
    if !exclusions.is_empty() {
        when(json!({ "or": exclusions }), json!(default));
    }
    for rule in &audience.rules {
        let serve = match &rule.serve {
            Serve::Variant(variant) => json!(name(audience, *variant)),
            Serve::Split(split) => fractional(audience, split),
        };
        when(condition(&rule.condition), serve);
    }
    chain.push(share(audience));
    chained(chain)
}

/// One that stands alone must still be a rule: a name is none.
fn chained(mut chain: Vec<Json>) -> Json {
    match chain.pop() {
        Some(only @ Json::Object(_)) if chain.is_empty() => only,
        Some(only) if chain.is_empty() => json!({ "if": [true, only] }),
        last => {
            chain.extend(last);
            json!({ "if": chain })
        }
    }
}

fn share(audience: &Audience) -> Json {
    if !audience.split.is_empty() {
        return fractional(audience, &audience.split);
    }
    let default = name(audience, audience.variants.default_index());
    let Some(on) = audience.variants.on_index() else { return json!(default) };
    let (share, all) = (audience.percentage.get(), BasisPoints::ALL.get());
    json!({ "fractional": [[name(audience, on), share], [default, all - share]] })
}

fn fractional(audience: &Audience, split: &Split) -> Json {
    let shares = split.shares().iter();
    let mut shares: Vec<_> =
        shares.map(|one| json!([name(audience, one.variant), one.weight.get()])).collect();
    let given: u16 = split.shares().iter().map(|share| share.weight.get()).sum();
    let left = BasisPoints::ALL.get() - given;
    shares.push(json!([name(audience, audience.variants.default_index()), left]));
    json!({ "fractional": shares })
}

fn key() -> Json {
    json!({ "var": "targetingKey" })
}

fn any_of(patterns: &Patterns) -> Json {
    one_of(patterns.listed())
}

/// Whether the key fits one of the patterns.
fn one_of(patterns: &[Pattern]) -> Json {
    let mut exact = Vec::new();
    let mut tests = Vec::new();
    for pattern in patterns {
        match pattern.parts() {
            Parts::Exact(id) => exact.push(id),
            // Whoever says who it is: an empty key says nothing.
            Parts::Any => tests.push(json!({ "and": [is_text(&key()), { "!!": [key()] }] })),
            Parts::Prefix(_) | Parts::Suffix(_) | Parts::Contains(_) | Parts::Middle(..) => {
                tests.push(glob(&key(), pattern));
            }
        }
    }
    if !exact.is_empty() {
        tests.push(json!({ "in": [key(), exact] }));
    }
    json!({ "or": tests })
}

/// Whether a value is a text that fits a glob.
fn glob(value: &Json, pattern: &Pattern) -> Json {
    match pattern.parts() {
        Parts::Exact(text) => json!({ "===": [value, text] }),
        Parts::Any => is_text(value),
        Parts::Prefix(text) => json!({ "starts_with": [value, text] }),
        Parts::Suffix(text) => json!({ "ends_with": [value, text] }),
        Parts::Contains(text) => json!({ "and": [is_text(value), { "in": [text, value] }] }),
        Parts::Middle(prefix, suffix) => {
            let mut all = vec![
                json!({ "starts_with": [value, prefix] }),
                json!({ "ends_with": [value, suffix] }),
            ];
            // Where both ends share letters, both tests hold of texts too short for the glob.
            let short = overlaps(prefix, suffix);
            if !short.is_empty() {
                all.push(json!({ "!": [{ "in": [value, short] }] }));
            }
            json!({ "and": all })
        }
    }
}

/// The texts that begin with the one and end with the other only because the two overlap.
fn overlaps(prefix: &str, suffix: &str) -> Vec<String> {
    let shared = 1..=prefix.len().min(suffix.len());
    let overlapping = shared.filter(|length| prefix.ends_with(&suffix[..*length]));
    overlapping.map(|length| format!("{prefix}{}", &suffix[length..])).collect()
}

fn is_text(value: &Json) -> Json {
    json!({ "===": [{ "cat": [value] }, value] })
}

/// A truth value, however an engine writes it.
fn is_truth(value: &Json, words: &[&str]) -> Json {
    json!({ "and": [{ "!": [is_text(value)] }, { "in": [{ "cat": [value] }, words] }] })
}

fn is_there(value: &Json) -> Json {
    json!({ "!==": [value, null] })
}

fn is_number(value: &Json) -> Json {
    json!({ "and": [
        is_there(value),
        { "!": [is_text(value)] },
        { "!": [{ "in": [{ "cat": [value] }, ["true", "false", "True", "False"]] }] },
        { "===": [{ "+": [value] }, value] },
    ] })
}

/// An attribute of another type than the test's excludes as well; an absent one does not.
fn exclusion(exclusion: &Exclusion) -> Json {
    let value = json!({ "var": exclusion.attribute });
    let excluded = match &exclusion.test {
        ExclusionTest::Equals(text) => {
            json!({ "or": [{ "!": [is_text(&value)] }, { "===": [value, text] }] })
        }
        ExclusionTest::Above(bound) => {
            json!({ "or": [{ "!": [is_number(&value)] }, { ">": [value, bound] }] })
        }
    };
    json!({ "and": [is_there(&value), excluded] })
}

fn condition(one: &Condition) -> Json {
    let all = |list: &[Condition]| list.iter().map(condition).collect::<Vec<_>>();
    match one {
        Condition::Test(one) => test(one),
        Condition::All(list) => json!({ "and": all(list) }),
        Condition::Any(list) => json!({ "or": all(list) }),
        Condition::Not(one) => json!({ "!": [condition(one)] }),
    }
}

fn test(test: &AttributeTest) -> Json {
    let value = json!({ "var": test.attribute() });
    match test.test() {
        Test::Text(text) => json!({ "===": [value, text] }),
        Test::Texts(texts) => {
            json!({ "and": [is_text(&value), { "in": [value, listed(texts)] }] })
        }
        Test::Truth(true) => is_truth(&value, &["true", "True"]),
        Test::Truth(false) => is_truth(&value, &["false", "False"]),
        Test::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().copied().map(number_as_json).collect();
            json!({ "and": [is_number(&value), { "in": [value, numbers] }] })
        }
        Test::Number(comparison, number) => {
            let operator = match comparison {
                Comparison::Equal => "===",
                Comparison::NotEqual => "!==",
                Comparison::Below
                | Comparison::AtMost
                | Comparison::Above
                | Comparison::AtLeast
                | Comparison::SameMajor
                | Comparison::SameMinor => comparison.operator(),
            };
            let compared = json!({ operator: [value, number_as_json(*number)] });
            json!({ "and": [is_number(&value), compared] })
        }
        Test::Glob(pattern) => glob(&value, pattern),
        Test::Version(comparison, version) => {
            let version = version.to_string();
            let compared = json!({ "sem_ver": [value, comparison.operator(), version] });
            json!({ "and": [is_text(&value), compared] })
        }
    }
}
