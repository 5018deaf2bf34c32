//! What kill switches do to a flag, for those who evaluate elsewhere.

use flag_core::Flag;
use flag_core::flagd::Effect;
use killswitch_core::{Scope, Target};
use vocab::WorkspaceId;

use crate::app::App;

impl App {
    /// Whom kill switches stop of a flag. A scope that is let go on bit by bit still stops all of
    /// its workspaces here: an export cannot say more, and off is the safe side.
    pub(crate) fn effect(&self, flag: &Flag) -> Effect {
        let Some(scopes) = self.kills.scopes() else {
            return Effect { killed: true, stopped: Vec::new() };
        };
        let mut effect = Effect::default();
        for scope in scopes {
            match scope {
                Scope::Global => effect.killed = true,
                Scope::Pipeline(pipeline) => effect.killed |= pipeline == flag.pipeline,
                Scope::Cohort(pipeline, phase) => {
                    let unknown_or_same = flag.phase.as_ref().is_none_or(|known| *known == phase);
                    effect.killed |= pipeline == flag.pipeline && unknown_or_same;
                }
                Scope::Workspace(pipeline, pattern) if pipeline == flag.pipeline => {
                    effect.stopped.push(pattern);
                }
                Scope::Workspace(..) => {}
            }
        }
        effect
    }

    /// Whether a kill switch covers whoever has this key, and the epoch that says so.
    pub(crate) fn stopped(&self, flag: &Flag, key: Option<&str>) -> (bool, u64) {
        if let Some(epoch) = self.kills.everybody_goes_on() {
            return (false, epoch);
        }
        let ask = |workspace: &WorkspaceId| {
            let (pipeline, phase) = (&flag.pipeline, flag.phase.as_ref());
            self.kills.answer(Target { pipeline, phase, workspace })
        };
        match WorkspaceId::new(key.unwrap_or("-")) {
            Ok(workspace) => ask(&workspace),
            Err(_) => match WorkspaceId::new(&alike(key.unwrap_or_default())) {
                Ok(workspace) => ask(&workspace),
                Err(_) => (true, self.kills.epoch()), // Cannot be: `alike` makes an id of anything.
            },
        }
    }
}

/// A workspace id like a key that is none, for the globs of kill switches: what no id has is `_`,
/// and of a long one both ends are kept.
fn alike(key: &str) -> String {
    let mut id: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-.:@".contains(c) { c } else { '_' })
        .collect();
    if id.len() > 127 {
        id.replace_range(63..id.len() - 63, "_");
    }
    if id.starts_with(|c: char| c.is_ascii_alphanumeric()) { id } else { format!("0{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_has_an_id_that_the_globs_of_its_ends_still_match() {
        for key in ["", "user name@example.com", "ü", "-x", &"a".repeat(1_000)] {
            assert!(WorkspaceId::new(&alike(key)).is_ok(), "{key}");
        }
        assert!(alike(&format!("enterprise-{}-test", "ä".repeat(500))).starts_with("enterprise-"));
        assert!(alike("enterprise-müller-test").ends_with("-test"));
    }
}
