//! Keeps the newest state on disk, beside a stream: a disk that hangs delays nothing that is heard.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a state is written, and what follows where it cannot be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Saving<T> {
    pub(crate) save: fn(&Path, &T) -> io::Result<()>,
    pub(crate) complaint: &'static str,
}

/// Saves in the background. What has been saved is known by its generation.
#[derive(Debug)]
pub(crate) struct Saver<T> {
    wanted: watch::Sender<(u64, T)>,
    saved: watch::Receiver<u64>,
}

impl<T: Default + Clone + Send + Sync + 'static> Saver<T> {
    pub(crate) fn start(path: PathBuf, saving: Saving<T>) -> Self {
        let wanted = watch::Sender::new((0, T::default()));
        let (saved_tx, saved) = watch::channel(0);
        tokio::spawn(keep(Arc::new(path), saving, wanted.subscribe(), saved_tx));
        Self { wanted, saved }
    }

    /// Wants a state saved; one that waits to be saved is replaced.
    pub(crate) fn save(&self, generation: u64, state: T) {
        self.wanted.send_replace((generation, state));
    }

    /// The newest generation that is on disk.
    pub(crate) fn saved(&self) -> u64 {
        *self.saved.borrow()
    }

    /// Waits until more is on disk.
    pub(crate) async fn progress(&mut self) {
        if self.saved.changed().await.is_err() {
            std::future::pending::<()>().await; // The task ends with the runtime only.
        }
    }
}

async fn keep<T: Clone + Send + Sync + 'static>(
    path: Arc<PathBuf>,
    saving: Saving<T>,
    mut wanted: watch::Receiver<(u64, T)>,
    saved: watch::Sender<u64>,
) {
    let Saving { save, complaint } = saving;
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
                tracing::error!(path = %path.display(), why, "{complaint}");
                failed = true;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}
