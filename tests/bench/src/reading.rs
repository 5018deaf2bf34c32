//! How long it takes to read the switch in the SDK.

use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{KillWatch, Policy, WatchOptions};
use killswitch_core::{Target, View};
use tokio::time::Instant;
use vocab::{PipelineId, WorkspaceId};

use crate::Error;
use crate::measure::{Samples, report};
use crate::operator::PIPELINE;
use crate::process::Server;

const TURNS: usize = 21;
const READS: u32 = 1_000_000;
const READ_MAX: f64 = 1.5;
const POLICY: Policy = Policy { stale_after: Duration::from_secs(60), fail_closed: true };

/// A read while nothing is engaged, beside one atomic load with one look at the clock, and beside
/// the lock that it does without. That it allocates nothing is a test of the client.
pub(crate) async fn beside_an_atomic_load() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_str().ok_or("a directory with a strange name")?;
    let server = Server::start(&["product", path]).await?;
    let kills = KillWatch::start(
        &server.address,
        WatchOptions {
            worker_id: "bench".to_owned(),
            pipeline: PIPELINE.to_owned(),
            policy: POLICY,
            trust_max: None,
            state_file: None,
            credentials: client::Credentials::default(),
        },
    )?;
    kills.first_word().await;
    let (pipeline, workspace) = (PipelineId::new(PIPELINE)?, WorkspaceId::new("ws-1")?);
    let target = Target { pipeline: &pipeline, phase: None, workspace: &workspace };
    let (origin, until) = (Instant::now(), AtomicU64::new(u64::MAX));
    let mut view = View::default();
    view.accept(0, Vec::new(), Duration::ZERO);
    let view = RwLock::new(view);
    let (mut ours, mut bare, mut locked) = Default::default();
    let mut killed = 0_u32;
    for _turn in 0..TURNS {
        timed(&mut ours, || killed += u32::from(kills.is_killed(black_box(target))));
        timed(&mut bare, || {
            let now = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            killed += u32::from(now >= until.load(Ordering::Acquire));
        });
        timed(&mut locked, || {
            let view = view.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            killed += u32::from(view.is_killed(black_box(target), POLICY, origin.elapsed()));
        });
    }
    if killed > 0 {
        return Err("something was killed".into());
    }
    println!("reading the switch: {:?} each", ours.median() / READS);
    report("  a read / one load and the clock", ours.median(), bare.median(), READ_MAX);
    report("  a read / one under a lock", ours.median(), locked.median(), 1.0);
    Ok(())
}

fn timed(samples: &mut Samples, mut read: impl FnMut()) {
    let started = Instant::now();
    (0..READS).for_each(|_| read());
    samples.push(started.elapsed());
}
