//! Who waits for which stream, inside this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::record::{StreamName, Version};

/// The newest version committed by this process, per stream that somebody has asked about.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<StreamName, watch::Sender<Version>>>);

impl Watches {
    /// Follows `stream` from now on: what was committed before is not told.
    pub(super) fn subscribe(&self, stream: &StreamName) -> watch::Receiver<Version> {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.entry(stream.clone()).or_default().subscribe()
    }

    /// Tells those who follow `stream` that it has reached `version`.
    pub(super) fn notify(&self, stream: &StreamName, version: Version) {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watches.get(stream) {
            watch.send_replace(version);
        }
    }
}
