//! Beginning to deliver: recorded before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use contracts::comms::message;
use service_kit::fault::Fault;

use super::App;
use crate::state::{State, Stored, draft};

impl App {
    /// Records that messages are about to be sent: a crash from here on leaves them known as such.
    /// Returns the names of those that may be: what another holder has begun, sent or given up since
    /// they were read is theirs.
    pub(crate) async fn begin(&self, batch: &[Arc<Stored>]) -> Result<BTreeSet<String>, Fault> {
        let mut ours = BTreeSet::new();
        self.execute("", |state| {
            let unchanged = batch.iter().filter(|one| is_as_read(state, one));
            ours = unchanged.map(|one| one.message.name.clone()).collect();
            let begun = pb::DeliveryBegun { messages: ours.iter().cloned().collect() };
            Ok(if ours.is_empty() { Vec::new() } else { vec![draft(Kind::DeliveryBegun(begun))] })
        })
        .await?;
        Ok(ours)
    }
}

fn is_as_read(state: &State, read: &Stored) -> bool {
    state.message(&read.message.name).is_some_and(|now| {
        now.message.state() == message::State::Pending
            && now.revision() == read.revision()
            && now.begun == read.begun
    })
}

#[cfg(test)]
mod tests {
    use comms_core::AttemptOutcome;
    use service_kit::clock::{Clock, real_now};
    use service_kit::shutdown;
    use store::{Location, Replica, Store, StreamName};

    use super::*;
    use crate::channels::Answer;
    use crate::directory::Directory;
    use crate::metrics::Metrics;

    const NAME: &str = "messages/one";

    /// An app that has one message to deliver, and the message as a holder of the lease reads it.
    async fn with_one_pending(directory: &std::path::Path) -> (App, Arc<Stored>) {
        let location = Location::Embedded(directory.to_owned());
        let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
        let stream = StreamName::new("comms").unwrap();
        let replica = Replica::open(Arc::clone(&store.journal), stream).await.unwrap();
        let (_trigger, shutdown) = shutdown::channel();
        let app = App {
            replica,
            clock: Clock::system(),
            directory: Directory::default(),
            shutdown,
            metrics: Metrics::new(),
        };
        let message = pb::Message {
            name: NAME.to_owned(),
            channel: "mail".to_owned(),
            state: message::State::Pending.into(),
            ..pb::Message::default()
        };
        let made = pb::Made { messages: vec![message], ..pb::Made::default() };
        let made = pb::MessagesMade { made: Some(made), ..pb::MessagesMade::default() };
        app.execute("", |_| Ok(vec![draft(Kind::MessagesMade(made.clone()))])).await.unwrap();
        let read = Arc::clone(app.newest_state().await.unwrap().state.message(NAME).unwrap());
        (app, read)
    }

    #[tokio::test]
    async fn a_holder_that_stalled_begins_nothing_that_another_has_begun() {
        let directory = tempfile::tempdir().unwrap();
        let (app, read) = with_one_pending(directory.path()).await;
        let batch = [read];
        assert_eq!(app.begin(&batch).await.unwrap(), [NAME.to_owned()].into());
        // The one that stalled read the same, and wakes up now.
        assert!(app.begin(&batch).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_holder_that_stalled_begins_nothing_that_another_has_sent() {
        let directory = tempfile::tempdir().unwrap();
        let (app, read) = with_one_pending(directory.path()).await;
        let sent = Answer::new(AttemptOutcome::Sent, "250 ok");
        app.attempted(&[Arc::clone(&read)], &sent, 0).await.unwrap();
        let before = app.state().version;
        assert!(app.begin(&[Arc::clone(&read)]).await.unwrap().is_empty());
        // And records nothing, whatever it believes to have done.
        app.attempted(&[read], &Answer::permanent("no such mailbox"), 0).await.unwrap();
        let after = app.state();
        assert_eq!(after.version, before);
        assert_eq!(after.state.message(NAME).unwrap().message.state(), message::State::Sent);
    }
}
