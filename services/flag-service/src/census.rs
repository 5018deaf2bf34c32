//! The workspaces this process has been asked to admit uploads of, for reports of who would change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use flag_core::Attributes;
use prost_types::Struct;
use vocab::WorkspaceId;

/// Beyond it, workspaces that are new are not taken down.
const WORKSPACES_MAX: usize = 100_000;

/// Workspaces and the attributes they last sent.
#[derive(Debug, Default)]
pub(crate) struct Census {
    seen: Mutex<HashMap<WorkspaceId, Option<Box<Struct>>>>,
}

impl Census {
    /// Takes a workspace down. Attributes have been checked.
    pub(crate) fn saw(&self, workspace: &WorkspaceId, attributes: Option<&Struct>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get_mut(workspace) {
            if known.as_deref() != attributes {
                *known = attributes.cloned().map(Box::new);
            }
        } else if seen.len() < WORKSPACES_MAX {
            seen.insert(workspace.clone(), attributes.cloned().map(Box::new));
        }
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> Vec<(WorkspaceId, Attributes)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = seen
            .iter()
            .map(|(id, attributes)| (id.clone(), owned(attributes.as_deref())))
            .collect();
        drop(seen);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

/// Attributes of their own.
pub(crate) fn owned(attributes: Option<&Struct>) -> Attributes {
    let fields = attributes.into_iter().flat_map(|attributes| &attributes.fields);
    fields.filter_map(|(name, value)| Some((name.clone(), flag_wire::attribute(value)?))).collect()
}
