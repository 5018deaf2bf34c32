//! Who is calling. Without configured authentication (loopback development) the caller's name and
//! roles are only claimed, in two metadata keys, and the actor is marked as unauthenticated.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use vocab::{Actor, Role};

use crate::fault::Fault;

/// Metadata key of the caller's name.
pub const ACTOR_KEY: &str = "softlaunch-actor";
/// Metadata key of the caller's roles, separated by commas.
pub const ROLES_KEY: &str = "softlaunch-roles";
const DOMAIN: &str = "identity.softlaunch.dev";

/// Reads the caller's claimed identity; `anonymous` without roles where none is claimed.
///
/// # Errors
/// Refuses names and roles that are malformed.
pub fn actor(metadata: &MetadataMap) -> Result<Actor, Fault> {
    let text = |key: &'static str| match metadata.get(key) {
        None => Ok(""),
        Some(value) => {
            value.to_str().map_err(|_e| Fault::field(DOMAIN, key, "is not printable ASCII"))
        }
    };
    let subject = match text(ACTOR_KEY)? {
        "" => "anonymous".to_owned(),
        claimed => Actor::check_subject(claimed)
            .map_err(|why| Fault::field(DOMAIN, ACTOR_KEY, why.to_string()))?,
    };
    if subject.starts_with("system:") {
        return Err(Fault::field(DOMAIN, ACTOR_KEY, "`system:` names are Softlaunch's own"));
    }
    let roles = text(ROLES_KEY)?
        .split(',')
        .map(str::trim)
        .filter(|role| !role.is_empty())
        .map(Role::new)
        .collect::<Result<_, _>>()
        .map_err(|why| Fault::field(DOMAIN, ROLES_KEY, why.to_string()))?;
    Ok(Actor { subject, roles, authenticated: false })
}

/// Claims an identity on an outgoing call.
///
/// # Errors
/// Refuses values that cannot travel as metadata.
pub fn claim(metadata: &mut MetadataMap, subject: &str, roles: &[Role]) -> Result<(), Fault> {
    let value = |key: &'static str, text: &str| {
        MetadataValue::<Ascii>::try_from(text)
            .map_err(|_e| Fault::field(DOMAIN, key, "is not printable ASCII"))
    };
    if !subject.is_empty() {
        metadata.insert(ACTOR_KEY, value(ACTOR_KEY, subject)?);
    }
    if !roles.is_empty() {
        let roles: Vec<_> = roles.iter().map(Role::as_str).collect();
        metadata.insert(ROLES_KEY, value(ROLES_KEY, &roles.join(","))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_identity_is_marked_as_unauthenticated() {
        let mut metadata = MetadataMap::new();
        claim(&mut metadata, "ada", &[Role::new("engineering_lead").unwrap()]).unwrap();
        let actor = actor(&metadata).unwrap();
        assert!(!actor.authenticated);
        assert!(actor.holds(&Role::new("engineering_lead").unwrap()));
    }

    #[test]
    fn nobody_can_claim_to_be_a_part_of_softlaunch() {
        let mut metadata = MetadataMap::new();
        claim(&mut metadata, "system:rollout", &[]).unwrap();
        assert!(actor(&metadata).is_err());
        assert_eq!(actor(&MetadataMap::new()).unwrap().subject, "anonymous");
    }
}
