//! What our services cost beside the least that could be done, in one run:
//! `cargo run --release -p softlaunch-bench -- kill [fan-out [WATCHERS]|engage|reading|overload]`, or
//! `flag [unary|local|admit|fan-out [WATCHERS]]`, or `gate [ingest|evaluate|sketch]`, or
//! `comms`, or `rollout [decide|rehearse|thousand]`.
//!
//! The machine is shared and noisy, so only ratios count: a measurement and its baseline take
//! turns, and the median turn of each is compared. Servers are processes of their own.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it found")]

mod bare;
mod comms;
mod engage;
mod fan_out;
mod flag;
mod fleet;
mod gate;
mod measure;
mod operator;
mod overload;
mod process;
mod product;
mod reading;
mod rollout;

use std::process::ExitCode;

/// What went wrong, as a lowercase fragment.
type Error = Box<dyn std::error::Error + Send + Sync>;

const EXIT_USAGE: u8 = 64; // EX_USAGE of sysexits.h.

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["kill"] => {
            reading::beside_an_atomic_load().await?;
            engage::beside_a_bare_append().await?;
            fan_out::beside_a_bare_broadcast(1_000).await?;
            fan_out::beside_a_bare_broadcast(10_000).await?;
            overload::beside_nobody_else().await?;
        }
        ["kill", "overload"] => overload::beside_nobody_else().await?,
        ["kill", "reading"] => reading::beside_an_atomic_load().await?,
        ["kill", "engage"] => engage::beside_a_bare_append().await?,
        ["kill", "fan-out"] => {
            fan_out::beside_a_bare_broadcast(1_000).await?;
            fan_out::beside_a_bare_broadcast(10_000).await?;
        }
        ["kill", "fan-out", watchers] => {
            fan_out::beside_a_bare_broadcast(watchers.parse()?).await?;
        }
        ["gate"] => {
            gate::beside_the_exact_quantile()?;
            gate::beside_plain_counters().await?;
            gate::beside_a_thousand_outcomes().await?;
        }
        ["gate", "sketch"] => gate::beside_the_exact_quantile()?,
        ["gate", "ingest"] => gate::beside_plain_counters().await?,
        ["gate", "evaluate"] => gate::beside_a_thousand_outcomes().await?,
        ["flag"] => {
            flag::beside_a_bare_echo().await?;
            flag::beside_a_short_list().await?;
            flag::beside_a_bare_evalsha().await?;
            flag::beside_a_bare_broadcast(10_000).await?;
        }
        ["flag", "unary"] => flag::beside_a_bare_echo().await?,
        ["flag", "local"] => flag::beside_a_short_list().await?,
        ["flag", "admit"] => flag::beside_a_bare_evalsha().await?,
        ["flag", "fan-out"] => flag::beside_a_bare_broadcast(10_000).await?,
        ["flag", "fan-out", watchers] => flag::beside_a_bare_broadcast(watchers.parse()?).await?,
        ["comms"] => comms::beside_channels_that_are_well().await?,
        ["rollout"] => {
            rollout::on_a_long_story()?;
            rollout::beside_its_uploads()?;
            rollout::beside_one().await?;
        }
        ["rollout", "decide"] => rollout::on_a_long_story()?,
        ["rollout", "rehearse"] => rollout::beside_its_uploads()?,
        ["rollout", "thousand"] => rollout::beside_one().await?,
        ["serve", "gate", dir] => gate::serve(dir).await?,
        ["serve", "together", dir] => Box::pin(product::serve_together(dir)).await?,
        ["serve", "product", dir] => product::serve(dir).await?,
        ["serve", "flood", addresses @ ..] => overload::flood(addresses).await?,
        ["serve", "bare"] => bare::serve().await?,
        ["serve", "flag", location] => flag::serve(location).await?,
        ["serve", "echo"] => flag::serve_echo(None).await?,
        ["serve", "echo", redis] => flag::serve_echo(Some(redis)).await?,
        ["serve", "broadcast"] => flag::serve_broadcast().await?,
        _ => {
            println!(
                "usage: softlaunch-bench flag [unary|local|admit|fan-out [WATCHERS]] | kill \
                 [fan-out [WATCHERS]|engage|reading|overload] | gate [ingest|evaluate|sketch] | comms | rollout \
                 [decide|rehearse|thousand]"
            );
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}
