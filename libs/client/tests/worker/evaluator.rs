//! A thread of a worker has a reader of its own.

use client::{Attribute, Context, EvaluationError};
use contracts::flag::watch_ruleset_response::Update;
use test_kit::eventually;

use crate::evaluating::{RARELY, context, flag, on, snapshot, watch};
use crate::kill_fake::engaged;
use crate::platform::{FLAG, Platform};

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluator_answers_as_the_watch_does_through_changes_and_kills() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    let mut evaluator = flags.evaluator(FLAG);
    flags.first_word().await;
    for (revision, listed) in [(3_i64, "ws-1"), (4, "ws-2"), (5, "ws-1")] {
        if revision > 3 {
            platform.flags.say(&Update::Change(flag(revision, listed)));
        }
        eventually("it is heard of", async || flags.revision() == Some(revision.unsigned_abs()))
            .await;
        for id in ["ws-1", "ws-2"] {
            let found = evaluator.boolean(id != listed, &context(id));
            assert_eq!(
                (found.value, found.revision),
                (id == listed, revision.unsigned_abs()),
                "{id}"
            );
            assert_eq!(evaluator.boolean_value(id != listed, &context(id)), id == listed);
            assert_eq!(found, flags.boolean(FLAG, id != listed, &context(id)).await);
            let mine = evaluator.evaluate(&context(id)).unwrap();
            let theirs = flags.evaluate(FLAG, &context(id)).await.unwrap();
            assert_eq!((mine.variant, mine.reason), (theirs.variant, theirs.reason));
        }
    }
    platform.kills.say(1, vec![engaged(1, None)]);
    eventually("it is stopped", async || !on(&flags, "ws-1").await).await;
    let found = evaluator.boolean(true, &context("ws-1"));
    assert_eq!((found.value, found.reason), (false, "KILLED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluator_says_what_is_missing_and_returns_the_default() {
    let platform = Platform::start().await;
    let flags = watch(&platform, RARELY, None).await;
    let mut evaluator = flags.evaluator(FLAG);
    let found = evaluator.boolean(true, &context("ws-1"));
    assert_eq!((found.value, found.reason, found.stale), (true, "ERROR", true));
    assert_eq!(found.error.as_ref().map(EvaluationError::code), Some("PROVIDER_NOT_READY"));
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    eventually("flags are held", async || flags.revision() == Some(3)).await;
    let mut unknown_flag = flags.evaluator("unknown");
    for _ in 0..2 {
        assert!(unknown_flag.boolean_value(true, &context("ws-1")));
        let unknown = unknown_flag.boolean(true, &context("ws-1"));
        let missing = EvaluationError::FlagNotFound("unknown".to_owned());
        assert_eq!((unknown.value, unknown.error), (true, Some(missing)));
        assert!(evaluator.boolean(false, &context("ws-1")).value);
    }
    let text = evaluator.string("mine".to_owned(), &context("ws-1"));
    assert_eq!(text.error.as_ref().map(EvaluationError::code), Some("TYPE_MISMATCH"));
    assert_eq!(evaluator.integer(7, &context("ws-1")).value, 7);
    assert_eq!(evaluator.float(0.5, &context("ws-1")).value.to_bits(), 0.5_f64.to_bits());
}

#[tokio::test]
async fn an_evaluator_s_boolean_answer_allocates_nothing() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    let tier = Attribute::Text("free".to_owned());
    let asked: [(Context, bool); 2] =
        [(context("ws-1").with("tier", tier).unwrap(), true), (context("ws-2"), false)];
    let mut evaluator = flags.evaluator(FLAG);
    let mut ask = || {
        for (context, expected) in &asked {
            let details = evaluator.boolean(!expected, context);
            assert_eq!((details.value, details.error), (*expected, None));
            assert_eq!(evaluator.boolean_value(!expected, context), *expected);
        }
    };
    ask(); // The first one looks the flag up.
    let seen = allocation_counter::measure(|| (0..1_000).for_each(|_| ask()));
    assert_eq!(seen.count_total, 0, "{seen:?}");
}
