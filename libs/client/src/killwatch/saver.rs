//! Keeps the newest state on disk, beside the stream: a disk that hangs delays no kill.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::state_file::{State, save};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Saves in the background. What has been saved is known by its generation.
#[derive(Debug)]
pub(super) struct Saver {
    wanted: watch::Sender<(u64, State)>,
    saved: watch::Receiver<u64>,
}

impl Saver {
    pub(super) fn start(path: PathBuf) -> Self {
        let wanted = watch::Sender::new((0, State::default()));
        let (saved_tx, saved) = watch::channel(0);
        tokio::spawn(keep(Arc::new(path), wanted.subscribe(), saved_tx));
        Self { wanted, saved }
    }

    /// Wants a state saved; one that waits to be saved is replaced.
    pub(super) fn save(&self, generation: u64, state: State) {
        self.wanted.send_replace((generation, state));
    }

    /// The newest generation that is on disk.
    pub(super) fn saved(&self) -> u64 {
        *self.saved.borrow()
    }

    /// Waits until more is on disk.
    pub(super) async fn progress(&mut self) {
        if self.saved.changed().await.is_err() {
            std::future::pending::<()>().await; // The task ends with the runtime only.
        }
    }
}

async fn keep(
    path: Arc<PathBuf>,
    mut wanted: watch::Receiver<(u64, State)>,
    saved: watch::Sender<u64>,
) {
    while wanted.changed().await.is_ok() {
        let mut failed = false;
        loop {
            let (generation, state) = wanted.borrow_and_update().clone();
            let at = Arc::clone(&path);
            let written = tokio::task::spawn_blocking(move || save(&at, &state)).await;
            let why = match written {
                Ok(Ok(())) => {
                    saved.send_replace(generation);
                    break;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            if !failed {
                tracing::error!(path = %path.display(), why, "cannot keep the kill switches: no epoch is acknowledged");
                failed = true;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}
