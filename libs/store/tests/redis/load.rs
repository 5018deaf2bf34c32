//! Commands one after the other, each until it is acknowledged: what a service's callers do.

use std::sync::Arc;
use std::time::Duration;

use store::{AppendError, Journal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{add, said, stream};

const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// A caller at work.
pub(crate) struct Load {
    acknowledged: watch::Receiver<Vec<String>>,
    refused: watch::Receiver<Vec<String>>,
    caller: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(journal: Arc<dyn Journal>) -> Self {
        let (acknowledging, acknowledged) = watch::channel(Vec::new());
        let (refusing, refused) = watch::channel(Vec::new());
        let caller = tokio::spawn(async move {
            for index in 0.. {
                let id = format!("command-{index}");
                loop {
                    match add(&*journal, &stream(), &id).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict { .. }) => {}
                        Err(refusal) => {
                            refusing.send_modify(|all| all.push(refusal.to_string()));
                            tokio::time::sleep(RETRY_PAUSE).await;
                        }
                    }
                }
                acknowledging.send_modify(|all| all.push(id));
            }
        });
        Self { acknowledged, refused, caller }
    }

    /// Waits until `count` more commands are acknowledged.
    pub(crate) async fn acknowledges(&mut self, count: usize) {
        let wanted = self.acknowledged.borrow().len() + count;
        let more = self.acknowledged.wait_for(|all| all.len() >= wanted);
        let waited = tokio::time::timeout(PATIENCE, more).await.is_ok();
        assert!(waited, "no {count} more: {:?}", self.refused.borrow().last());
    }

    /// Waits until another command is refused, by an error that contains `why`.
    pub(crate) async fn is_refused(&mut self, why: &str) {
        let seen = self.refused.borrow().len();
        let more = self.refused.wait_for(|all| all[seen..].iter().any(|one| one.contains(why)));
        let waited = tokio::time::timeout(PATIENCE, more).await.is_ok();
        assert!(waited, "not refused by `{why}`: {:?}", self.refused.borrow().last());
    }

    /// Ends it, and returns what was acknowledged.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.caller.abort();
        self.caller.await.ok(); // It was told to end.
        self.acknowledged.borrow().clone()
    }
}

/// Asserts that everything acknowledged is there once, and nothing is there twice.
pub(crate) async fn assert_kept(journal: &dyn Journal, acknowledged: &[String]) {
    let mut found = said(journal, &stream()).await;
    for id in acknowledged {
        assert!(found.contains(id), "{id} was acknowledged and is lost");
    }
    let length = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), length, "something is there twice");
}
