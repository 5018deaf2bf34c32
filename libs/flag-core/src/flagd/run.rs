//! One evaluation: how many steps it has left.

use crate::limits::LOGIC_STEPS_MAX;

use super::Unanswered;

/// Counts steps.
#[derive(Debug)]
pub(super) struct Run {
    left: u32,
}

impl Run {
    pub(super) const fn new() -> Self {
        Self { left: LOGIC_STEPS_MAX }
    }

    /// Takes steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Unanswered> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(steps).ok_or(Unanswered::TooExpensive)?;
        Ok(())
    }

    /// Takes a step for every 64 bytes of text that is made or looked at.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Unanswered> {
        self.spend(bytes / 64)
    }
}
