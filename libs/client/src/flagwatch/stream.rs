//! The stream from the flag service: listens, keeps what it heard, notices silence.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::watch_ruleset_response::Update;
use tonic::Status;

use super::FlagWatch;
use super::held::{Held, Rules, Taken};
use super::reading::Known;
use super::ruleset_file;
use crate::Way;
use crate::backoff::{Backoff, draw};
use crate::clock::elapsed;
use crate::saver::{Saver, Saving};

const OPENING_MAX: Duration = Duration::from_secs(5); // Until a stream is open.

/// What was kept; nothing where it cannot be read.
pub(super) fn remember(path: Option<&Path>) -> Option<Rules> {
    ruleset_file::load(path?).unwrap_or_else(|damaged| {
        tracing::warn!(why = %damaged, "the kept flags are not used: the service is asked");
        None
    })
}

/// Watches for as long as the runtime lives.
pub(super) struct Listener {
    watch: Arc<FlagWatch>,
    way: Way,
    silence: Duration,
    held: Held,
    /// Whether the service was behind what is held when it was heard last.
    is_ahead: bool,
    generation: u64,
    saver: Option<Saver<Arc<Rules>>>,
}

impl Listener {
    pub(super) const fn new(
        watch: Arc<FlagWatch>,
        way: Way,
        silence: Duration,
        held: Held,
    ) -> Self {
        Self { watch, way, silence, held, is_ahead: false, generation: 0, saver: None }
    }

    pub(super) async fn run(mut self, state_file: Option<PathBuf>) {
        let saving = Saving {
            save: ruleset_file::save,
            complaint: "cannot keep the flags: a restart begins without them",
        };
        self.saver = state_file.map(|path| Saver::start(path, saving));
        let mut backoff = Backoff::new();
        loop {
            if let Err(status) = self.listen(&mut backoff).await
                && backoff.is_fresh()
            {
                let (code, why) = (status.code(), status.message());
                tracing::warn!(%code, why, "lost touch with the flags");
            }
            tokio::time::sleep(backoff.next(draw())).await;
        }
    }

    /// Listens until contact is lost, on a connection of its own, as for the kill switch.
    ///
    /// It always asks for all flags: only a snapshot says whose history it is of, and changes of
    /// another one must not be mixed in.
    async fn listen(&mut self, backoff: &mut Backoff) -> Result<(), Status> {
        self.held.begin();
        let mut client = EvaluationServiceClient::new(self.way.connect());
        let opening = client.watch_ruleset(pb::WatchRulesetRequest { after_revision: 0 });
        let opened = tokio::time::timeout(OPENING_MAX, opening).await;
        let opened = opened.map_err(|_e| Status::deadline_exceeded("no stream was opened"))?;
        let mut messages = opened?.into_inner();
        loop {
            let next = tokio::time::timeout(self.silence, messages.message()).await;
            let next = next.map_err(|_e| Status::deadline_exceeded("no sign of life"))?;
            let Some(response) = next? else { return Ok(()) };
            // A message that says nothing is a sign of life of a newer service.
            let Some(update) = response.update else { continue };
            if self.take(update)? != Taken::Older {
                backoff.reset();
            }
        }
    }

    fn take(&mut self, update: Update) -> Result<Taken, Status> {
        let now = elapsed();
        let taken = self.held.take(update, now);
        let taken = taken.map_err(|broken| Status::data_loss(broken.to_string()))?;
        match taken {
            Taken::Replaced | Taken::Changed => self.applied(),
            Taken::Older if self.is_ahead => {}
            Taken::Older => {
                let held = self.held.rules().map(|rules| rules.revision);
                tracing::warn!(held, "the service is behind the flags held here: ignored");
            }
            Taken::Nothing => {}
        }
        self.is_ahead = taken == Taken::Older;
        self.watch.reading.publish(Known::of(&self.held, self.silence));
        if self.held.heard().is_some() {
            self.watch.heard.send_if_modified(|heard| !std::mem::replace(heard, true));
        }
        Ok(taken)
    }

    fn applied(&mut self) {
        let Some(rules) = self.held.rules() else { return };
        tracing::info!(revision = rules.revision, flags = rules.len(), "flags changed");
        for (flag, why) in rules.unread() {
            tracing::warn!(flag, why, "a flag cannot be read here: the service is asked for it");
        }
        self.generation += 1;
        if let Some(saver) = &self.saver {
            saver.save(self.generation, Arc::clone(rules));
        }
    }
}
