//! The workers of the demo: real processes, running this very program.

use std::process::Stdio;

use tokio::process::{Child, ChildStdin, Command};

use crate::arguments::DemoArguments;
use crate::demo::place::Stage;
use crate::failure::Failure;

const WORKERS: u64 = 4;
/// 12 of them are invalid on purpose, a tenth takes the old path, one fails in the outage.
pub(crate) const UPLOADS: u64 = 130;

/// The workers, running. They end when their standard input does.
pub(crate) struct Fleet {
    children: Vec<(Child, Option<ChildStdin>)>,
}

impl Fleet {
    /// Starts the workers; `outage`: one of them forces its breaker.
    pub(crate) fn start(
        stage: &Stage,
        arguments: &DemoArguments,
        outage: bool,
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::refused(format!("cannot find this program: {error}")))?;
        let mut children = Vec::new();
        for place in 0..WORKERS {
            let mut command = Command::new(&program);
            command.args(worker_arguments(stage, place));
            if place == 0 && outage {
                command.arg("--outage");
            }
            if place == 1 {
                command.args(["--large-file-bytes", &arguments.large_file_bytes.to_string()]);
            }
            let spawned = command.stdin(Stdio::piped()).kill_on_drop(true).spawn();
            let mut child = spawned
                .map_err(|error| Failure::refused(format!("cannot start a worker: {error}")))?;
            let stdin = child.stdin.take();
            children.push((child, stdin));
        }
        Ok(Self { children })
    }

    /// How many workers there are.
    pub(crate) fn size(&self) -> usize {
        self.children.len()
    }

    /// Fails where a worker has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for (child, _) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Failure::refused(format!("a worker ended early: {status}")));
            }
        }
        Ok(())
    }

    /// Lets the workers go, and waits until they have.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        for (_, stdin) in &mut self.children {
            drop(stdin.take());
        }
        for (child, _) in &mut self.children {
            let ended = child.wait().await;
            ended.map_err(|error| Failure::refused(format!("a worker did not end: {error}")))?;
        }
        Ok(())
    }
}

fn worker_arguments(stage: &Stage, place: u64) -> Vec<String> {
    let endpoints = &stage.endpoints;
    let database = stage.data_dir.join(format!("worker-{place}.sqlite")).display().to_string();
    let pairs = [
        ("--worker-id", format!("demo-worker-{place}")),
        ("--flag-address", endpoints.flag.clone()),
        ("--gate-address", endpoints.gate.clone()),
        ("--killswitch-address", endpoints.killswitch.clone()),
        ("--uploads", UPLOADS.to_string()),
        ("--place", place.to_string()),
        ("--workers", WORKERS.to_string()),
        ("--run", "demo".to_owned()),
        ("--database", database),
        ("--demo-origin", stage.demo.origin.to_string()),
        ("--demo-factor", stage.demo.factor.to_string()),
    ];
    let mut arguments = vec!["sample-worker".to_owned(), "--stay".to_owned()];
    arguments.extend(pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    arguments
}
