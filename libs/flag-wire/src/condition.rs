//! Conditions, both ways.

use contracts::flag as pb;
use contracts::flag::attribute_test::Test as WireTest;
use contracts::flag::condition::Kind;
use flag_core::{AttributeTest, Comparison, Condition, Problem, Test, join, parse_version};
use prost_types::value::Kind as Json;
use prost_types::{ListValue, Value};
use vocab::{Pattern, excerpt};

use crate::problem;

/// Reads a condition. `levels` bounds how deep it goes before the core counts.
pub(crate) fn read(path: &str, wire: &pb::Condition, levels: usize) -> Result<Condition, Problem> {
    let Some(levels) = levels.checked_sub(1) else {
        let max = flag_core::limits::CONDITION_DEPTH_MAX;
        return Err(problem(path, format!("is nested too deeply: expected at most {max} levels")));
    };
    match &wire.kind {
        None => Err(problem(path, "is required: a test, all, any or not")),
        Some(Kind::Test(wire)) => test(&join(path, "test"), wire).map(Condition::Test),
        Some(Kind::All(wire)) => list(&join(path, "all"), wire, levels).map(Condition::All),
        Some(Kind::Any(wire)) => list(&join(path, "any"), wire, levels).map(Condition::Any),
        Some(Kind::Not(wire)) => {
            read(&join(path, "not"), wire, levels).map(|one| Condition::Not(Box::new(one)))
        }
    }
}

fn list(path: &str, wire: &pb::Conditions, levels: usize) -> Result<Vec<Condition>, Problem> {
    let conditions = wire.conditions.iter().enumerate();
    conditions.map(|(at, one)| read(&format!("{path}.conditions[{at}]"), one, levels)).collect()
}

fn test(path: &str, wire: &pb::AttributeTest) -> Result<AttributeTest, Problem> {
    let test = match &wire.test {
        None => return Err(problem(path, "is required: equals, in, number, glob or version")),
        Some(WireTest::Equals(value)) => equals(&join(path, "equals"), value)?,
        Some(WireTest::In(values)) => within(&join(path, "in"), values)?,
        Some(WireTest::Number(wire)) => {
            let comparison = comparison(&join(path, "number.comparison"), wire.comparison)?;
            Test::Number(comparison, wire.number)
        }
        Some(WireTest::Glob(text)) => Test::Glob(
            Pattern::new(text).map_err(|why| problem(join(path, "glob"), why.to_string()))?,
        ),
        Some(WireTest::Version(wire)) => {
            let comparison = comparison(&join(path, "version.comparison"), wire.comparison)?;
            let version = parse_version(&wire.version).ok_or_else(|| {
                let why =
                    format!("`{}` is not a semantic version such as 2.1.0", excerpt(&wire.version));
                problem(join(path, "version.version"), why)
            })?;
            Test::Version(comparison, Box::new(version))
        }
    };
    AttributeTest::new(&wire.attribute, test).map_err(|problem| problem.within(path))
}

fn equals(path: &str, value: &Value) -> Result<Test, Problem> {
    match &value.kind {
        Some(Json::StringValue(text)) => Ok(Test::Text(text.clone())),
        Some(Json::BoolValue(truth)) => Ok(Test::Truth(*truth)),
        Some(Json::NumberValue(number)) => Ok(Test::Number(Comparison::Equal, *number)),
        Some(Json::NullValue(_) | Json::StructValue(_) | Json::ListValue(_)) | None => {
            Err(problem(path, "expected a text, a number or a truth value"))
        }
    }
}

fn within(path: &str, values: &ListValue) -> Result<Test, Problem> {
    let kinds = values.values.iter().map(|value| value.kind.as_ref());
    let texts: Option<Vec<_>> = kinds
        .clone()
        .map(|kind| match kind {
            Some(Json::StringValue(text)) => Some(text.clone()),
            Some(_) | None => None,
        })
        .collect();
    let numbers: Option<Vec<_>> = kinds
        .map(|kind| match kind {
            Some(Json::NumberValue(number)) => Some(*number),
            Some(_) | None => None,
        })
        .collect();
    match (texts, numbers) {
        (Some(texts), _) if !texts.is_empty() => Ok(Test::Texts(texts)),
        (_, Some(numbers)) if !numbers.is_empty() => Ok(Test::Numbers(numbers)),
        (Some(_) | None, Some(_) | None) => Err(problem(
            path,
            "expected at least one text, or at least one number, and nothing else",
        )),
    }
}

fn comparison(path: &str, wire: i32) -> Result<Comparison, Problem> {
    match pb::Comparison::try_from(wire) {
        Ok(pb::Comparison::Equal) => Ok(Comparison::Equal),
        Ok(pb::Comparison::NotEqual) => Ok(Comparison::NotEqual),
        Ok(pb::Comparison::Below) => Ok(Comparison::Below),
        Ok(pb::Comparison::AtMost) => Ok(Comparison::AtMost),
        Ok(pb::Comparison::Above) => Ok(Comparison::Above),
        Ok(pb::Comparison::AtLeast) => Ok(Comparison::AtLeast),
        Ok(pb::Comparison::SameMajor) => Ok(Comparison::SameMajor),
        Ok(pb::Comparison::SameMinor) => Ok(Comparison::SameMinor),
        Ok(pb::Comparison::Unspecified) | Err(_) => {
            Err(problem(path, format!("{wire} is not a comparison")))
        }
    }
}

/// Writes a condition.
pub(crate) fn write(condition: &Condition) -> pb::Condition {
    let list = |list: &[Condition]| pb::Conditions { conditions: list.iter().map(write).collect() };
    let kind = match condition {
        Condition::Test(test) => Kind::Test(wire_test(test)),
        Condition::All(all) => Kind::All(list(all)),
        Condition::Any(any) => Kind::Any(list(any)),
        Condition::Not(one) => Kind::Not(Box::new(write(one))),
    };
    pb::Condition { kind: Some(kind) }
}

fn wire_test(test: &AttributeTest) -> pb::AttributeTest {
    let value = |kind| Value { kind: Some(kind) };
    let wire = match test.test() {
        Test::Text(text) => WireTest::Equals(value(Json::StringValue(text.clone()))),
        Test::Truth(truth) => WireTest::Equals(value(Json::BoolValue(*truth))),
        Test::Texts(texts) => {
            let values = texts.iter().cloned().map(Json::StringValue).map(value).collect();
            WireTest::In(ListValue { values })
        }
        Test::Numbers(numbers) => {
            let values = numbers.iter().copied().map(Json::NumberValue).map(value).collect();
            WireTest::In(ListValue { values })
        }
        Test::Number(comparison, number) => WireTest::Number(pb::NumberTest {
            comparison: wire_comparison(*comparison).into(),
            number: *number,
        }),
        Test::Glob(glob) => WireTest::Glob(glob.to_string()),
        Test::Version(comparison, version) => WireTest::Version(pb::VersionTest {
            comparison: wire_comparison(*comparison).into(),
            version: version.to_string(),
        }),
    };
    pb::AttributeTest { attribute: test.attribute().to_owned(), test: Some(wire) }
}

const fn wire_comparison(comparison: Comparison) -> pb::Comparison {
    match comparison {
        Comparison::Equal => pb::Comparison::Equal,
        Comparison::NotEqual => pb::Comparison::NotEqual,
        Comparison::Below => pb::Comparison::Below,
        Comparison::AtMost => pb::Comparison::AtMost,
        Comparison::Above => pb::Comparison::Above,
        Comparison::AtLeast => pb::Comparison::AtLeast,
        Comparison::SameMajor => pb::Comparison::SameMajor,
        Comparison::SameMinor => pb::Comparison::SameMinor,
    }
}
