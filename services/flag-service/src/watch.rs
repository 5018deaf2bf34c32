//! The stream of the ruleset: a snapshot, then changes in revision order, with heartbeats.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use tonic::Status;

use crate::app::App;
use crate::feed::{Frame, Parts};

/// What one watcher is sent. It has no task of its own, and holds no message of its own but what it
/// has missed when it began.
pub(crate) struct Watcher {
    app: Arc<App>,
    ring: Option<BroadcastStream<Frame>>,
    /// What the beginning has told already.
    begun: u64,
    snapshot: Option<(Arc<Parts>, usize)>,
    missed: VecDeque<Frame>,
}

impl Watcher {
    /// A watcher that holds revision `after`; 0 for nothing.
    pub(crate) fn new(app: Arc<App>, after: u64) -> Self {
        // Before the state is looked at: what changes in between is in both.
        let ring = app.feed.subscribe().map(BroadcastStream::new);
        let current = app.replica.snapshot().version;
        let mut watcher =
            Self { app, ring, begun: current, snapshot: None, missed: VecDeque::new() };
        // A cursor from the future belongs to another history: it begins afresh.
        if after == 0 || after > current {
            watcher.begin_again();
        } else {
            watcher.missed = watcher.app.frames_since(after).into();
            if watcher.missed.is_empty() {
                watcher.missed.push_back(watcher.app.heartbeat(current));
            }
            watcher.begun = watcher.missed.back().map_or(current, |last| last.revision);
        }
        watcher
    }

    fn begin_again(&mut self) {
        self.missed.clear();
        let parts = self.app.snapshot_parts();
        self.begun = parts.revision;
        self.snapshot = Some((parts, 0));
    }

    fn next_part(&mut self) -> Option<Bytes> {
        let (parts, at) = self.snapshot.as_mut()?;
        let part = parts.parts.get(*at).cloned();
        *at += 1;
        if *at >= parts.parts.len() {
            self.snapshot = None;
        }
        part
    }
}

impl Stream for Watcher {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(part) = self.next_part() {
                return Poll::Ready(Some(Ok(part)));
            }
            if let Some(frame) = self.missed.pop_front() {
                return Poll::Ready(Some(Ok(frame.bytes)));
            }
            let Some(ring) = self.ring.as_mut() else { return Poll::Ready(None) };
            match std::task::ready!(Pin::new(ring).poll_next(context)) {
                None => return Poll::Ready(None), // The service ends.
                Some(Err(Lagged(_))) => self.begin_again(),
                // What a snapshot or the beginning has said already is not said again.
                Some(Ok(frame)) if frame.revision < self.begun => {}
                Some(Ok(frame)) if frame.revision == self.begun && !frame.heartbeat => {}
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame.bytes))),
            }
        }
    }
}
