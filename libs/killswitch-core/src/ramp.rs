//! Letting a released scope go on bit by bit.

use std::time::Duration;

use vocab::WorkspaceId;

const EPOCH_LENGTH: usize = 8;
const KEY_LENGTH_MAX: usize = EPOCH_LENGTH + 128; // No id is longer.

/// How long after the release of `epoch` a workspace goes on: its own share of `ramp`, drawn from
/// its id and the epoch. The same wherever it is asked, spread evenly, and before `ramp` is over.
#[must_use]
pub fn waits(workspace: &WorkspaceId, epoch: u64, ramp: Duration) -> Duration {
    let id = workspace.as_str().as_bytes();
    let mut key = [0_u8; KEY_LENGTH_MAX];
    let length = (EPOCH_LENGTH + id.len()).min(KEY_LENGTH_MAX);
    key[..EPOCH_LENGTH].copy_from_slice(&epoch.to_le_bytes());
    key[EPOCH_LENGTH..length].copy_from_slice(&id[..length - EPOCH_LENGTH]);
    // Reading from memory cannot fail; if it did, the workspace is the last to go on.
    let hash = murmur3::murmur3_32(&mut &key[..length], 0).unwrap_or(u32::MAX);
    let nanos = (ramp.as_nanos().min(u128::from(u64::MAX)) * u128::from(hash)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: Duration = Duration::from_secs(60);

    fn waiting(number: usize, epoch: u64) -> Duration {
        waits(&WorkspaceId::new(&format!("ws-{number}")).unwrap(), epoch, RAMP)
    }

    #[test]
    fn workspaces_go_on_evenly_and_all_of_them_before_the_ramp_is_over() {
        let all: Vec<_> = (0..10_000).map(|number| waiting(number, 7)).collect();
        assert!(all.iter().all(|wait| *wait < RAMP));
        for tenth in 1..=10 {
            let open = all.iter().filter(|wait| **wait < RAMP * tenth / 10).count();
            let expected = 1_000 * usize::try_from(tenth).unwrap();
            assert!(open.abs_diff(expected) < 200, "{open} after {tenth} tenths");
        }
    }

    #[test]
    fn the_order_is_the_same_everywhere_and_another_one_with_every_release() {
        assert_eq!(waiting(1, 7), waiting(1, 7));
        let moved = (0..100).filter(|number| waiting(*number, 7) != waiting(*number, 8));
        assert!(moved.count() > 90);
    }

    #[test]
    fn without_a_ramp_everybody_goes_on_at_once() {
        let workspace = WorkspaceId::new("ws-1").unwrap();
        assert_eq!(waits(&workspace, 7, Duration::ZERO), Duration::ZERO);
    }
}
