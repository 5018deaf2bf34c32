//! Reading definitions: what is not one is refused with its place.

use flag_core::flagd::{Imported, bundle};
use flag_core::{Attribute, Attributes, Definition, Reason, Value};
use serde_json::json;
use std::sync::Arc;

use crate::forms::{ask, flag};

#[test]
fn what_is_not_a_definition_is_refused_with_its_path() {
    for (text, path, says) in [
        ("{\"state\":", "", "not JSON"),
        ("{\"variants\": {\"on\": NaN}}", "", "not JSON"),
        ("[]", "", "expected an object"),
        ("{}", "state", "ENABLED"),
        ("{\"state\": \"ON\", \"variants\": {\"on\": 1}}", "state", "ENABLED"),
        ("{\"state\": \"ENABLED\"}", "variants", "at least one"),
        ("{\"state\": \"ENABLED\", \"variants\": {}}", "variants", "at least one"),
        ("{\"state\": \"ENABLED\", \"variants\": {\"on\": null}}", "variants.on", "null"),
        (
            "{\"state\": \"ENABLED\", \"variants\": {\"on\": 1}, \"defaultVariant\": \"off\"}",
            "defaultVariant",
            "`off` is not a variant",
        ),
        (
            "{\"state\": \"ENABLED\", \"variants\": {\"on\": 1}, \"targeting\": 1}",
            "targeting",
            "object",
        ),
        (
            "{\"state\": \"ENABLED\", \"variants\": {\"on\": 1}, \"more\": 1}",
            "",
            "`more` is not a field",
        ),
        (
            "{\"state\": \"ENABLED\", \"variants\": {\"on\": 1}, \"metadata\": {\"a\": []}}",
            "metadata.a",
            "expected a text",
        ),
    ] {
        let problem = Imported::parse(text).unwrap_err();
        assert_eq!(problem.path, path, "{text}");
        assert!(problem.why.contains(says), "{text}: {problem}");
    }
}

#[test]
fn without_a_default_variant_the_callers_own_value_holds() {
    let ask = |definition: serde_json::Value| {
        let flag = flag(Definition::Imported(Arc::new(
            Imported::of(definition).expect("made to be valid"),
        )));
        ask(&flag, Some("ws-1"), &Attributes::new(), false)
    };
    let variants = json!({"on": true, "off": false});
    let none = ask(json!({"state": "ENABLED", "variants": variants, "defaultVariant": null}));
    assert_eq!(none, (None, None, Reason::Default));
    let left =
        ask(json!({"state": "ENABLED", "variants": variants, "targeting": {"if": [false, "on"]}}));
    assert_eq!(left, (None, None, Reason::Default));
    let disabled = ask(json!({"state": "DISABLED", "variants": variants, "defaultVariant": "on"}));
    assert_eq!(disabled, (None, None, Reason::Disabled));
    let fixed = ask(json!({"state": "ENABLED", "variants": variants, "defaultVariant": "on"}));
    assert_eq!(fixed, (Some(Value::Truth(true)), Some("on".to_owned()), Reason::Static));
}

#[test]
fn shared_rules_and_metadata_are_written_into_each_flag() {
    let document = json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "metadata": {"team": "all", "set": true},
        "$evaluators": {
            "staff": {"ends_with": [{"var": "email"}, {"$ref": "domain"}]}, "domain": "@example.com",
        },
        "flags": {"f": {
            "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": {"if": [{"$ref": "staff"}, "on", null]}, "metadata": {"team": "mine"},
        }},
    });
    let (key, imported) = bundle(&document.to_string()).expect("made to be valid").remove(0);
    assert_eq!(key.as_str(), "f");
    assert_eq!(imported.metadata()["team"], Attribute::Text("mine".to_owned()));
    assert_eq!(imported.metadata()["set"], Attribute::Truth(true));
    let flag = flag(Definition::Imported(Arc::new(imported)));
    let email =
        |email: &str| Attributes::from([("email".to_owned(), Attribute::Text(email.to_owned()))]);
    assert_eq!(ask(&flag, None, &email("ada@example.com"), false).2, Reason::Targeted);
    assert_eq!(ask(&flag, None, &email("ada@example.org"), false).2, Reason::Default);
}

#[test]
fn a_kill_switch_serves_a_variant_that_is_false_or_leaves_it_to_the_caller() {
    let killed = |variants: serde_json::Value, default: &str| {
        let definition =
            json!({"state": "ENABLED", "variants": variants, "defaultVariant": default});
        let flag = flag(Definition::Imported(Arc::new(
            Imported::of(definition).expect("made to be valid"),
        )));
        ask(&flag, Some("ws-1"), &Attributes::new(), true).1
    };
    assert_eq!(killed(json!({"a": true, "b": false}), "a").as_deref(), Some("b"));
    assert_eq!(killed(json!({"a": true}), "a"), None);
    assert_eq!(killed(json!({"a": "x", "b": "y"}), "b").as_deref(), Some("b"));
}
