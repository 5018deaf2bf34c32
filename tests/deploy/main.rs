//! What is shipped beside the programs: figures, alert rules, dashboards, the runbook, the stack.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[expect(dead_code, reason = "shared with tests/system, which uses more of it")]
#[path = "../system/processes.rs"]
mod processes;

mod dashboards;
mod documented;
mod installation;
mod page;
mod prometheus;
mod rules;
mod runbook;
mod stack;
mod strangers;
mod users;
