use proptest::prelude::*;
use vocab::{BasisPoints, FlagKey, Pattern, PhaseId, PipelineId};

use super::*;
use crate::condition::{AttributeTest, Comparison, Condition, Test};
use crate::context::{Attribute, Attributes};
use crate::flag::{About, Limits};
use crate::patterns::Patterns;
use crate::value::Variants;
use crate::{Rule, Split, Type};

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::new(texts.iter().map(|text| Pattern::new(text).unwrap()).collect()).unwrap()
}

fn flag(audience: Audience) -> Flag {
    audience.check().unwrap();
    Flag {
        key: FlagKey::new("ingestion_v2_enabled").unwrap(),
        pipeline: PipelineId::new("ingestion_v2").unwrap(),
        definition: audience.into(),
        limits: Limits::default(),
        rollout: String::new(),
        phase: Some(PhaseId::new("P2").unwrap()),
        generation: 1,
        paused: false,
        about: About::default(),
    }
}

fn p2() -> Audience {
    Audience {
        enabled: true,
        allow: patterns(&["enterprise-friend", "pilot-*"]),
        deny: patterns(&["enterprise-*"]),
        percentage: BasisPoints::ALL,
        exclusions: vec![
            Exclusion {
                attribute: "tier".into(),
                test: ExclusionTest::Equals("enterprise".into()),
            },
            Exclusion { attribute: "daily_uploads".into(), test: ExclusionTest::Above(1000) },
        ],
        ..Audience::default()
    }
}

fn ask<'f>(flag: &'f Flag, killed: bool, key: &str, attributes: &Attributes) -> Evaluation<'f> {
    let question = Question { key: Some(key), facts: attributes, killed, now: Timestamp::EPOCH };
    evaluate(flag, &question).unwrap()
}

fn with(name: &str, value: Attribute) -> Attributes {
    Attributes::from([(name.to_owned(), value)])
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

#[test]
fn the_first_rule_that_matches_decides() {
    let none = Attributes::new();
    let reason = |flag: &Flag, killed, id: &str| ask(flag, killed, id, &none).reason;
    assert_eq!(reason(&flag(p2()), true, "pilot-1"), Reason::Killed);
    let paused = Flag { paused: true, ..flag(p2()) };
    assert_eq!(reason(&paused, false, "pilot-1"), Reason::Paused);
    assert_eq!(reason(&paused, false, "enterprise-x"), Reason::Denylisted);
    assert_eq!(reason(&flag(p2()), false, "enterprise-friend"), Reason::Denylisted);
    assert_eq!(reason(&flag(p2()), false, "pilot-1"), Reason::Allowlisted);
    assert_eq!(reason(&flag(p2()), false, "ws-1"), Reason::Percentage);
    let disabled = flag(Audience { enabled: false, ..p2() });
    assert_eq!(reason(&disabled, false, "ws-1"), Reason::Disabled);
    assert!(ask(&disabled, false, "pilot-1", &none).enabled, "an allow holds when disabled");
}

#[test]
fn an_attribute_excludes_and_one_of_the_wrong_type_excludes_too() {
    let p2 = flag(p2());
    let reason = |attributes: &Attributes| ask(&p2, false, "ws-1", attributes).reason;
    assert_eq!(reason(&with("tier", text("enterprise"))), Reason::Excluded);
    assert_eq!(reason(&with("tier", text("free"))), Reason::Percentage);
    assert_eq!(reason(&with("tier", Attribute::Truth(true))), Reason::Excluded);
    assert_eq!(reason(&with("daily_uploads", Attribute::Number(1001.0))), Reason::Excluded);
    assert_eq!(reason(&with("daily_uploads", Attribute::Number(1000.0))), Reason::Percentage);
}

#[test]
fn without_a_key_no_list_matches_and_no_share_is_drawn() {
    let flag = flag(p2());
    let none = Attributes::new();
    let question = Question { key: None, facts: &none, killed: false, now: Timestamp::EPOCH };
    let found = evaluate(&flag, &question).unwrap();
    assert_eq!((found.enabled, found.reason), (false, Reason::Default));
}

fn texts() -> Variants {
    let variant = |name: &str| Variant { name: name.into(), value: Value::Text(name.to_owned()) };
    Variants::new(vec![variant("old"), variant("new"), variant("newest")], "old", "new").unwrap()
}

fn targeted() -> Audience {
    let variants = texts();
    let share =
        |name: &str, weight| (variants.find("", name).unwrap(), BasisPoints::new(weight).unwrap());
    let test =
        |attribute: &str, test| Condition::Test(AttributeTest::new(attribute, test).unwrap());
    let version = Box::new(crate::version::parse("2.1").unwrap());
    Audience {
        enabled: true,
        rules: vec![
            Rule {
                description: String::new(),
                condition: Condition::All(vec![
                    test("platform", Test::Texts(vec!["web".into(), "ios".into()])),
                    Condition::Not(Box::new(test("beta", Test::Truth(false)))),
                    test("version", Test::Version(Comparison::AtLeast, version)),
                ]),
                serve: Serve::Variant(variants.find("", "newest").unwrap()),
            },
            Rule {
                description: String::new(),
                condition: Condition::Any(vec![
                    test("region", Test::Glob(Pattern::new("eu-*").unwrap())),
                    test("seats", Test::Number(Comparison::Above, 100.0)),
                ]),
                serve: Serve::Split(Split::new("", vec![share("new", 10_000)]).unwrap()),
            },
        ],
        split: Split::new("split", vec![share("new", 2_000), share("newest", 3_000)]).unwrap(),
        variants,
        ..Audience::default()
    }
}

#[test]
fn the_first_rule_whose_condition_holds_serves_and_else_the_split_does() {
    let flag = flag(targeted());
    let found = |attributes: &[(&str, Attribute)]| {
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let found = ask(&flag, false, "ws-1", &owned.collect());
        (found.variant.map_or("", |variant| &*variant.name), found.reason)
    };
    let web = ("platform", text("web"));
    assert_eq!(found(&[web.clone(), ("version", text("v2.1.3"))]), ("newest", Reason::Targeted));
    assert_eq!(found(&[("region", text("eu-1"))]), ("new", Reason::Targeted));
    assert_eq!(found(&[("seats", Attribute::Number(101.0))]), ("new", Reason::Targeted));
    // ws-1 has bucket 881 of 10000.
    assert_eq!(
        found(&[("seats", text("101"))]),
        ("new", Reason::Percentage),
        "a text is no number"
    );
    assert_eq!(found(&[web, ("version", text("2.0.9"))]), ("new", Reason::Percentage));
    let killed = ask(&flag, true, "ws-1", &Attributes::new());
    assert_eq!((killed.enabled, killed.variant.map(|v| &*v.name)), (false, Some("old")));
    assert_eq!(targeted().variants.kind(), Type::String);
}

proptest! {
    #[test]
    fn on_at_a_share_means_on_at_every_larger_share(
        id in "[a-z0-9-]{1,20}|\\PC{1,40}", small in 0_i64..=10_000, more in 0_i64..=10_000
    ) {
        let at = |share| {
            let percentage = BasisPoints::new(share).unwrap();
            let flag = flag(Audience { enabled: true, percentage, ..Audience::default() });
            ask(&flag, false, &id, &Attributes::new()).enabled
        };
        let larger = (small + more).min(10_000);
        prop_assert!(!at(small) || at(larger));
        prop_assert!(!at(0) && at(10_000));
    }

    #[test]
    fn a_split_that_grows_at_its_end_moves_nobody_who_had_a_share(
        id in "[a-z0-9-]{1,20}", first in 0_i64..=5_000, second in 0_i64..=5_000, more in 0_i64..=5_000
    ) {
        let variants = texts();
        let at = |second: i64| {
            let share = |name: &str, weight| {
                (variants.find("", name).unwrap(), BasisPoints::new(weight).unwrap())
            };
            let shares = vec![share("new", first), share("newest", second)];
            let split = Split::new("split", shares).unwrap();
            let flag = flag(Audience { enabled: true, variants: variants.clone(), split, ..Audience::default() });
            ask(&flag, false, &id, &Attributes::new()).variant.map(|v| v.name.clone())
        };
        let before = at(second);
        let after = at((second + more).min(10_000 - first));
        prop_assert!(before.as_deref() == Some("old") || before == after);
    }
}
