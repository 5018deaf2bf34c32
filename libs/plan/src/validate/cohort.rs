//! Workspaces that one phase lets in by name and the next does not guarantee to keep.

use vocab::{BasisPoints, Pattern};

use super::{phase_name, share_of};
use crate::node::Node;
use crate::problem::Problems;

/// Warns of every allowlisted workspace that the next phase may drop.
pub(super) fn kept(plan: &Node, problems: &mut Problems) {
    let phases = plan.list("phases");
    for (i, pair) in phases.windows(2).enumerate() {
        let [phase, next] = pair else { continue };
        for (j, entry) in patterns(phase, "allowlist").iter().enumerate() {
            let Some(pattern) = entry.text().and_then(|text| Pattern::new(text).ok()) else {
                continue;
            };
            if let Some(reason) = why_dropped(&pattern, next) {
                let message = format!(
                    "`{pattern}` is on the allowlist of {}, and {} does not keep it: {reason}",
                    phase_name(phase),
                    phase_name(next)
                );
                problems.warning(entry.place, &format!("phases[{i}].flag.allowlist[{j}]"), message);
            }
        }
    }
}

/// Why a workspace may be off in `next`; `None` where it stays on.
fn why_dropped(pattern: &Pattern, next: &Node) -> Option<String> {
    let denied = patterns(next, "denylist").iter().find(|denied| covers(denied, pattern));
    if let Some(denied) = denied.and_then(|denied| denied.text()) {
        return Some(format!("its denylist has `{}`", vocab::excerpt(denied)));
    }
    if patterns(next, "allowlist").iter().any(|allowed| covers(allowed, pattern)) {
        return None;
    }
    let excludes = next.get("cohort").is_some_and(|cohort| !cohort.list("exclude").is_empty());
    match share_of(next)? {
        BasisPoints::ALL if !excludes => None,
        BasisPoints::ZERO => {
            Some("its flag is off for all but its allowlist, which lacks it".to_owned())
        }
        share if excludes => Some(format!(
            "it is on no allowlist there, so that it is on only if no rule excludes it and its \
             bucket falls below {share}"
        )),
        share => Some(format!(
            "it is on no allowlist there, so that it is on only if its bucket falls below {share}"
        )),
    }
}

/// Whether `list_entry` has every workspace of `pattern`.
fn covers(list_entry: &Node, pattern: &Pattern) -> bool {
    let Some(entry) = list_entry.text().and_then(|text| Pattern::new(text).ok()) else {
        return false;
    };
    entry == *pattern || (pattern.is_exact() && entry.matches(pattern.as_str()))
}

fn patterns<'n>(phase: &'n Node, list: &str) -> &'n [Node] {
    phase.get("flag").map_or(&[], |flag| flag.list(list))
}
