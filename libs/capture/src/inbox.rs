//! What came in, and how the next arrivals are answered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

const KEPT_MAX: usize = 10_000; // Bounds memory: the oldest make room.

/// Arrivals of type `T`, answered with `A`.
#[derive(Debug)]
pub(crate) struct Inbox<T, A> {
    inner: Mutex<Inner<T, A>>,
    accepted: watch::Sender<usize>,
    attempted: watch::Sender<usize>,
}

#[derive(Debug)]
struct Inner<T, A> {
    kept: VecDeque<T>,
    once: VecDeque<A>,
    otherwise: A,
}

impl<T: Clone, A: Copy> Inbox<T, A> {
    pub(crate) fn new(otherwise: A) -> Self {
        Self {
            inner: Mutex::new(Inner { kept: VecDeque::new(), once: VecDeque::new(), otherwise }),
            accepted: watch::Sender::new(0),
            attempted: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T, A>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the next arrival so, once; several are answered in order.
    pub(crate) fn answer_next(&self, answer: A) {
        self.lock().once.push_back(answer);
    }

    /// Answers every arrival so, from now on.
    pub(crate) fn answer_always(&self, answer: A) {
        let mut inner = self.lock();
        inner.once.clear();
        inner.otherwise = answer;
    }

    /// How the arrival at the door is to be answered.
    pub(crate) fn decide(&self) -> A {
        self.attempted.send_modify(|count| *count += 1);
        let mut inner = self.lock();
        inner.once.pop_front().unwrap_or(inner.otherwise)
    }

    pub(crate) fn keep(&self, arrival: T) {
        let mut inner = self.lock();
        if inner.kept.len() == KEPT_MAX {
            inner.kept.pop_front();
        }
        inner.kept.push_back(arrival);
        drop(inner);
        self.accepted.send_modify(|count| *count += 1);
    }

    pub(crate) fn kept(&self) -> Vec<T> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn attempts(&self) -> usize {
        *self.attempted.borrow()
    }

    /// Waits until `count` have been kept so far, and returns what is kept.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<T> {
        // The sender is ours: it cannot be gone while we wait.
        let waited = self.accepted.subscribe().wait_for(|n| *n >= count).await.map(drop);
        waited.unwrap_or_default();
        self.kept()
    }

    /// Waits until `count` have been at the door, kept or not.
    pub(crate) async fn wait_for_attempts(&self, count: usize) {
        let waited = self.attempted.subscribe().wait_for(|n| *n >= count).await.map(drop);
        waited.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_answers_are_given_in_order() {
        let inbox = Inbox::new('d');
        (0..=KEPT_MAX).for_each(|number| inbox.keep(number));
        assert_eq!((inbox.kept().len(), inbox.kept()[0]), (KEPT_MAX, 1));
        inbox.answer_next('a');
        inbox.answer_next('b');
        assert_eq!([inbox.decide(), inbox.decide(), inbox.decide()], ['a', 'b', 'd']);
    }
}
