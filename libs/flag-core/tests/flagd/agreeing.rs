//! What flagd's own Python core answers is answered here.

use std::sync::Arc;

use flag_core::flagd::Imported;
use flag_core::{Attribute, Attributes, Definition, Flag, Question, Reason, evaluate};
use serde_json::Value as Json;
use vocab::{FlagKey, Timestamp};

use crate::forms::flag;

fn attributes(context: &Json) -> Attributes {
    let fields = context.as_object().expect("made to be valid").iter();
    fields.map(|(name, json)| (name.clone(), Attribute::Nested(json.clone()))).collect()
}

#[test]
fn rules_are_answered_as_flagd_s_core_answers_them() {
    let file: Json =
        serde_json::from_str(include_str!("../flagd-answers.json")).expect("made to be valid");
    let cases = file["cases"].as_array().expect("made to be valid");
    assert!(cases.len() >= 1_000, "{} cases are too few to mean anything", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let definition = Imported::of(case["flag"].clone()).expect("made to be valid");
        let key = FlagKey::new(case["key"].as_str().expect("made to be valid"))
            .expect("made to be valid");
        let flag = Flag { key, ..flag(Definition::Imported(Arc::new(definition))) };
        let facts = attributes(&case["context"]);
        let key = case["targetingKey"].as_str();
        let question = Question { key, facts: &facts, killed: false, now: Timestamp::EPOCH };
        let found = match evaluate(&flag, &question) {
            Ok(found) => {
                let targeted = found.reason == Reason::Targeted;
                let reason = if targeted { "TARGETING_MATCH" } else { found.reason.name() };
                let variant = found.variant.map(|variant| variant.name.to_string());
                serde_json::json!({"variant": variant, "reason": reason})
            }
            Err(_) => serde_json::json!({"error": "GeneralError"}),
        };
        if found != case["answer"] {
            wrong.push(format!("{case}\n   but here {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
