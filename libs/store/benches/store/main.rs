//! What the store costs beside the least that could be done, in one run:
//! `cargo bench -p store [-- embedded|redis|window|replay]`.
//!
//! The machine is shared and noisy, so only ratios count: each measurement and its baseline take
//! turns, and the median turn of each is compared.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it found")]

mod embedded;
mod measure;
mod redis;
mod replay;
mod window;

#[tokio::main]
async fn main() {
    let names = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let wanted: Vec<String> = names.collect();
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    if asked("embedded") {
        embedded::append_beside_a_bare_write().await;
        embedded::sixty_four_appenders_beside_one().await;
    }
    if asked("redis") {
        redis::append_beside_a_bare_xadd().await;
        redis::a_thousand_outcomes_in_one_round_trip().await;
    }
    if asked("window") {
        window::a_week_after_many_outcomes_beside_after_few().await;
    }
    if asked("replay") {
        replay::a_million_events().await;
    }
}
