//! Who is calling. Where a service is guarded ([`crate::guard`]), that is who has proven to be:
//! the holder of a token, or a service by its certificate. Where it is open (loopback development)
//! the caller's name and roles are only claimed, in two metadata keys, and the actor is marked as
//! unauthenticated.

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Extensions, Request};
use vocab::{Actor, Role};

use crate::access::{Access, Noun};
use crate::fault::Fault;
use crate::tokens::Principal;

/// Metadata key of the caller's claimed name; not looked at where callers are authenticated.
pub const ACTOR_KEY: &str = "softlaunch-actor";
/// Metadata key of the caller's claimed roles, separated by commas; as the name.
pub const ROLES_KEY: &str = "softlaunch-roles";
pub(crate) const DOMAIN: &str = "identity.softlaunch.dev";

/// What the guard found out about a caller.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Nobody asked for proof: who it is can only be claimed.
    Claimed,
    /// A service, by its certificate.
    Service(Noun),
    /// Whoever holds a token.
    Holder(Arc<Principal>),
    /// The method is open to everybody, and nobody has to be known for it.
    Nobody,
}

/// Who gives the command that a request carries.
///
/// # Errors
/// Refuses claimed names and roles that are malformed, and a request that came past the guard.
pub fn actor<T>(request: &Request<T>) -> Result<Actor, Fault> {
    actor_of(request.metadata(), request.extensions())
}

/// As [`actor`], of a request that was taken apart.
///
/// # Errors
/// As [`actor`].
pub fn actor_of(metadata: &MetadataMap, extensions: &Extensions) -> Result<Actor, Fault> {
    match extensions.get::<Caller>() {
        Some(Caller::Service(noun)) => Ok(Actor::system(noun.as_str())),
        Some(Caller::Holder(principal)) => Ok(principal.actor.clone()),
        Some(Caller::Claimed) => claimed(metadata),
        Some(Caller::Nobody) | None => {
            Err(Fault::new(Code::Internal, DOMAIN, "GUARD_MISSING", "nobody has asked who you are"))
        }
    }
}

/// Refuses a caller in none of these roles. For methods that look, and change something only if
/// they are told to: what the table of [`crate::access`] says of a method cannot depend on what is
/// in its request.
///
/// # Errors
/// Says which roles are needed.
pub fn require<T>(request: &Request<T>, roles: &[Access]) -> Result<(), Fault> {
    let Some(Caller::Holder(principal)) = request.extensions().get::<Caller>() else {
        return Ok(());
    };
    if principal.access.iter().any(|held| roles.contains(held)) {
        return Ok(());
    }
    let needs = roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (who, token) = (&principal.actor.subject, &principal.token);
    tracing::warn!(target: "audit", who, token, needs, why = "ROLE_MISSING", "call refused");
    let message = format!("to have this call change something needs one of: {needs}");
    Err(Fault::new(Code::PermissionDenied, DOMAIN, "ROLE_MISSING", message).with("needs", needs))
}

/// Reads a claimed identity; `anonymous` without roles where none is claimed.
///
/// # Errors
/// Refuses names and roles that are malformed.
pub fn claimed(metadata: &MetadataMap) -> Result<Actor, Fault> {
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
        let actor = claimed(&metadata).unwrap();
        assert!(!actor.authenticated);
        assert!(actor.holds(&Role::new("engineering_lead").unwrap()));
    }

    #[test]
    fn nobody_can_claim_to_be_a_part_of_softlaunch() {
        let mut metadata = MetadataMap::new();
        claim(&mut metadata, "system:rollout", &[]).unwrap();
        assert!(claimed(&metadata).is_err());
        assert_eq!(claimed(&MetadataMap::new()).unwrap().subject, "anonymous");
    }
    #[test]
    fn what_is_proven_counts_and_what_is_claimed_does_not() {
        let mut request = Request::new(());
        claim(request.metadata_mut(), "ada", &[Role::new("sre_lead").unwrap()]).unwrap();
        let bob = Actor { subject: "bob".to_owned(), roles: [].into(), authenticated: true };
        request.extensions_mut().insert(holder(&bob, Access::Viewer));
        assert_eq!(actor(&request).unwrap(), bob);
        request.extensions_mut().insert(Caller::Service(Noun::Rollout));
        assert_eq!(actor(&request).unwrap(), Actor::system("rollout"));
    }

    fn holder(actor: &Actor, role: Access) -> Caller {
        let (token, actor) = ("12345678".to_owned(), actor.clone());
        Caller::Holder(Arc::new(Principal { token, actor, access: vec![role] }))
    }

    #[test]
    fn a_viewer_is_refused_what_changes_something_and_an_open_service_asks_nobody() {
        let bob = Actor { subject: "bob".to_owned(), roles: [].into(), authenticated: true };
        let mut request = Request::new(());
        request.extensions_mut().insert(holder(&bob, Access::Viewer));
        let refused = require(&request, &[Access::Operator]).unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::PermissionDenied, "ROLE_MISSING"));
        for caller in [holder(&bob, Access::Operator), Caller::Claimed] {
            request.extensions_mut().insert(caller);
            require(&request, &[Access::Operator]).unwrap();
        }
    }

    #[test]
    fn a_request_that_came_past_the_guard_is_nobodys() {
        let mut request = Request::new(());
        claim(request.metadata_mut(), "ada", &[]).unwrap();
        assert_eq!(actor(&request).unwrap_err().code(), Code::Internal);
        request.extensions_mut().insert(Caller::Claimed);
        assert_eq!(actor(&request).unwrap().subject, "ada");
    }
}
