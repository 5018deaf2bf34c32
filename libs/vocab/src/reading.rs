//! Reading words from files: each goes through the same check as everywhere else.

use serde::de::{Deserialize, Deserializer, Error as _};

macro_rules! deserialize_from_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(D::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(
    crate::FlagKey,
    crate::WorkspaceId,
    crate::PipelineId,
    crate::PhaseId,
    crate::ResourceId,
    crate::Role,
    crate::Pattern
);
