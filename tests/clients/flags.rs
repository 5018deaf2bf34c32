//! What is asked about: a flag of each form and each type.

use contracts::flag as pb;
use contracts::flag::attribute_test::Test;
use contracts::flag::condition::Kind;
use contracts::flag::flag_history_service_client::FlagHistoryServiceClient;
use contracts::flag::variant::Value as Given;
use prost_types::value::Kind as Wire;
use prost_types::{ListValue, Struct, Value};
use serde_json::json;
use softlaunch_tests::{House, Person, ask};
use test_kit::eventually;

const PIPELINE: &str = "ingestion_v2";
const REASON: &str = "for a test";
const ADA: Person = Person { name: "ada", roles: &[] };

/// D7's four fields, with globs of all kinds, and exclusions.
fn short() -> pb::FlagDefinition {
    use pb::exclusion::Test;
    let exclusion =
        |attribute: &str, test| pb::Exclusion { attribute: attribute.to_owned(), test: Some(test) };
    pb::FlagDefinition {
        enabled: true,
        allowlist: ["internal-*", "*:canary", "eu-*-prod", "*acme*", "ws-14"]
            .map(str::to_owned)
            .to_vec(),
        denylist: vec!["ws-1*".to_owned(), "internal-1*".to_owned()],
        percentage_basis_points: 1_000,
        exclusions: vec![
            exclusion("platform", Test::Equals("windows".to_owned())),
            exclusion("seats", Test::Above(150)),
        ],
        ..pb::FlagDefinition::default()
    }
}

fn test(attribute: &str, test: Test) -> pb::Condition {
    let test = pb::AttributeTest { attribute: attribute.to_owned(), test: Some(test) };
    pb::Condition { kind: Some(Kind::Test(test)) }
}

fn all(conditions: Vec<pb::Condition>) -> pb::Condition {
    pb::Condition { kind: Some(Kind::All(pb::Conditions { conditions })) }
}

fn any(conditions: Vec<pb::Condition>) -> pb::Condition {
    pb::Condition { kind: Some(Kind::Any(pb::Conditions { conditions })) }
}

fn not(condition: pb::Condition) -> pb::Condition {
    pb::Condition { kind: Some(Kind::Not(Box::new(condition))) }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Wire::StringValue(text.to_owned())) }
}

fn seats(comparison: pb::Comparison, number: f64) -> pb::Condition {
    test("seats", Test::Number(pb::NumberTest { comparison: comparison.into(), number }))
}

fn version(comparison: pb::Comparison, version: &str) -> pb::Condition {
    let version = version.to_owned();
    test("version", Test::Version(pb::VersionTest { comparison: comparison.into(), version }))
}

fn shares(shares: &[(&str, i32)]) -> Vec<pb::WeightedVariant> {
    let share = |(variant, weight_basis_points): &(&str, i32)| pb::WeightedVariant {
        variant: (*variant).to_owned(),
        weight_basis_points: *weight_basis_points,
    };
    shares.iter().map(share).collect()
}

/// Rules of every kind of test over these three variants, and a split.
fn full(values: [Given; 3]) -> pb::FlagDefinition {
    use pb::Comparison as C;
    let variant =
        |(name, value): (&str, Given)| pb::Variant { name: name.to_owned(), value: Some(value) };
    let rule = |condition, variant: &str, split: &[(&str, i32)]| pb::Rule {
        condition: Some(condition),
        variant: variant.to_owned(),
        split: shares(split),
        ..pb::Rule::default()
    };
    let apple = || test("platform", Test::In(ListValue { values: vec![text("ios"), text("mac")] }));
    let gold = || test("tier", Test::Equals(text("gold")));
    let beta = Test::Equals(Value { kind: Some(Wire::BoolValue(true)) });
    let example = test("email", Test::Glob("*@example.com".to_owned()));
    pb::FlagDefinition {
        enabled: true,
        allowlist: vec!["team.*".to_owned()],
        denylist: vec!["ws-13*".to_owned()],
        on_variant: "new".to_owned(),
        variants: ["old", "new", "newest"].into_iter().zip(values).map(variant).collect(),
        default_variant: "old".to_owned(),
        rules: vec![
            rule(all(vec![gold(), version(C::AtLeast, "2.0.0")]), "newest", &[]),
            rule(all(vec![apple(), not(gold())]), "", &[("new", 3_000), ("newest", 2_500)]),
            rule(all(vec![seats(C::Below, 20.0), version(C::SameMajor, "2.1.0")]), "new", &[]),
            rule(any(vec![seats(C::Above, 190.0), test("beta", beta)]), "newest", &[]),
            rule(all(vec![example, not(seats(C::AtMost, 99.5))]), "new", &[]),
        ],
        split: shares(&[("new", 600), ("newest", 400)]),
        ..pb::FlagDefinition::default()
    }
}

fn texts() -> [Given; 3] {
    ["", "a \"new\" one", "日本"].map(|one| Given::StringValue(one.to_owned()))
}

fn objects() -> [Given; 3] {
    ["plain", "bright", "ünusual"].map(|name| {
        let size = Value { kind: Some(Wire::NumberValue(12.5)) };
        let fields = [("name".to_owned(), text(name)), ("size".to_owned(), size)].into();
        Given::ObjectValue(Struct { fields })
    })
}

/// A document as flagd reads it.
fn imported() -> serde_json::Value {
    let banner = json!({"red": "#f00", "blue": "#00f", "green": "#0f0"});
    json!({
        "$evaluators": {
            "staff": {"ends_with": [{"var": "email"}, {"$ref": "domain"}]},
            "domain": "@example.com",
            "modern": {"sem_ver": [{"var": "version"}, ">=", "2.0.0"]},
        },
        "flags": {
            "banner": {
                "state": "ENABLED", "variants": banner, "defaultVariant": "blue",
                "targeting": {"if": [
                    {"and": [{"$ref": "staff"}, {"$ref": "modern"}]}, "red",
                    {"starts_with": [{"var": "targetingKey"}, "internal-"]}, "green",
                    {"in": [{"var": "platform"}, ["ios", "web"]]},
                    {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]},
                                    ["red", 30], ["green", 20], ["blue", 50]]},
                    null,
                ]},
            },
            "greeting": {
                "state": "ENABLED", "variants": {"hi": "hi", "ho": "ho"}, "defaultVariant": "hi",
                "targeting": {"fractional": [["hi", 1], ["ho", 2]]},
            },
            "page": {
                "state": "ENABLED", "variants": {"few": 10, "many": 100}, "defaultVariant": "many",
            },
            "ranked": {
                "state": "ENABLED", "variants": {"low": 0.25, "high": 2.5}, "defaultVariant": "low",
                "targeting": {"if": [{">": [{"var": "seats"}, 100]}, "high", "low"]},
            },
        },
    })
}

/// What the Rust provider cannot say: no variant at all, and targeting that goes wrong.
fn odd() -> serde_json::Value {
    json!({"flags": {
        "silent": {
            "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": null,
            "targeting": {"if": [{"==": [{"var": "tier"}, "gold"]}, "on", null]},
        },
        "gone": {"state": "DISABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a"},
        "broken": {
            "state": "ENABLED", "variants": {"n": 7}, "defaultVariant": "n",
            "targeting": {"cat": ["no such ", "variant"]},
        },
    }})
}

/// Creates one flag.
pub(crate) async fn create(house: &House, id: &str, definition: pb::FlagDefinition) -> pb::Flag {
    let flag = pb::Flag {
        definition: Some(definition),
        pipeline: PIPELINE.to_owned(),
        ..pb::Flag::default()
    };
    let request = pb::CreateFlagRequest {
        flag_id: id.to_owned(),
        flag: Some(flag),
        reason: REASON.to_owned(),
        ..pb::CreateFlagRequest::default()
    };
    let created = house.flags().create_flag(ask(ADA, request)).await;
    created.unwrap_or_else(|status| panic!("{id} is not created: {status:?}")).into_inner()
}

/// Changes one flag.
pub(crate) async fn change(
    house: &House,
    mut flag: pb::Flag,
    change: impl FnOnce(&mut pb::FlagDefinition),
) -> pb::Flag {
    change(flag.definition.get_or_insert_default());
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        reason: REASON.to_owned(),
        ..pb::UpdateFlagRequest::default()
    };
    let changed = house.flags().update_flag(ask(ADA, request)).await;
    changed.unwrap_or_else(|status| panic!("a flag is not changed: {status:?}")).into_inner()
}

async fn import(house: &House, document: &serde_json::Value) {
    let request = pb::ImportFlagsRequest {
        form: pb::DocumentForm::Flagd.into(),
        document: document.to_string(),
        pipeline: PIPELINE.to_owned(),
        reason: REASON.to_owned(),
        ..pb::ImportFlagsRequest::default()
    };
    let mut history = FlagHistoryServiceClient::new(house.channel("flag"));
    let taken = history.import_flags(ask(ADA, request)).await;
    taken.unwrap_or_else(|status| panic!("the document is refused: {status:?}"));
}

/// Creates those, too, that the Rust provider cannot tell of.
pub(crate) async fn create_odd(house: &House) {
    import(house, &odd()).await;
}

/// Creates all others, and waits until the flag service knows that nothing is killed.
pub(crate) async fn create_all(house: &House) {
    eventually("the flag service is up", async || {
        house.flags().list_flags(pb::ListFlagsRequest::default()).await.is_ok()
    })
    .await;
    // By doubling: nobody begins with more than a tenth.
    let mut flag = create(house, "short", short()).await;
    for share in [2_000, 4_000] {
        flag = change(house, flag, |definition| definition.percentage_basis_points = share).await;
    }
    create(house, "color", full(texts())).await;
    create(house, "limit", full([0, -7, 1 << 40].map(Given::IntegerValue))).await;
    create(house, "ratio", full([0.0, 0.1, -1.5e9].map(Given::FloatValue))).await;
    create(house, "look", full(objects())).await;
    import(house, &imported()).await;
    eventually("the flag service knows the kill switch", async || {
        let request = pb::EvaluateFlagRequest {
            name: "flags/short".to_owned(),
            workspace_id: "ws-1".to_owned(),
            attributes: None,
        };
        let answer = house.evaluation().evaluate_flag(request).await;
        answer.is_ok_and(|answer| answer.into_inner().reason() != pb::Reason::Killed)
    })
    .await;
}
