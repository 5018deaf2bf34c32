//! The people of the demo, played: each by name, in one role.

use crate::connect::Connection;
use crate::endpoints::Endpoints;

/// A person in a role.
pub(crate) struct Persona {
    /// The name shown.
    pub(crate) name: &'static str,
    /// The role held.
    pub(crate) role: &'static str,
}

/// Everybody: no two of them hold the same role.
pub(crate) const PERSONAS: [Persona; 4] = [
    Persona { name: "demo-engineering-lead", role: "engineering_lead" },
    Persona { name: "demo-product-manager", role: "product_manager" },
    Persona { name: "demo-sre-lead", role: "sre_lead" },
    Persona { name: "demo-support", role: "support" },
];

impl Persona {
    /// Connections on this person's behalf.
    pub(crate) fn connect(&self, endpoints: &Endpoints) -> Connection {
        Connection::acting_as(endpoints, self.name, &[self.role])
    }
}

/// The first person who holds one of the roles.
pub(crate) fn holder(roles: &[String]) -> Option<&'static Persona> {
    PERSONAS.iter().find(|persona| roles.iter().any(|role| role == persona.role))
}
