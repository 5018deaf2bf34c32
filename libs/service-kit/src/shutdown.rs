//! Ending: a signal asks, everything drains, and what does not is cut off after a grace.

use tokio::sync::watch;

/// Tells everything that holds a clone that it is time to end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Asks everything that holds the other half to end; so does dropping it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Makes the two halves.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, rx) = watch::channel(false);
    (Trigger(tx), Shutdown(rx))
}

/// Ends on SIGTERM and on Ctrl-C.
#[must_use]
pub fn signal() -> Shutdown {
    let (trigger, shutdown) = channel();
    tokio::spawn(async move {
        asked().await;
        tracing::info!("asked to end: draining");
        trigger.shut_down();
    });
    shutdown
}

async fn asked() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM: only Ctrl-C ends this process");
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Trigger {
    /// Asks everything to end.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Waits until it is time to end.
    pub async fn wait(&mut self) {
        self.0.wait_for(|asked| *asked).await.ok(); // An error: the trigger is gone, the same.
    }

    /// Waits until it is time to end, owning the handle.
    pub async fn wait_owned(mut self) {
        self.wait().await;
    }
}
