//! Waiting on a condition instead of for a time.

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60); // Generous: a loaded machine is not a bug.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a condition may answer: `bool`, or `Option<T>` to hand the awaited value on.
pub trait Outcome {
    /// What waiting yields.
    type Value;

    /// The value, where the condition holds.
    fn reached(self) -> Option<Self::Value>;
}

impl Outcome for bool {
    type Value = ();

    fn reached(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn reached(self) -> Self {
        self
    }
}

/// Asks `condition` every 20 ms until it holds, and returns what it found.
///
/// # Panics
/// After 60 seconds, naming `what` was awaited.
pub async fn eventually<O: Outcome>(what: &str, mut condition: impl AsyncFnMut() -> O) -> O::Value {
    let asking = async {
        loop {
            if let Some(value) = condition().await.reached() {
                return value;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(value) => value,
        Err(_) => panic!("gave up after {PATIENCE:?} waiting until {what}"),
    }
}
