//! Answers of providers and of our own service, in one form, to be compared.

use contracts::flag as pb;
use contracts::flag::Reason;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::Value as Json;
use softlaunch_tests::House;
use tonic_types::StatusExt as _;
use vocab::WorkspaceId;

use crate::peer::Question;

const BATCH: usize = 1_000;
const DIFFERENCES_SHOWN: usize = 10;

/// What was said, whoever said it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) value: Json,
    pub(crate) variant: Option<String>,
    pub(crate) reason: String,
    pub(crate) error: Option<String>,
}

impl Answer {
    /// Reads a line of a provider.
    pub(crate) fn read(line: &str) -> Self {
        let Ok(said) = serde_json::from_str::<Json>(line) else { panic!("no JSON: {line}") };
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        // A provider in rpc mode keeps what is STATIC, and says so.
        let reason =
            text("reason").map(|said| if said == "CACHED" { "STATIC".into() } else { said });
        Self {
            value: of_floats(&said["value"]),
            variant: text("variant"),
            reason: reason.unwrap_or_default(),
            error: text("error"),
        }
    }

    /// Puts our own answer into their words, as docs/flags.md translates them.
    fn ours(answer: pb::EvaluateFlagResponse, question: &Question) -> Self {
        let given = !answer.variant.is_empty();
        let reason = match answer.reason() {
            Reason::Static => "STATIC",
            Reason::Default => "DEFAULT",
            Reason::Disabled | Reason::Killed | Reason::Paused if !given => "DISABLED",
            Reason::Unspecified => panic!("an answer has a reason"),
            Reason::Killed
            | Reason::Paused
            | Reason::Denylisted
            | Reason::Allowlisted
            | Reason::Disabled
            | Reason::Excluded
            | Reason::Percentage
            | Reason::Targeted => "TARGETING_MATCH",
        };
        let value = match &answer.value {
            Some(value) => of_wire(value),
            None if given && question.kind == "boolean" => answer.enabled.into(),
            None => of_floats(&question.default),
        };
        Self {
            value,
            variant: given.then_some(answer.variant),
            reason: reason.to_owned(),
            error: None,
        }
    }

    /// What a provider makes of a refusal: the caller's own value.
    fn refused(status: &tonic::Status, default: &Json) -> Self {
        let details = status.get_error_details();
        let error = match details.error_info().map(|info| info.reason.as_str()) {
            Some("FLAG_NOT_FOUND") => "FLAG_NOT_FOUND",
            Some("NO_SUCH_VARIANT" | "TARGETING_FAILED") => "PARSE_ERROR",
            other => panic!("{other:?}: {status:?}"),
        };
        Self {
            value: of_floats(default),
            variant: None,
            reason: "ERROR".to_owned(),
            error: Some(error.to_owned()),
        }
    }
}

/// 1 and 1.0 are one number: JSON has one kind of them, languages have two.
fn of_floats(json: &Json) -> Json {
    match json {
        Json::Number(number) => number.as_f64().into(),
        Json::Array(items) => items.iter().map(of_floats).collect(),
        Json::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), of_floats(value))).collect()
        }
        Json::Null | Json::Bool(_) | Json::String(_) => json.clone(),
    }
}

fn of_wire(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => (*truth).into(),
        Some(Kind::NumberValue(number)) => (*number).into(),
        Some(Kind::StringValue(text)) => text.as_str().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(of_wire).collect(),
        Some(Kind::StructValue(fields)) => {
            fields.fields.iter().map(|(name, value)| (name.clone(), of_wire(value))).collect()
        }
    }
}

fn to_wire(json: &Json) -> Value {
    let kind = match json {
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Number(number) => match number.as_f64() {
            Some(number) => Kind::NumberValue(number),
            None => panic!("a test asks with numbers that fit"),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => panic!("a test asks with plain values"),
    };
    Value { kind: Some(kind) }
}

/// The question as our own service is asked it; `None` where no workspace has such an id.
fn own(question: &Question) -> Option<pb::EvaluateFlagRequest> {
    let workspace = question.context["targetingKey"].as_str()?;
    WorkspaceId::new(workspace).ok()?;
    let attributes = question.context.as_object()?.iter();
    let attributes = attributes.filter(|(name, _)| *name != "targetingKey");
    let fields = attributes.map(|(name, value)| (name.clone(), to_wire(value))).collect();
    Some(pb::EvaluateFlagRequest {
        name: format!("flags/{}", question.flag),
        workspace_id: workspace.to_owned(),
        attributes: Some(Struct { fields }),
    })
}

/// Our own answers, `None` where our own service is not asked such a question.
pub(crate) async fn our_own(house: &House, questions: &[Question]) -> Vec<Option<Answer>> {
    let mut answers = vec![None; questions.len()];
    let asked = questions.iter().enumerate();
    let asked: Vec<_> = asked.filter_map(|(at, one)| Some((at, own(one)?))).collect();
    for batch in asked.chunks(BATCH) {
        let requests = batch.iter().map(|(_, request)| request.clone()).collect();
        let batched = pb::BatchEvaluateFlagsRequest { requests };
        let batched = house.evaluation().batch_evaluate_flags(batched).await;
        let batched = batched.unwrap_or_else(|status| panic!("the batch is refused: {status:?}"));
        for ((at, _), answer) in batch.iter().zip(batched.into_inner().responses) {
            answers[*at] = Some(Answer::ours(answer, &questions[*at]));
        }
    }
    answers
}

/// The same, one by one, for questions that are refused.
pub(crate) async fn our_refusals(house: &House, questions: &[Question]) -> Vec<Option<Answer>> {
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        let Some(request) = own(question) else {
            answers.push(None);
            continue;
        };
        let answer = match house.evaluation().evaluate_flag(request).await {
            Ok(answer) => panic!("{question:?} is answered: {answer:?}"),
            Err(status) => Answer::refused(&status, &question.default),
        };
        answers.push(Some(answer));
    }
    answers
}

/// Expects the same answer to every question, and shows the first few that differ.
pub(crate) fn agree(
    questions: &[Question],
    (whose, answers): (&str, &[Answer]),
    (others, wanted): (&str, &[Option<Answer>]),
) {
    let compared = questions.iter().zip(answers).zip(wanted);
    let compared = compared.filter_map(|((one, said), wanted)| Some((one, said, wanted.as_ref()?)));
    let differing = compared.filter(|(_, said, wanted)| said != wanted);
    let differing: Vec<_> = differing
        .map(|(one, said, wanted)| format!("{one:?}\n  {whose}: {said:?}\n  {others}: {wanted:?}"))
        .collect();
    let shown = differing.iter().take(DIFFERENCES_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    let count = differing.len();
    assert!(count == 0, "{count} of {} answers differ, e.g.\n{shown}", questions.len());
}
