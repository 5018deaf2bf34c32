//! The fast path takes no memory, whatever the flag looks like.

use flag_core::{
    About, Attribute, Attributes, Audience, Flag, Limits, Patterns, Question, evaluate,
};
use plan::{Exclusion, ExclusionTest};
use vocab::{BasisPoints, FlagKey, Pattern, PipelineId, Timestamp};

fn patterns(texts: impl Iterator<Item = String>) -> Patterns {
    let listed = texts.map(|text| Pattern::new(&text).expect("a pattern")).collect();
    Patterns::new(listed).expect("few enough")
}

#[test]
fn answering_from_the_short_form_allocates_nothing() {
    let audience = Audience {
        enabled: true,
        allow: patterns((0..10_000).map(|n| format!("pilot-{n}"))),
        deny: patterns(["enterprise-*", "*-test", "eu-*-prod"].map(str::to_owned).into_iter()),
        percentage: BasisPoints::new(5_000).expect("a share"),
        exclusions: vec![
            Exclusion { attribute: "tier".into(), test: ExclusionTest::Equals("gold".into()) },
            Exclusion { attribute: "uploads".into(), test: ExclusionTest::Above(10) },
        ],
        ..Audience::default()
    };
    let flag = Flag {
        key: FlagKey::new("ingestion_v2_enabled").expect("a key"),
        pipeline: PipelineId::new("ingestion_v2").expect("a pipeline"),
        definition: audience.into(),
        limits: Limits::default(),
        rollout: String::new(),
        phase: None,
        generation: 0,
        paused: false,
        about: About::default(),
    };
    let facts = Attributes::from([
        ("tier".to_owned(), Attribute::Text("free".to_owned())),
        ("uploads".to_owned(), Attribute::Number(3.0)),
    ]);
    let long = "k".repeat(1_000);
    let keys = ["pilot-77", "enterprise-x", "ws-1", "eu-1-prod", &long];
    let taken = allocation_counter::measure(|| {
        for key in keys {
            let question =
                Question { key: Some(key), facts: &facts, killed: false, now: Timestamp::EPOCH };
            evaluate(&flag, &question).expect("our own form always answers");
        }
    });
    assert_eq!(taken.count_total, 0, "{taken:?}");
}
