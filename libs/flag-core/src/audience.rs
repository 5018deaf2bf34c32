//! Who gets what: D7's short form, and the full form around it.

use plan::{Exclusion, FlagForm};
use vocab::{BasisPoints, Invalid};

use crate::condition::{Condition, check_attribute};
use crate::limits::{EXCLUSIONS_MAX, RULES_MAX, SHARES_MAX, TESTS_MAX};
use crate::patterns::Patterns;
use crate::problem::{Problem, at_most, join};
use crate::value::{VariantIndex, Variants};

/// Who gets which variant; the first that applies decides.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audience {
    /// Whether rules, percentage and split apply.
    pub enabled: bool,
    /// These get the on variant, but for a deny.
    pub allow: Patterns,
    /// These get the default variant.
    pub deny: Patterns,
    /// The share of all others that gets the on variant.
    pub percentage: BasisPoints,
    /// Attributes that keep a workspace off rules, percentage and split.
    pub exclusions: Vec<Exclusion>,
    /// What the flag can be.
    pub variants: Variants,
    /// Serves others by their attributes.
    pub rules: Vec<Rule>,
    /// Shares of all others, instead of the percentage.
    pub split: Split,
}

/// Serves variants where a condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is for.
    pub description: String,
    /// When it applies.
    pub condition: Condition,
    /// What it serves.
    pub serve: Serve,
}

/// What a rule serves.
#[derive(Debug, Clone, PartialEq)]
pub enum Serve {
    /// One variant.
    Variant(VariantIndex),
    /// Shares of several.
    Split(Split),
}

/// Shares of variants; what is left over gets the default one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    shares: Vec<Share>,
}

/// One share of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The variant.
    pub variant: VariantIndex,
    /// Its share.
    pub weight: BasisPoints,
    /// Buckets below this one, and not below an earlier one, are its own.
    end: u16,
}

impl Split {
    /// Checks shares. `path` names the field in refusals.
    ///
    /// # Errors
    /// Refuses more than 10,000 basis points together.
    pub fn new(path: &str, shares: Vec<(VariantIndex, BasisPoints)>) -> Result<Self, Problem> {
        at_most(path, "shares", shares.len(), SHARES_MAX)?;
        let mut end = 0_u16;
        let mut list = Vec::with_capacity(shares.len());
        for (at, (variant, weight)) in shares.into_iter().enumerate() {
            end = end.saturating_add(weight.get());
            if end > BasisPoints::ALL.get() {
                let why =
                    format!("the weights up to here are {end}: expected at most 10000 together");
                return Err(Problem::new(format!("{path}[{at}].weight_basis_points"), why));
            }
            list.push(Share { variant, weight, end });
        }
        Ok(Self { shares: list })
    }

    /// The shares.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// The variant of a bucket; `None` for what is left over.
    #[must_use]
    pub fn pick(&self, bucket: u16) -> Option<VariantIndex> {
        self.shares.iter().find(|share| bucket < share.end).map(|share| share.variant)
    }

    /// What of the split is not `default`.
    #[must_use]
    pub fn exposure(&self, default: VariantIndex) -> BasisPoints {
        let shares = self.shares.iter().filter(|share| share.variant != default);
        let sum: i64 = shares.map(|share| i64::from(share.weight.get())).sum();
        BasisPoints::new(sum).unwrap_or(BasisPoints::ALL) // At most that, by the check when made.
    }
}

impl Audience {
    /// The audience a phase of a plan asks for, at `percentage` instead of the phase's last step.
    ///
    /// # Errors
    /// Refuses lists that are too long.
    pub fn from_plan(form: &FlagForm, percentage: BasisPoints) -> Result<Self, Invalid> {
        let patterns = |listed: &[vocab::Pattern]| {
            Patterns::new(listed.to_vec()).map_err(|problem| Invalid::new(problem.to_string()))
        };
        Ok(Self {
            enabled: form.enabled,
            allow: patterns(&form.allowlist)?,
            deny: patterns(&form.denylist)?,
            percentage,
            exclusions: form.exclude.clone(),
            ..Self::default()
        })
    }

    /// Checks what the parts cannot check alone.
    ///
    /// # Errors
    /// Names the field, relative to the definition.
    pub fn check(&self) -> Result<(), Problem> {
        at_most("exclusions", "exclusions", self.exclusions.len(), EXCLUSIONS_MAX)?;
        for (at, exclusion) in self.exclusions.iter().enumerate() {
            check_attribute(&exclusion.attribute)
                .map_err(|problem| problem.within(&format!("exclusions[{at}].attribute")))?;
        }
        at_most("rules", "rules", self.rules.len(), RULES_MAX)?;
        let mut tests = 0;
        for (at, rule) in self.rules.iter().enumerate() {
            let path = format!("rules[{at}]");
            let counted = rule.condition.count();
            tests += counted.map_err(|problem| problem.within(&join(&path, "condition")))?;
            at_most(&path, "tests up to here", tests, TESTS_MAX)?;
            if matches!(&rule.serve, Serve::Split(split) if split.is_empty()) {
                return Err(Problem::new(path, "serves nothing: expected a variant or a split"));
            }
        }
        if !self.split.is_empty() && self.percentage != BasisPoints::ZERO {
            let why = "excludes the percentage: give the on variant a share of the split";
            return Err(Problem::new("split", why));
        }
        let needs_on = !self.allow.is_empty() || self.percentage != BasisPoints::ZERO;
        if needs_on && self.variants.on_index().is_none() {
            let why = "is required: it is what allowlist and percentage serve";
            return Err(Problem::new("on_variant", why));
        }
        Ok(())
    }

    /// The share of unlisted workspaces that gets another variant than the default one.
    #[must_use]
    pub fn share(&self) -> BasisPoints {
        if !self.enabled {
            return BasisPoints::ZERO;
        }
        if self.split.is_empty() {
            return self.percentage;
        }
        self.split.exposure(self.variants.default_index())
    }

    /// Whether it is D7's four fields and exclusions, and no more.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.variants.is_short() && self.rules.is_empty() && self.split.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, Variant};

    fn three() -> Variants {
        let variant =
            |name: &str| Variant { name: name.into(), value: Value::Text(name.to_owned()) };
        Variants::new(vec![variant("a"), variant("b"), variant("c")], "a", "").unwrap()
    }

    fn weights(weights: &[i64]) -> Result<Split, Problem> {
        let variants = three();
        let names = ["b", "c", "a"].iter().cycle();
        let shares = weights.iter().zip(names).map(|(weight, name)| {
            (variants.find("", name).unwrap(), BasisPoints::new(*weight).unwrap())
        });
        Split::new("split", shares.collect())
    }

    #[test]
    fn weights_over_a_hundred_percent_are_refused_where_they_go_over() {
        let problem = weights(&[5_000, 4_000, 1_001]).unwrap_err();
        assert_eq!(problem.path, "split[2].weight_basis_points");
        assert!(problem.why.contains("10001"), "{problem}");
    }

    #[test]
    fn what_is_left_over_is_nobody_s_and_the_default_does_not_count_as_exposed() {
        let split = weights(&[1_000, 2_000, 3_000]).unwrap();
        let variants = three();
        let pick = |bucket| split.pick(bucket).map(|index| &*variants.at(index).name);
        assert_eq!([pick(0), pick(999)], [Some("b"); 2]);
        assert_eq!([pick(1_000), pick(2_999)], [Some("c"); 2]);
        assert_eq!([pick(3_000), pick(6_000), pick(9_999)], [Some("a"), None, None]);
        assert_eq!(split.exposure(variants.default_index()).get(), 3_000);
    }

    #[test]
    fn an_allowlist_without_an_on_variant_is_refused() {
        let allow = Patterns::new(vec![vocab::Pattern::new("ws-1").unwrap()]).unwrap();
        let audience = Audience { variants: three(), allow, ..Audience::default() };
        assert_eq!(audience.check().unwrap_err().path, "on_variant");
    }
}
