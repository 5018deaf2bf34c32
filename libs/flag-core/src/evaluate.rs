//! Evaluation: the first rule that matches decides (semantics §3).

use plan::{Exclusion, ExclusionTest};
use vocab::Timestamp;

use crate::audience::{Audience, Serve};
use crate::bucket::{Salt, bucket};
use crate::context::{Fact, Facts};
use crate::flag::{Definition, Flag};
use crate::flagd::Unanswered;
use crate::value::{Value, Variant, VariantIndex};

/// What is asked of a flag.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a, F: ?Sized> {
    /// The workspace, or whoever an OpenFeature client asks for; `None` where it does not say.
    pub key: Option<&'a str>,
    /// Its attributes.
    pub facts: &'a F,
    /// Whether a kill switch covers it, or that cannot be known.
    pub killed: bool,
    /// When it is asked: imported definitions may look at it, nothing else does.
    pub now: Timestamp,
}

/// An answer. It borrows from the flag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation<'f> {
    /// Whether the workspace is on: a boolean flag is true, another has not its default variant.
    pub enabled: bool,
    /// Why.
    pub reason: Reason,
    /// What it gets; `None` where an imported definition leaves it to the caller.
    pub variant: Option<&'f Variant>,
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
    /// A rule matches.
    Targeted,
    /// The workspace's bucket decided.
    Percentage,
    /// Nothing applies.
    Default,
    /// An imported definition without targeting.
    Static,
}

impl Reason {
    /// The name on the wire and in metadata, e.g. `ALLOWLISTED`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "KILLED",
            Self::Paused => "PAUSED",
            Self::Denylisted => "DENYLISTED",
            Self::Allowlisted => "ALLOWLISTED",
            Self::Disabled => "DISABLED",
            Self::Excluded => "EXCLUDED",
            Self::Targeted => "TARGETED",
            Self::Percentage => "PERCENTAGE",
            Self::Default => "DEFAULT",
            Self::Static => "STATIC",
        }
    }

    /// OpenFeature's word for it.
    #[must_use]
    pub const fn openfeature(self) -> &'static str {
        match self {
            Self::Killed | Self::Paused | Self::Disabled => "DISABLED",
            Self::Denylisted | Self::Allowlisted | Self::Excluded | Self::Targeted => {
                "TARGETING_MATCH"
            }
            Self::Percentage => "SPLIT",
            Self::Default => "DEFAULT",
            Self::Static => "STATIC",
        }
    }
}

/// Evaluates `flag`. Of a flag in our own form it allocates nothing and always answers, in a time
/// that depends neither on the length of its lists nor on the number of flags.
///
/// # Errors
/// An imported definition may have no answer: see [`Unanswered`].
pub fn evaluate<'f, F: Facts + ?Sized>(
    flag: &'f Flag,
    question: &Question<'_, F>,
) -> Result<Evaluation<'f>, Unanswered> {
    with_buckets(flag, question, |key| bucket(flag.key.as_str(), key))
}

/// A flag, made ready for many questions.
#[derive(Debug, Clone)]
pub struct Prepared {
    flag: Flag,
    salt: Salt,
}

impl Prepared {
    /// Makes it ready.
    #[must_use]
    pub fn new(flag: Flag) -> Self {
        let salt = Salt::of(flag.key.as_str());
        Self { flag, salt }
    }

    /// The flag.
    #[must_use]
    pub const fn flag(&self) -> &Flag {
        &self.flag
    }

    /// See [`evaluate`].
    ///
    /// # Errors
    /// An imported definition may have no answer: see [`Unanswered`].
    #[inline]
    pub fn evaluate<F: Facts + ?Sized>(
        &self,
        question: &Question<'_, F>,
    ) -> Result<Evaluation<'_>, Unanswered> {
        with_buckets(&self.flag, question, |key| self.salt.bucket(key))
    }
}

#[inline]
fn with_buckets<'f, F: Facts + ?Sized>(
    flag: &'f Flag,
    question: &Question<'_, F>,
    bucket: impl Fn(&str) -> u16,
) -> Result<Evaluation<'f>, Unanswered> {
    match &flag.definition {
        Definition::Audience(audience) => {
            let default = audience.variants.default_index();
            if question.killed {
                return Ok(answer(audience, Reason::Killed, default));
            }
            let found = by_audience(bucket, audience, question);
            // A pause holds back whoever would get anything else.
            let served = found.variant.map(|variant| &variant.name);
            let held = flag.paused && served != Some(&audience.variants.at(default).name);
            Ok(if held { answer(audience, Reason::Paused, default) } else { found })
        }
        Definition::Imported(imported) if imported.is_disabled() => Ok(imported.nothing()),
        Definition::Imported(imported) if question.killed => Ok(imported.off(Reason::Killed)),
        Definition::Imported(imported) if flag.paused => Ok(imported.off(Reason::Paused)),
        Definition::Imported(imported) => imported.evaluate(flag.key.as_str(), question),
    }
}

#[inline]
fn by_audience<'f, F: Facts + ?Sized>(
    bucket: impl Fn(&str) -> u16,
    audience: &'f Audience,
    question: &Question<'_, F>,
) -> Evaluation<'f> {
    let default = audience.variants.default_index();
    if let Some(key) = question.key {
        if audience.deny.matches(key) {
            return answer(audience, Reason::Denylisted, default);
        }
        if audience.allow.matches(key) {
            // An allowlist has an on variant: `Audience::check` says so.
            let on = audience.variants.on_index().unwrap_or(default);
            return answer(audience, Reason::Allowlisted, on);
        }
    }
    if !audience.enabled {
        return answer(audience, Reason::Disabled, default);
    }
    if audience.exclusions.iter().any(|exclusion| excludes(exclusion, question.facts)) {
        return answer(audience, Reason::Excluded, default);
    }
    for rule in &audience.rules {
        if rule.condition.holds(question.key, question.facts) {
            return match (&rule.serve, question.key) {
                (Serve::Variant(variant), _) => answer(audience, Reason::Targeted, *variant),
                (Serve::Split(split), Some(key)) => {
                    let variant = split.pick(bucket(key)).unwrap_or(default);
                    answer(audience, Reason::Targeted, variant)
                }
                (Serve::Split(_), None) => answer(audience, Reason::Default, default),
            };
        }
    }
    by_share(bucket, audience, question.key)
}

#[inline]
fn by_share<'f>(
    bucket: impl Fn(&str) -> u16,
    audience: &'f Audience,
    key: Option<&str>,
) -> Evaluation<'f> {
    let default = audience.variants.default_index();
    let Some(key) = key else { return answer(audience, Reason::Default, default) };
    if !audience.split.is_empty() {
        let variant = audience.split.pick(bucket(key)).unwrap_or(default);
        return answer(audience, Reason::Percentage, variant);
    }
    let Some(on) = audience.variants.on_index() else {
        return answer(audience, Reason::Default, default);
    };
    let selected = bucket(key) < audience.percentage.get();
    answer(audience, Reason::Percentage, if selected { on } else { default })
}

#[inline]
fn answer(audience: &Audience, reason: Reason, index: VariantIndex) -> Evaluation<'_> {
    let variant = audience.variants.at(index);
    let enabled = match variant.value {
        Value::Truth(truth) => truth,
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Nested(_) => {
            index != audience.variants.default_index()
        }
    };
    Evaluation { enabled, reason, variant: Some(variant) }
}

/// Whether an exclusion applies. An attribute of the wrong type is read as the more restrictive
/// meaning; an absent one says nothing.
fn excludes<F: Facts + ?Sized>(exclusion: &Exclusion, facts: &F) -> bool {
    match (facts.fact(&exclusion.attribute), &exclusion.test) {
        (None, _) => false,
        (Some(Fact::Text(text)), ExclusionTest::Equals(excluded)) => text == excluded,
        (Some(Fact::Number(number)), ExclusionTest::Above(bound)) => number > to_float(*bound),
        (Some(_), _) => true,
    }
}

/// Bounds beyond 2^53 lose their last bits here, which no count of uploads reaches.
#[expect(clippy::cast_precision_loss, reason = "documented bound")]
const fn to_float(bound: i64) -> f64 {
    bound as f64
}

#[cfg(test)]
mod tests;
