//! The guard: who calls, and whether they may, decided before a byte of the body is read.
//!
//! **Invariant:** every call that is let in carries its [`Caller`], and every one that is not is
//! said under the log target `audit`. Refusals are not put into a journal: whoever is refused could
//! fill it.

mod answer;
mod stream;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use http::header::AUTHORIZATION;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tonic::Code;
use tonic::body::Body;
use vocab::excerpt;

use crate::access::{Noun, Rule, rule};
use crate::clock::real_now;
use crate::fault::Fault;
use crate::identity::{Caller, DOMAIN};
use crate::incoming::{Peer, Shown};
use crate::metrics::meter;
use crate::reload::Followed;
use crate::tokens::{self, Denied, Principal, Tokens};

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
    refused: Counter<u64>,
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
    pub(crate) fn by(tokens: Followed<Tokens>) -> Self {
        let refused = meter()
            .u64_counter("softlaunch.identity.refused")
            .with_description("Calls that were refused for who called them.")
            .build();
        Self(Some(Arc::new(Doorkeeper { tokens, refused })))
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
        let proven = self.prove(request, shown).inspect_err(|fault| {
            self.note(rule, path, "somebody", address, fault);
        })?;
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
            self.note(rule, path, &name, address, &fault);
            return Err(fault);
        };
        Ok(match proven {
            Proven::Service(noun) => (Caller::Service(noun), None),
            Proven::Holder(shown, principal) => {
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

    /// Says that a call was refused: in the log, and as a figure.
    fn note(
        &self,
        rule: Option<&'static Rule>,
        path: &str,
        who: &str,
        address: Option<SocketAddr>,
        fault: &Fault,
    ) {
        // Only methods we know become a label: others are whatever the caller made up.
        let method = rule.map_or("unknown", |rule| rule.path.trim_start_matches('/'));
        self.refused
            .add(1, &[KeyValue::new("rpc", method), KeyValue::new("reason", fault.reason())]);
        let (rpc, why) = (excerpt(path), fault.reason());
        let from = address.map(tracing::field::display);
        tracing::warn!(target: "audit", who, %rpc, why, from, "call refused");
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
