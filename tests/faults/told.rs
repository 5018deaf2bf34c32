//! Messages through faults: none told that is not in the ledger, none lost, and twice only what
//! was on its way when a process died.

use std::collections::BTreeMap;

use capture::SlackAnswer;
use contracts::comms as pb;
use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::comms::message::State;
use softlaunch_tests::{Action, History, Outcome};
use test_kit::eventually;

use crate::clients::{Duty, engage, prepare};
use crate::installation::{Addresses, Installation};
use test_kit::rounds;

const INCIDENTS: &str = "slack-incidents";
const ON_THEIR_WAY_MAX: usize = 4; // Messages that comms sends at once, per channel.
const DEATHS_MAX: usize = 300; // Of one installation; a longer ledger makes the proof slow, not harder.
const PAGE: i32 = 1_000;
/// How an attempt says that one before it may have arrived.
const MAYBE_SENT: &str = "may have been sent before";

/// The messages to channels that are set up; `None` while comms does not answer.
async fn ledger(addresses: &Addresses) -> Option<Vec<pb::Message>> {
    let mut comms = CommsServiceClient::new(addresses.channel("comms"));
    let mut request = pb::ListMessagesRequest { page_size: PAGE, ..Default::default() };
    let mut messages = Vec::new();
    loop {
        let page = comms.list_messages(request.clone()).await.ok()?.into_inner();
        let told = page.messages.into_iter().filter(|one| one.channel.starts_with("slack-"));
        messages.extend(told.filter(|one| !is_alert(&one.subject)));
        if page.next_page_token.is_empty() {
            return Some(messages);
        }
        request.page_token = page.next_page_token;
    }
}

/// Whether a text says that somebody was not told: no mail server is set up, and that is told too.
fn is_alert(text: &str) -> bool {
    text.contains("not everybody has been told")
}

/// A message as it is posted. Nothing in it has to be escaped.
fn posted(message: &pb::Message) -> (String, String) {
    (message.channel.clone(), format!("*{}*\n{}", message.subject, message.body))
}

/// How many times an attempt says that the message may have arrived before it.
fn may_have_been_sent(detail: &str) -> usize {
    let Some((_, rest)) = detail.split_once(MAYBE_SENT) else { return 0 };
    let times = rest.strip_prefix(", ").and_then(|rest| rest.split_once(" times"));
    times.map_or(1, |(times, _)| times.parse().expect("a number of times"))
}

fn tells_of(message: &pb::Message, tag: &str) -> bool {
    message.channel == INCIDENTS && message.body.contains(&format!("because {tag}"))
}

/// Compares the kills of a storm with the ledger, and the ledger with what was received.
pub(crate) async fn nothing_lost_or_made_up(
    installation: &Installation,
    history: &History,
    crashes: usize,
) {
    let kills = history.about(Duty::Kill.target());
    let tags = |wanted: fn(&Outcome) -> bool| {
        let of = kills.iter().filter_map(move |call| match &call.action {
            Action::Write { payload, outcome, .. } if wanted(outcome) => Some(payload.clone()),
            Action::Write { .. } | Action::Read { .. } => None,
        });
        of.collect::<Vec<_>>()
    };
    let acknowledged = tags(|outcome| matches!(outcome, Outcome::Done(_)));
    let messages = eventually("every kill to be told of", async || {
        let messages = ledger(&installation.addresses).await?;
        let told = |tag: &String| messages.iter().any(|one| tells_of(one, tag));
        let settled = messages.iter().all(|one| one.state() != State::Pending);
        (settled && acknowledged.iter().all(told)).then_some(messages)
    })
    .await;
    for tag in acknowledged.iter().chain(&tags(|outcome| *outcome == Outcome::Unknown)) {
        let times = messages.iter().filter(|one| tells_of(one, tag)).count();
        assert!(times <= 1, "TOLD: {tag} is in the ledger {times} times");
    }
    let mut received: BTreeMap<(String, String), usize> = BTreeMap::new();
    for post in installation.slack.posts().into_iter().filter(|post| !is_alert(&post.text)) {
        *received.entry((post.path, post.text)).or_default() += 1;
    }
    let mut twice = 0;
    for message in &messages {
        assert_eq!(message.state(), State::Sent, "TOLD: {message:?}");
        let times = received.remove(&posted(message)).unwrap_or(0);
        assert!(times >= 1, "LOST: {} is recorded as sent, and did not arrive", message.name);
        assert!(times <= 1 + crashes, "TOLD: {} arrived {times} times", message.name);
        twice += times - 1;
    }
    assert!(received.is_empty(), "TOLD: not in the ledger: {received:?}");
    assert!(twice <= crashes * ON_THEIR_WAY_MAX, "TOLD: {twice} duplicates of {crashes} crashes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_when_the_process_dies_arrives_after_all() {
    let mut installation = Installation::all_in_one().await;
    prepare(&installation.addresses).await;
    for round in 0..rounds(1) {
        // Given a message that the channel has taken in and not answered
        let tag = format!("ws-stalled-{round}-x");
        installation.slack.answer_always(SlackAnswer::Stall);
        let (attempts, posts) = (installation.slack.attempts(), installation.slack.posts().len());
        engage(&installation.addresses, &tag).await.expect("a kill is always taken");
        installation.slack.wait_for_attempts(attempts + 1).await;

        // When the process dies and comes back
        assert_eq!(installation.slack.posts().len(), posts, "the message was still on its way");
        installation.kill("all");
        installation.slack.answer_always(SlackAnswer::Accept);
        installation.start_again("all").await;

        // Then it is recorded as sent, and did arrive
        let message = eventually("the message to be recorded as sent", async || {
            let messages = ledger(&installation.addresses).await?;
            let sent = |one: &pb::Message| tells_of(one, &tag) && one.state() == State::Sent;
            messages.into_iter().find(sent)
        })
        .await;
        let posts = installation.slack.posts();
        let times = posts
            .iter()
            .filter(|post| (post.path.clone(), post.text.clone()) == posted(&message))
            .count();
        // Twice where the receiver took in the dead process's request after all.
        assert!(times >= 1, "LOST: {} is recorded as sent, and did not arrive", message.name);
        assert!(times <= 2, "TOLD: {message:?} arrived {times} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how many were told twice is what the long form is for")]
async fn whenever_the_process_dies_nothing_is_lost_and_what_may_be_told_twice_says_so() {
    let mut left = rounds(6);
    while left > 0 {
        let deaths = left.min(DEATHS_MAX);
        let (messages, twice) = die_again_and_again(deaths).await;
        println!("{deaths} deaths, {messages} messages, {twice} of them told twice and labelled");
        left -= deaths;
    }
}

/// How many messages an installation told that died as many times, and how many of them twice.
async fn die_again_and_again(deaths: usize) -> (usize, usize) {
    let mut installation = Installation::all_in_one().await;
    prepare(&installation.addresses).await;
    let tag = |round: usize| format!("ws-dying-{round}-x");
    for round in 0..deaths {
        let attempts = installation.slack.attempts();
        engage(&installation.addresses, &tag(round)).await.expect("a kill is always taken");
        match round % 3 {
            0 => {} // Before its message is made, or while it is.
            1 => installation.slack.wait_for_attempts(attempts + 1).await, // While it is sent.
            _ => {
                // Around its being recorded.
                eventually("the message to be told", async || {
                    let messages = ledger(&installation.addresses).await?;
                    messages.iter().any(|one| tells_of(one, &tag(round))).then_some(())
                })
                .await;
            }
        }
        installation.kill("all");
        installation.start_again("all").await;
    }
    // What many deaths have held up takes its time; what is stuck is given up.
    let mut left = usize::MAX;
    let messages = loop {
        let what = format!("fewer than {left} messages to be left unsent");
        let (fewer, messages) = eventually(&what, async || {
            let messages = ledger(&installation.addresses).await?;
            let sent = |tag: &str| {
                let found = messages.iter().find(|one| tells_of(one, tag));
                found.is_some_and(|one| one.state() == State::Sent)
            };
            let unsent = (0..deaths).filter(|round| !sent(&tag(*round))).count();
            let pending = messages.iter().filter(|one| one.state() == State::Pending).count();
            let fewer = unsent.max(pending);
            (fewer < left).then_some((fewer, messages))
        })
        .await;
        if fewer == 0 {
            break messages;
        }
        left = fewer;
    };
    let posts = installation.slack.posts();
    let mut twice = 0;
    for message in &messages {
        let of = |post: &&capture::Post| (post.path.clone(), post.text.clone()) == posted(message);
        let times = posts.iter().filter(of).count();
        let labels: usize =
            message.attempts.iter().map(|one| may_have_been_sent(&one.detail)).sum();
        assert!(times >= 1, "LOST: {} is recorded as sent, and did not arrive", message.name);
        assert!(times <= 1 + labels, "TOLD: {} arrived {times} times: {message:?}", message.name);
        twice += times - 1;
    }
    (messages.len(), twice)
}
