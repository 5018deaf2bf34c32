//! A worker that was killed stays killed through a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Client, Options, Policy, Remembered};
use contracts::killswitch::policy::OnStale;
use contracts::killswitch::scope::Kind;
use test_kit::eventually;
use tokio::runtime::Runtime;

use crate::kill_fake::{engaged, scope};
use crate::leasing::policy;
use crate::platform::{Platform, deferred};

const STATIC: Policy = Policy { stale_after: Duration::from_millis(300), fail_closed: false };

/// A worker with a runtime of its own, which ends as a process does.
struct Process {
    runtime: Option<Runtime>,
    worker: Client,
}

impl Process {
    fn start(platform: &Platform, state_file: &Path) -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        let options = platform.options(STATIC);
        let options = Options { state_file: Some(state_file.to_owned()), ..options };
        let worker = {
            let _inside = runtime.enter();
            Client::start(options).expect("the options are right")
        };
        Self { runtime: Some(runtime), worker }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn state_file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("worker-1.state")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_during_a_kill_stays_killed_whatever_older_word_comes() {
    let (dir, mut platform) = (tempfile::tempdir().unwrap(), Platform::start().await);
    let first = Process::start(&platform, &state_file(&dir));
    assert_eq!(first.worker.kills().remembered(), Remembered::Nothing);
    platform.kills.say(7, vec![engaged(7, Some(scope(Kind::Pipeline)))]);
    platform.acknowledged(7).await;
    drop(first);
    platform.stop().await;
    let again = Process::start(&platform, &state_file(&dir));
    assert_eq!(again.worker.kills().remembered(), Remembered::Epoch(7));
    assert!(deferred(&again.worker, "ws-1").await, "the control plane is away");
    platform.kills.say(3, Vec::new()); // Its store has lost data.
    platform.start_again().await;
    platform.acknowledged(3).await;
    assert!(deferred(&again.worker, "ws-1").await, "an older state is no permission");
    let hello = platform.kills.hellos().pop().unwrap();
    assert_eq!((hello.epoch, hello.engaged), (7, vec![scope(Kind::Pipeline)]));
    platform.kills.say(8, Vec::new());
    eventually("it admits", async || !deferred(&again.worker, "ws-1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_applied_and_not_acknowledged() {
    let (dir, platform) = (tempfile::tempdir().unwrap(), Platform::start().await);
    let blocked = dir.path().join("no-directory");
    std::fs::write(&blocked, "in the way").unwrap();
    platform.kills.lease(policy(OnStale::FailClosed, Duration::from_millis(300)));
    platform.kills.say(0, Vec::new());
    let process = Process::start(&platform, &blocked.join("worker-1.state"));
    platform.acknowledged(0).await;
    platform.kills.say(1, vec![engaged(1, Some(scope(Kind::Global)))]);
    eventually("it is applied", async || process.worker.kills().epoch() == 1).await;
    assert!(deferred(&process.worker, "ws-1").await);
    let renewals = platform.kills.talk().renewals;
    eventually("it goes on talking", async || platform.kills.talk().renewals > renewals + 3).await;
    assert!(!platform.kills.acknowledged().contains(&1));
    std::fs::remove_file(&blocked).unwrap();
    platform.acknowledged(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_no_permission_and_is_replaced() {
    let (dir, platform) = (tempfile::tempdir().unwrap(), Platform::start().await);
    std::fs::write(state_file(&dir), "softlaunch-kill-state 1\nnonsense").unwrap();
    let first = Process::start(&platform, &state_file(&dir));
    assert_eq!(first.worker.kills().remembered(), Remembered::Damaged);
    eventually("it listens", async || !platform.kills.hellos().is_empty()).await;
    assert!(deferred(&first.worker, "ws-1").await);
    platform.kills.say(4, Vec::new());
    platform.acknowledged(4).await;
    assert!(!deferred(&first.worker, "ws-1").await);
    drop(first);
    let again = Process::start(&platform, &state_file(&dir));
    assert_eq!(again.worker.kills().remembered(), Remembered::Epoch(4));
}
