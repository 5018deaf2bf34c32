//! What is told as one message.

use std::sync::Arc;

use comms_core::{BODY_BYTES_MAX, DIGEST_MAX, Urgency};
use plan::ChannelKind;
use vocab::Timestamp;

use super::{State, Stored};
use crate::convert::told::urgency_of;

impl State {
    /// What is told together with `first`, itself included and oldest first: what can wait as well,
    /// of the same rollout, is due by `now` and goes to the same place. It alone, where it cannot
    /// wait.
    pub(crate) fn together_with(&self, first: &Arc<Stored>, now: Timestamp) -> Vec<Arc<Stored>> {
        let alone = vec![Arc::clone(first)];
        if !self.can_wait(first) {
            return alone;
        }
        let (mut size, message) = (0, &first.message);
        let same = |one: &&Arc<Stored>| {
            one.message.destination == message.destination && one.message.rollout == message.rollout
        };
        let due = self.pending(&message.channel).filter(|one| one.due() <= Some(now));
        let together: Vec<_> = due
            .filter(|one| self.can_wait(one))
            .filter(same)
            .take(DIGEST_MAX)
            .take_while(|one| {
                size += one.message.body.len();
                size <= BODY_BYTES_MAX
            })
            .cloned()
            .collect();
        let is_in = together.iter().any(|one| one.message.name == message.name);
        if is_in { together } else { alone }
    }

    /// Whether a message may be told in a digest: it is text for people, and of no attempt it is
    /// unknown whether it arrived.
    fn can_wait(&self, stored: &Stored) -> bool {
        let message = &stored.message;
        let plan = self.plans.get(&message.rollout).map(|applied| &applied.plan.communication);
        let wanted = plan.and_then(|plan| plan.digest_every).is_some_and(|every| !every.is_zero());
        wanted
            && urgency_of(message) == Urgency::Low
            && matches!(stored.kind, Some(ChannelKind::Mail | ChannelKind::Slack))
            && message.content.is_none()
            && !message.replaces_first
            && !message.test
            && stored.begun == 0
    }
}
