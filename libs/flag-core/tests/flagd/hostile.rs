//! Whatever comes in: no panic, and no more work than the bound.

use flag_core::flagd::{Imported, Unanswered, bundle};
use flag_core::{Attribute, Attributes, Definition, Flag, Question, evaluate};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use vocab::Timestamp;

use crate::forms::flag;

fn targeting(rule: Json) -> Flag {
    let definition = json!({
        "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
        "targeting": rule,
    });
    flag(Definition::Imported(Arc::new(Imported::of(definition).expect("made to be valid"))))
}

fn outcome(flag: &Flag, facts: &Attributes) -> Result<(), Unanswered> {
    let question = Question { key: Some("ws-1"), facts, killed: false, now: Timestamp::EPOCH };
    evaluate(flag, &question).map(drop)
}

fn numbers(count: u16) -> Json {
    Json::from((0..count).collect::<Vec<_>>())
}

#[test]
fn a_rule_that_grows_without_end_is_stopped() {
    let doubling = |operator: &str| json!({"reduce": [numbers(200), {operator: [{"var": "accumulator"}, {"var": "accumulator"}]}, "xx"]});
    for operator in ["cat", "merge"] {
        let found = outcome(&targeting(doubling(operator)), &Attributes::new());
        assert_eq!(found, Err(Unanswered::TooExpensive), "{operator}");
    }
    let product = json!({"map": [numbers(1_000), {"map": [numbers(1_000), {"var": ""}]}]});
    assert_eq!(outcome(&targeting(product), &Attributes::new()), Err(Unanswered::TooExpensive));
}

#[test]
fn a_list_that_gets_deeper_without_end_is_stopped() {
    let nesting = json!({"reduce": [numbers(1_000), [{"var": "accumulator"}], 1]});
    let found = outcome(&targeting(nesting), &Attributes::new());
    assert!(matches!(found, Err(Unanswered::Failed(_))), "{found:?}");
}

#[test]
fn a_rule_that_is_too_deep_or_unknown_is_refused_with_its_place() {
    let mut deep = json!(true);
    for _level in 0..100 {
        deep = json!({"!": [deep]});
    }
    let read = |rule: Json| {
        let definition = json!({"state": "ENABLED", "variants": {"on": true}, "targeting": rule});
        Imported::of(definition).unwrap_err()
    };
    assert!(read(deep).why.contains("64 levels"));
    let problem = read(json!({"if": [{"nope": [1]}, "on"]}));
    assert_eq!(problem.path, "targeting.if[0]");
    assert!(problem.why.contains("`nope` is not an operator"), "{problem}");
}

#[test]
fn shared_rules_that_refer_to_themselves_or_multiply_are_refused() {
    let document = |evaluators: Json| {
        let flags = json!({"f": {"state": "ENABLED", "variants": {"on": true},
            "targeting": {"if": [{"$ref": "a"}, "on"]}}});
        bundle(&json!({"flags": flags, "$evaluators": evaluators}).to_string()).unwrap_err()
    };
    let circle = document(json!({"a": {"!": [{"$ref": "b"}]}, "b": {"!": [{"$ref": "a"}]}}));
    assert!(circle.why.contains("refer to themselves"), "{circle}");
    let names = "abcdefghijklmnopqrstuvwxyz";
    let laughs = names.chars().zip(names.chars().skip(1)).map(|(one, next)| {
        (one.to_string(), json!({"or": vec![json!({"$ref": next.to_string()}); 10]}))
    });
    let laughs: serde_json::Map<_, _> = laughs.chain([("z".to_owned(), json!(true))]).collect();
    assert!(document(Json::Object(laughs)).why.contains("grows to more than"));
    let missing = document(json!({}));
    assert!(
        missing.path.starts_with("flags.f.targeting.if") && missing.why.contains("`a`"),
        "{missing}"
    );
}

/// JSON that is a rule more often than not.
fn rule() -> impl Strategy<Value = Json> {
    const OPERATORS: [&str; 36] = [
        "var",
        "missing",
        "missing_some",
        "if",
        "and",
        "or",
        "!",
        "!!",
        "==",
        "===",
        "!=",
        "!==",
        "<",
        "<=",
        ">",
        ">=",
        "max",
        "min",
        "+",
        "-",
        "*",
        "/",
        "%",
        "map",
        "filter",
        "reduce",
        "all",
        "some",
        "none",
        "merge",
        "in",
        "cat",
        "substr",
        "fractional",
        "sem_ver",
        "starts_with",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i32>().prop_map(Json::from),
        "\\PC{0,6}|a|b|targetingKey|\\$flagd.flagKey|1\\.2".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let call = ((0..OPERATORS.len()), proptest::collection::vec(inner.clone(), 0..4));
        prop_oneof![
            4 => call.prop_map(|(at, arguments)| json!({OPERATORS[at]: arguments})),
            1 => proptest::collection::vec(inner, 0..4).prop_map(Json::from),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_rule_is_answered_or_refused(rule in rule(), nested in rule()) {
        let rule = if rule.is_object() { rule } else { json!({"!": [rule]}) };
        let attributes = Attributes::from([
            ("a".to_owned(), Attribute::Nested(nested)),
            ("b".to_owned(), Attribute::Text("1.2.3".to_owned())),
        ]);
        let definition = json!({"state": "ENABLED", "variants": {"on": true}, "targeting": rule});
        if let Ok(imported) = Imported::of(definition) {
            outcome(&flag(Definition::Imported(Arc::new(imported))), &attributes).ok();
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}|[\\[\\]{}\":,a-z0-9]{0,80}") {
        Imported::parse(&text).ok();
        bundle(&text).ok();
        flag_core::import_d7(&text).ok();
    }
}
