//! Files that are read again when they change: tokens and certificates are replaced under a
//! process that goes on.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

const LOOK_EVERY: Duration = Duration::from_secs(1);

type Read<T> = dyn Fn() -> Result<T, String> + Send + Sync;

/// What was read last without an error.
#[derive(Debug)]
pub(crate) struct Followed<T>(Arc<ArcSwap<T>>);

impl<T> Clone for Followed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Followed<T> {
    /// Reads the files now, and again within about a second of any change, for as long as a clone
    /// lives. What cannot be read later is logged, and what was read before stays. Must be called
    /// inside a runtime.
    pub(crate) fn start(
        what: &'static str,
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let seen = contents(&files);
        let held = Arc::new(ArcSwap::from_pointee(read()?));
        tokio::spawn(follow(what, files, seen, Arc::downgrade(&held), Arc::new(read)));
        Ok(Self(held))
    }

    /// A handle that does not keep the files followed.
    pub(crate) fn downgrade(&self) -> Weak<ArcSwap<T>> {
        Arc::downgrade(&self.0)
    }

    /// What holds now.
    pub(crate) fn get(&self) -> Arc<T> {
        self.0.load_full()
    }
}

async fn follow<T: Send + Sync + 'static>(
    what: &'static str,
    files: Vec<PathBuf>,
    mut seen: [u8; 32],
    held: Weak<ArcSwap<T>>,
    read: Arc<Read<T>>,
) {
    let files = Arc::new(files);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if held.strong_count() == 0 {
            return;
        }
        let (files, read, before) = (Arc::clone(&files), Arc::clone(&read), seen);
        let looked = tokio::task::spawn_blocking(move || {
            let now = contents(&files);
            (now, (now != before).then(|| read()))
        });
        let Ok((now, changed)) = looked.await else { return };
        seen = now;
        match (changed, held.upgrade()) {
            (Some(Ok(value)), Some(held)) => {
                held.store(Arc::new(value));
                tracing::info!(what, "read again: it has changed");
            }
            (Some(Err(why)), Some(_)) => {
                tracing::error!(what, why, "changed, and cannot be used: what held before goes on");
            }
            (_, None) => return,
            (None, Some(_)) => {}
        }
    }
}

/// Tells whether anything has changed. Not by the time of a change: two may share one.
fn contents(files: &[PathBuf]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => digest.update(Sha256::digest(bytes)),
            Err(_missing) => digest.update(b"missing"),
        }
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_any_more_stays_as_it_was_until_it_can() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let number = move || {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            text.trim().parse::<u32>().map_err(|error| error.to_string())
        };
        let files = vec![file.path().to_owned()];
        assert!(Followed::start("a number", files.clone(), number.clone()).is_err());
        std::fs::write(file.path(), "1").unwrap();
        let followed = Followed::start("a number", files, number).unwrap();
        std::fs::write(file.path(), "nonsense").unwrap();
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert_eq!(*followed.get(), 1);
        std::fs::write(file.path(), "2").unwrap();
        test_kit::eventually("the new number holds", async || *followed.get() == 2).await;
    }
}
