//! Evaluation: the first rule that matches decides (semantics §3).

use plan::{Exclusion, ExclusionTest};
use vocab::WorkspaceId;

use crate::bucket::bucket;
use crate::flag::{Attribute, Attributes, Flag};

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether the workspace is on.
    pub enabled: bool,
    /// Why.
    pub reason: Reason,
}

/// Why an evaluation came out as it did, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A kill switch on the path is engaged.
    Killed,
    /// The rollout is paused and the workspace is of its cohort.
    Paused,
    /// A deny pattern matches.
    Denylisted,
    /// An allow pattern matches.
    Allowlisted,
    /// The flag is not enabled.
    Disabled,
    /// An attribute excludes the workspace.
    Excluded,
    /// The workspace's bucket decided.
    Percentage,
}

/// Evaluates `flag` for a workspace. `killed`: a kill switch covers it, or that cannot be known.
#[must_use]
pub fn evaluate(
    flag: &Flag,
    killed: bool,
    workspace: &WorkspaceId,
    attributes: &Attributes,
) -> Evaluation {
    if killed {
        return Evaluation { enabled: false, reason: Reason::Killed };
    }
    let evaluation = by_definition(flag, workspace, attributes);
    if flag.paused && evaluation.enabled {
        return Evaluation { enabled: false, reason: Reason::Paused };
    }
    evaluation
}

fn by_definition(flag: &Flag, workspace: &WorkspaceId, attributes: &Attributes) -> Evaluation {
    let definition = &flag.definition;
    let decided = |enabled, reason| Evaluation { enabled, reason };
    if definition.deny.matches(workspace.as_str()) {
        return decided(false, Reason::Denylisted);
    }
    if definition.allow.matches(workspace.as_str()) {
        return decided(true, Reason::Allowlisted);
    }
    if !definition.enabled {
        return decided(false, Reason::Disabled);
    }
    if definition.exclusions.iter().any(|exclusion| excludes(exclusion, attributes)) {
        return decided(false, Reason::Excluded);
    }
    decided(bucket(&flag.key, workspace) < definition.percentage.get(), Reason::Percentage)
}

/// Whether an exclusion applies. An attribute of the wrong type is read as the more restrictive
/// meaning; an absent one says nothing.
fn excludes(exclusion: &Exclusion, attributes: &Attributes) -> bool {
    match (attributes.get(&exclusion.attribute), &exclusion.test) {
        (None, _) => false,
        (Some(Attribute::Text(text)), ExclusionTest::Equals(excluded)) => text == excluded,
        (Some(Attribute::Number(number)), ExclusionTest::Above(bound)) => {
            *number > to_float(*bound)
        }
        (Some(_), _) => true,
    }
}

/// Bounds beyond 2^53 lose their last bits here, which no count of uploads reaches.
#[expect(clippy::cast_precision_loss, reason = "documented bound")]
fn to_float(bound: i64) -> f64 {
    bound as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vocab::{BasisPoints, FlagKey, Pattern, PhaseId, PipelineId};

    use super::*;
    use crate::flag::{Definition, Limits, Patterns};

    fn patterns(texts: &[&str]) -> Patterns {
        Patterns::new(texts.iter().map(|text| Pattern::new(text).unwrap()).collect()).unwrap()
    }

    fn flag(definition: Definition) -> Flag {
        Flag {
            key: FlagKey::new("ingestion_v2_enabled").unwrap(),
            pipeline: PipelineId::new("ingestion_v2").unwrap(),
            definition,
            limits: Limits::default(),
            rollout: String::new(),
            phase: Some(PhaseId::new("P2").unwrap()),
            generation: 1,
            paused: false,
        }
    }

    fn p2() -> Flag {
        flag(Definition {
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
        })
    }

    fn ask(flag: &Flag, killed: bool, workspace: &str, attributes: &Attributes) -> Evaluation {
        evaluate(flag, killed, &WorkspaceId::new(workspace).unwrap(), attributes)
    }

    fn with(name: &str, value: Attribute) -> Attributes {
        Attributes::from([(name.to_owned(), value)])
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let none = Attributes::new();
        let reason = |flag: &Flag, killed, id: &str| ask(flag, killed, id, &none).reason;
        assert_eq!(reason(&p2(), true, "pilot-1"), Reason::Killed);
        let paused = Flag { paused: true, ..p2() };
        assert_eq!(reason(&paused, false, "pilot-1"), Reason::Paused);
        assert_eq!(reason(&paused, false, "enterprise-x"), Reason::Denylisted);
        assert_eq!(reason(&p2(), false, "enterprise-friend"), Reason::Denylisted);
        assert_eq!(reason(&p2(), false, "pilot-1"), Reason::Allowlisted);
        assert_eq!(reason(&p2(), false, "ws-1"), Reason::Percentage);
        let mut disabled = p2();
        disabled.definition.enabled = false;
        assert_eq!(reason(&disabled, false, "ws-1"), Reason::Disabled);
        assert!(ask(&disabled, false, "pilot-1", &none).enabled, "an allow holds when disabled");
    }

    #[test]
    fn an_attribute_excludes_and_one_of_the_wrong_type_excludes_too() {
        let reason = |attributes: &Attributes| ask(&p2(), false, "ws-1", attributes).reason;
        assert_eq!(reason(&with("tier", Attribute::Text("enterprise".into()))), Reason::Excluded);
        assert_eq!(reason(&with("tier", Attribute::Text("free".into()))), Reason::Percentage);
        assert_eq!(reason(&with("tier", Attribute::Truth(true))), Reason::Excluded);
        assert_eq!(reason(&with("daily_uploads", Attribute::Number(1001.0))), Reason::Excluded);
        assert_eq!(reason(&with("daily_uploads", Attribute::Number(1000.0))), Reason::Percentage);
    }

    proptest! {
        #[test]
        fn on_at_a_share_means_on_at_every_larger_share(
            id in "[a-z0-9-]{1,20}", small in 0_i64..=10_000, more in 0_i64..=10_000
        ) {
            prop_assume!(WorkspaceId::new(&id).is_ok());
            let at = |share| {
                let definition = Definition {
                    enabled: true,
                    percentage: BasisPoints::new(share).unwrap(),
                    ..Definition::default()
                };
                ask(&flag(definition), false, &id, &Attributes::new()).enabled
            };
            let larger = (small + more).min(10_000);
            prop_assert!(!at(small) || at(larger));
            prop_assert!(!at(0) && at(10_000));
        }
    }
}
