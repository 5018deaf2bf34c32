//! Servers as processes of their own: what they cost is not what the benchmark costs.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Error;

/// A server of this binary. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it serves, e.g. `http://127.0.0.1:40000`.
    pub(crate) address: String,
    /// Where the services beside it do, if there are any.
    pub(crate) beside: Vec<String>,
}

/// A process that says what it did when its input ends. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Talker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    /// Ends it, and returns its last line.
    pub(crate) async fn ask(mut self) -> Result<String, Error> {
        drop(self.child.stdin.take());
        Ok(self.lines.next_line().await?.ok_or("a process ended without a word")?)
    }
}

impl Server {
    /// Starts `softlaunch-bench serve ARGUMENTS`, which prints its address, and behind
    /// it those of the services beside it.
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a server without an output")?;
        let printed = BufReader::new(output).lines().next_line().await?;
        let printed = printed.ok_or("a server ended at once")?;
        let mut addresses = printed.split_whitespace().map(str::to_owned);
        let address = addresses.next().ok_or("a server without an address")?;
        Ok(Self { child, address, beside: addresses.collect() })
    }

    /// Starts one that leaves the processors to others, and goes on until it is asked for its word.
    pub(crate) async fn start_idle(arguments: &[&str]) -> Result<Talker, Error> {
        let mut child = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a process without an output")?;
        let mut lines = BufReader::new(output).lines();
        lines.next_line().await?.ok_or("a process ended at once")?;
        Ok(Talker { child, lines })
    }

    /// Processor time it has taken so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Error> {
        processor_time(self.child.id().ok_or("a server has ended")?)
    }

    /// Memory it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64, Error> {
        let id = self.child.id().ok_or("a server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.ok_or("a process without memory")?.parse()?)
    }
}

/// Processor time that all threads of a process have taken so far.
pub(crate) fn processor_time(id: u32) -> Result<Duration, Error> {
    let mut nanos = 0_u64;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split_whitespace().next().ok_or("a thread without a time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
