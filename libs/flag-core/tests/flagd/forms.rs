//! Flags to ask, and questions to ask them.

use flag_core::{
    About, Attribute, AttributeTest, Attributes, Audience, Comparison, Condition, Definition,
    Evaluation, Flag, Limits, Patterns, Question, Reason, Rule, Serve, Split, Test, Value, Variant,
    Variants, evaluate, parse_version,
};
use plan::{Exclusion, ExclusionTest};
use proptest::collection::vec;
use proptest::prelude::*;
use vocab::{BasisPoints, FlagKey, Pattern, PipelineId, Timestamp};

pub(crate) fn flag(definition: impl Into<Definition>) -> Flag {
    Flag {
        key: FlagKey::new("ingestion_v2_enabled").expect("made to be valid"),
        pipeline: PipelineId::new("ingestion_v2").expect("made to be valid"),
        definition: definition.into(),
        limits: Limits::default(),
        rollout: String::new(),
        phase: None,
        generation: 0,
        paused: false,
        about: About::default(),
    }
}

/// Value, variant and reason of an answer, owned.
pub(crate) type Answer = (Option<Value>, Option<String>, Reason);

pub(crate) fn owned(found: &Evaluation<'_>) -> Answer {
    let variant = found.variant;
    let name = variant.map(|variant| variant.name.to_string());
    (variant.map(|variant| variant.value.clone()), name, found.reason)
}

pub(crate) fn ask(flag: &Flag, key: Option<&str>, facts: &Attributes, killed: bool) -> Answer {
    let question = Question { key, facts, killed, now: Timestamp::EPOCH };
    owned(&evaluate(flag, &question).expect("made to be valid"))
}

fn patterns() -> impl Strategy<Value = Patterns> {
    let pattern = "ws-[0-4]|ws-[0-4]\\*|\\*-[ab]|ws-\\*-a|a\\*a|ab\\*ba|\\*b-\\*|[ab]{1,3}";
    vec(pattern, 0..4).prop_map(|texts| {
        let listed =
            texts.iter().map(|text| Pattern::new(text).expect("made to be valid")).collect();
        Patterns::new(listed).expect("made to be valid")
    })
}

fn exclusions() -> impl Strategy<Value = Vec<Exclusion>> {
    let test = prop_oneof![
        (0_usize..3).prop_map(|at| ExclusionTest::Equals(TEXTS[at].to_owned())),
        (-2_i64..3).prop_map(ExclusionTest::Above),
    ];
    vec(("[xyz]", test), 0..3).prop_map(|list| {
        list.into_iter().map(|(attribute, test)| Exclusion { attribute, test }).collect()
    })
}

const TEXTS: [&str; 6] = ["web", "ios", "1", "v1.2.0", "true", ""];

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Below),
        Just(Comparison::AtMost),
        Just(Comparison::Above),
        Just(Comparison::AtLeast),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let text = || (0_usize..TEXTS.len()).prop_map(|at| TEXTS[at].to_owned());
    let number = || prop_oneof![Just(0.0), Just(1.0), Just(1.5), Just(-1.0)];
    let version =
        prop_oneof![comparison(), Just(Comparison::SameMajor), Just(Comparison::SameMinor)];
    let test = prop_oneof![
        text().prop_map(Test::Text),
        any::<bool>().prop_map(Test::Truth),
        vec(text(), 1..3).prop_map(Test::Texts),
        vec(number(), 1..3).prop_map(Test::Numbers),
        (comparison(), number()).prop_map(|(comparison, number)| Test::Number(comparison, number)),
        "w\\*|\\*s|i\\*s|\\*|\\*e\\*|web"
            .prop_map(|glob| Test::Glob(Pattern::new(&glob).expect("made to be valid"))),
        (version, "[01]\\.[12]\\.0").prop_map(|(comparison, version)| {
            Test::Version(comparison, Box::new(parse_version(&version).expect("made to be valid")))
        }),
    ];
    let attribute = prop_oneof![Just("x"), Just("y"), Just("z"), Just("targetingKey")];
    let leaf = (attribute, test).prop_map(|(attribute, test)| {
        Condition::Test(AttributeTest::new(attribute, test).expect("made to be valid"))
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Condition::All),
            vec(inner.clone(), 1..3).prop_map(Condition::Any),
            inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    })
}

fn three() -> Variants {
    let variant = |name: &str, value| Variant { name: name.into(), value: Value::Integer(value) };
    let list = vec![variant("one", 1), variant("two", 2), variant("three", 3)];
    Variants::new(list, "one", "two").expect("made to be valid")
}

fn split(variants: &Variants, weights: &[i64]) -> Split {
    let names = ["two", "three", "one"];
    let shares = weights.iter().zip(names).map(|(weight, name)| {
        (
            variants.find("", name).expect("made to be valid"),
            BasisPoints::new(*weight).expect("made to be valid"),
        )
    });
    Split::new("split", shares.collect()).expect("made to be valid")
}

/// D7's four fields, with exclusions.
pub(crate) fn short() -> impl Strategy<Value = Audience> {
    (any::<bool>(), patterns(), patterns(), 0_i64..=10_000, exclusions()).prop_map(
        |(enabled, allow, deny, share, exclusions)| Audience {
            enabled,
            allow,
            deny,
            percentage: BasisPoints::new(share).expect("made to be valid"),
            exclusions,
            ..Audience::default()
        },
    )
}

/// With variants, rules and splits.
pub(crate) fn full() -> impl Strategy<Value = Audience> {
    let weights = || vec(0_i64..=3_333, 0..3);
    let rule = (condition(), prop_oneof![Just(vec![]), vec(1_i64..=3_333, 1..3)], 0_usize..3);
    (short(), vec(rule, 0..3), weights()).prop_map(|(short, rules, weights)| {
        let variants = three();
        let rules = rules.into_iter().map(|(condition, weights, at)| {
            let serve = if weights.is_empty() {
                Serve::Variant(
                    variants.find("", ["one", "two", "three"][at]).expect("made to be valid"),
                )
            } else {
                Serve::Split(split(&variants, &weights))
            };
            Rule { description: String::new(), condition, serve }
        });
        let rules = rules.collect();
        let split = split(&variants, &weights);
        let percentage = if split.is_empty() { short.percentage } else { BasisPoints::ZERO };
        let audience = Audience { variants, rules, split, percentage, ..short };
        audience.check().expect("made to be valid");
        audience
    })
}

pub(crate) fn keys() -> impl Strategy<Value = Option<String>> {
    let key = "ws-[0-5]|ws-[0-5]-[ab]|[ab]{1,4}|[ab]{1,3}-[ab]|ws--a|\\PC{1,30}";
    prop_oneof![9 => key.prop_map(Some), 1 => Just(None)]
}

/// Attributes of every type under the names that flags look at.
pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    let value = prop_oneof![
        4 => (0_usize..TEXTS.len()).prop_map(|at| Attribute::Text(TEXTS[at].to_owned())),
        4 => prop_oneof![Just(0.0), Just(1.0), Just(1.5), Just(2.0), Just(-1.0)]
            .prop_map(Attribute::Number),
        2 => any::<bool>().prop_map(Attribute::Truth),
        1 => prop_oneof![
            Just(serde_json::json!(null)),
            Just(serde_json::json!(["web"])),
            Just(serde_json::json!([1])),
            Just(serde_json::json!({"a": 1})),
        ]
        .prop_map(Attribute::Nested),
    ];
    proptest::collection::btree_map("[xyz]", value, 0..4)
}
