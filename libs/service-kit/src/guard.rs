//! The guard: who calls, and whether they may, decided before a byte of the body is read.
//!
//! **Invariant:** every call that is let in carries its caller, and every one that is not is
//! said under the log target `audit`. Refusals are not put into a journal: whoever is refused could
//! fill it.

mod answer;
mod audit;
mod rate;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::AUTHORIZATION;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use vocab::excerpt;

use crate::access::{Noun, Rule, rule};
use crate::clock::real_now;
use crate::fault::Fault;
use crate::identity::{Caller, DOMAIN};
use crate::incoming::{Peer, Shown};
use crate::lanes::stops;
use crate::reload::Followed;
use crate::tokens::{self, Denied, Principal, Tokens};

use audit::{Audit, Refused};
use rate::Rates;

pub(crate) use answer::refusal;
pub(crate) use stream::while_valid;

/// Lets calls in, or not. Cheap to clone.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<Doorkeeper>>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.as_ref().map(|_| "by token and certificate")).finish()
    }
}

struct Doorkeeper {
    tokens: Followed<Tokens>,
    rates: Rates,
    audit: Audit,
}

/// What a call was let in by.
#[derive(Clone)]
pub(crate) struct Pass {
    keeper: Arc<Doorkeeper>,
    shown: tokens::Shown,
    rule: &'static Rule,
}

/// Whoever calls, as far as it is proven.
enum Proven {
    Service(Noun),
    Holder(tokens::Shown, Arc<Principal>),
}

impl Guard {
    /// Lets everybody in, as whoever they claim to be.
    #[must_use]
    pub const fn open() -> Self {
        Self(None)
    }

    /// Lets in holders of a token and services with a certificate, by the table of
    /// [`crate::access`].
    pub(crate) fn by(tokens: Followed<Tokens>, calls_per_second: u32) -> Self {
        let (rates, audit) = (Rates::new(calls_per_second), Audit::new());
        Self(Some(Arc::new(Doorkeeper { tokens, rates, audit })))
    }

    /// Lets a call in, with its caller; a holder's call with a pass that may be looked at again.
    pub(crate) fn admit(&self, request: &mut Request<Body>) -> Result<Option<Pass>, Fault> {
        let Some(keeper) = &self.0 else {
            request.extensions_mut().insert(Caller::Claimed);
            return Ok(None);
        };
        let (caller, pass) = keeper.admit(request)?;
        request.headers_mut().remove(AUTHORIZATION); // Nobody behind has any use for it.
        request.extensions_mut().insert(caller);
        Ok(pass)
    }
}

impl Doorkeeper {
    fn admit(self: &Arc<Self>, request: &Request<Body>) -> Result<(Caller, Option<Pass>), Fault> {
        let path = request.uri().path();
        let rule = rule(path);
        if let Some(rule) = rule
            && rule.admits(&[])
        {
            return Ok((Caller::Nobody, None));
        }
        let peer = request.extensions().get::<Peer>();
        let (address, shown) = (peer.and_then(|peer| peer.address), peer.map(|peer| &peer.shown));
        let note = |who: &str, fault: &Fault| {
            self.audit.note(&Refused { rule, path, who, address, fault });
        };
        let proven = self.prove(request, shown).inspect_err(|fault| note("somebody", fault))?;
        let (name, may) = match &proven {
            Proven::Service(noun) => {
                (format!("system:{noun}"), rule.filter(|rule| rule.admits_service(*noun)))
            }
            Proven::Holder(_, principal) => {
                let name = format!("{} (token {})", principal.actor.subject, principal.token);
                (name, rule.filter(|rule| rule.admits(&principal.access)))
            }
        };
        let Some(allowed) = may else {
            let fault = not_allowed(rule, path);
            note(&name, &fault);
            return Err(fault);
        };
        Ok(match proven {
            Proven::Service(noun) => (Caller::Service(noun), None),
            Proven::Holder(shown, principal) => {
                if !stops(path) {
                    let counted = self.rates.count(&principal.actor.subject, Instant::now());
                    counted.map_err(too_often)?;
                }
                let pass = Pass { keeper: Arc::clone(self), shown, rule: allowed };
                (Caller::Holder(principal), Some(pass))
            }
        })
    }

    /// A token counts where one is shown, whatever the connection shows: who passes a person's
    /// token on acts for that person.
    fn prove(&self, request: &Request<Body>, shown: Option<&Shown>) -> Result<Proven, Fault> {
        let mut tokens = request.headers().get_all(AUTHORIZATION).iter();
        match (tokens.next(), tokens.next(), shown) {
            (Some(header), None, _) => {
                let token = header.to_str().ok().and_then(bearer).unwrap_or_default();
                let known = self.tokens.get().show(token, real_now());
                known.map(|(shown, principal)| Proven::Holder(shown, principal)).map_err(denied)
            }
            (Some(_), Some(_), _) => Err(denied(Denied::Unknown)),
            (None, _, Some(Shown::Service(noun))) => Ok(Proven::Service(*noun)),
            (None, _, Some(Shown::Stranger(why))) => Err(Fault::new(
                Code::Unauthenticated,
                DOMAIN,
                "CERTIFICATE_UNKNOWN",
                format!("who are you? {why}"),
            )),
            (None, _, Some(Shown::Nothing) | None) => Err(Fault::new(
                Code::Unauthenticated,
                DOMAIN,
                "CREDENTIALS_MISSING",
                "who are you? show a token: `authorization: Bearer slt_...`",
            )),
        }
    }
}

impl Pass {
    /// Whether the call would be let in now, too.
    pub(crate) fn is_good(&self) -> bool {
        let now = self.keeper.tokens.get().look_again(&self.shown, real_now());
        now.is_ok_and(|principal| self.rule.admits(&principal.access))
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn denied(why: Denied) -> Fault {
    let (reason, message) = match why {
        Denied::Unknown => ("TOKEN_UNKNOWN", "the token is not known here"),
        Denied::NotYet => ("TOKEN_NOT_YET", "the token is not to be used yet"),
        Denied::Expired => ("TOKEN_EXPIRED", "the token has expired: ask for a new one"),
    };
    Fault::new(Code::Unauthenticated, DOMAIN, reason, message)
}

fn too_often(after: Duration) -> Fault {
    let message = "you call more often than you may: slow down";
    Fault::new(Code::ResourceExhausted, DOMAIN, "RATE_LIMITED", message).retry_after(after)
}

fn not_allowed(rule: Option<&'static Rule>, path: &str) -> Fault {
    let Some(rule) = rule else {
        let message = format!("nobody may call `{}`", excerpt(path));
        return Fault::new(Code::PermissionDenied, DOMAIN, "METHOD_UNKNOWN", message);
    };
    let needs = rule.needs();
    let message = format!("this call needs one of: {needs}");
    Fault::new(Code::PermissionDenied, DOMAIN, "ROLE_MISSING", message)
        .with("needs", needs)
        .with("rpc", rule.path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests;
