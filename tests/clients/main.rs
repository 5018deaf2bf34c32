//! Published OpenFeature providers, as they are, against our own server: whatever the mode and the
//! language, everybody is told the same.

mod answers;
mod contexts;
mod flags;
mod pages;
mod peer;

use contracts::flag as pb;
use serde_json::{Value as Json, json};
use softlaunch_tests::House;
use test_kit::eventually;

use answers::{Answer, agree, our_own, our_refusals};
use contexts::{CONTEXTS, context};
use peer::{MODES, Peer, Program, Question};

/// Flags that every provider can tell of: name, type, the caller's own value.
fn plain() -> Vec<(&'static str, &'static str, Json)> {
    vec![
        ("short", "boolean", json!(false)),
        ("color", "string", json!("mine")),
        ("limit", "integer", json!(1)),
        ("ratio", "float", json!(0.5)),
        ("look", "object", json!({})),
        ("banner", "string", json!("mine")),
        ("greeting", "string", json!("mine")),
        ("page", "integer", json!(1)),
        ("ranked", "float", json!(0.5)),
    ]
}

fn about(flags: &[(&'static str, &'static str, Json)], contexts: usize) -> Vec<Question> {
    let asked = (0..contexts).flat_map(|at| {
        flags.iter().map(move |(flag, kind, default)| Question {
            flag,
            kind,
            default: default.clone(),
            context: context(at),
        })
    });
    asked.collect()
}

/// Asks a provider in both modes; expects them to agree with each other and with us.
async fn both_modes_agree(
    house: &House,
    program: &Program,
    questions: &[Question],
    ours: &[Option<Answer>],
) -> Vec<Answer> {
    let mut heard = Vec::new();
    for mode in MODES {
        let answers = program.connect(house, mode).await.ask(questions).await;
        agree(questions, (mode, &answers), ("our own", ours));
        heard.push(answers);
    }
    let [rpc, in_process] = heard.try_into().unwrap_or_else(|_| panic!("there are two modes"));
    let wanted: Vec<_> = in_process.into_iter().map(Some).collect();
    agree(questions, ("rpc", &rpc), ("in-process", &wanted));
    rpc
}

/// What was compared, for those who run the tests with `--nocapture`; and that it was not for
/// nothing: each flag has more than one answer, but the one without targeting.
#[expect(clippy::print_stderr, reason = "how much was compared is part of the proof")]
fn tell(whose: &str, questions: &[Question], answers: &[Answer], ours: &[Option<Answer>]) {
    for (flag, ..) in plain() {
        let of_flag = questions.iter().zip(answers).filter(|(one, _)| one.flag == flag);
        let variants: std::collections::BTreeSet<_> =
            of_flag.map(|(_, answer)| answer.variant.clone()).collect();
        assert!(variants.len() > 1 || flag == "page", "{flag} is always {variants:?}");
    }
    let asked = ours.iter().flatten().count();
    eprintln!(
        "{whose}: {} answers to about {} contexts in rpc mode are those in-process; {asked} of them \
         were asked of EvaluateFlag too. No difference.",
        answers.len(),
        answers.len() / plain().len(),
    );
    assert!(asked > answers.len() / 2, "most keys are workspace ids");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_provider_says_the_same_in_both_modes_as_we_do() {
    let Some(program) = Program::python() else { return };
    let house = House::start().await;
    flags::create_all(&house).await;
    flags::create_odd(&house).await;
    let mut flags = plain();
    flags.push(("silent", "boolean", json!(true)));
    flags.push(("gone", "string", json!("mine")));
    let questions = about(&flags, CONTEXTS);
    let ours = our_own(&house, &questions).await;
    let said = both_modes_agree(&house, &program, &questions, &ours).await;
    tell("Python", &questions, &said, &ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_provider_says_the_same_in_both_modes_as_we_do() {
    let Some(program) = Program::rust() else { return };
    let house = House::start().await;
    flags::create_all(&house).await;
    let mut questions = about(&plain(), CONTEXTS);
    questions.retain(|question| rust_can_tell(&question.context));
    let ours = our_own(&house, &questions).await;
    let said = both_modes_agree(&house, &program, &questions, &ours).await;
    tell("Rust", &questions, &said, &ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_provider_is_refused_in_both_modes_in_the_same_words() {
    let Some(program) = Program::python() else { return };
    let house = House::start().await;
    flags::create_all(&house).await;
    flags::create_odd(&house).await;
    let refused = [("nothing", "boolean", json!(true))];
    let questions = about(&refused, 100);
    let ours = our_refusals(&house, &questions).await;
    both_modes_agree(&house, &program, &questions, &ours).await;
    // Our own EvaluateFlag asks for no type.
    let mistyped = [("short", "string", json!("mine")), ("color", "object", json!({}))];
    let questions = about(&mistyped, 100);
    let nobody = vec![None; questions.len()];
    let said = both_modes_agree(&house, &program, &questions, &nobody).await;
    assert!(said.iter().all(|one| one.error.as_deref() == Some("TYPE_MISMATCH")));
}

/// Its engine reads no version that is a number or begins with `v`, and fails where a text is
/// compared with a number: see docs/flags.md.
fn rust_can_tell(context: &Json) -> bool {
    let version = &context["version"];
    let odd = version.is_number() || version.as_str().is_some_and(|text| text.starts_with('v'));
    !odd && !context["seats"].is_string()
}

async fn say_on(peer: &mut Peer, flag: &'static str) -> bool {
    let context = json!({"targetingKey": "ws-1"});
    let question = Question { flag, kind: "boolean", default: json!(false), context };
    peer.ask(&[question]).await[0].value == json!(true)
}

fn on_for_ws_1() -> pb::FlagDefinition {
    pb::FlagDefinition {
        enabled: true,
        allowlist: vec!["ws-1".to_owned()],
        ..pb::FlagDefinition::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_python_provider_that_is_connected() {
    let Some(program) = Program::python() else { return };
    let house = House::start().await;
    flags::create_all(&house).await;
    for (mode, flag) in MODES.into_iter().zip(["late-rpc", "late-in-process"]) {
        let mut peer = program.connect(&house, mode).await;
        assert!(!say_on(&mut peer, flag).await, "there is no such flag");
        let created = flags::create(&house, flag, on_for_ws_1()).await;
        peer.hears_of(flag).await;
        assert!(say_on(&mut peer, flag).await, "{mode}: it is on");
        flags::change(&house, created, |definition| definition.allowlist.clear()).await;
        let what = format!("the provider ({mode}) knows that the flag is off");
        eventually(&what, async || !say_on(&mut peer, flag).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_rust_provider_that_is_connected() {
    let Some(program) = Program::rust() else { return };
    let house = House::start().await;
    flags::create_all(&house).await;
    for (mode, flag) in MODES.into_iter().zip(["late-rpc", "late-in-process"]) {
        let mut peer = program.connect(&house, mode).await;
        assert!(!say_on(&mut peer, flag).await, "there is no such flag");
        let created = flags::create(&house, flag, on_for_ws_1()).await;
        let what = format!("the provider ({mode}) knows the flag");
        eventually(&what, async || say_on(&mut peer, flag).await).await;
        flags::change(&house, created, |definition| definition.allowlist.clear()).await;
        let what = format!("the provider ({mode}) knows that the flag is off");
        eventually(&what, async || !say_on(&mut peer, flag).await).await;
    }
}
