//! From an audience to the addresses of those in it.

use std::collections::BTreeSet;

use plan::{Audience, Clients, Contact, Message, Plan};
use vocab::WorkspaceId;

/// The mail addresses of an audience, each once, in order. `affected`: the workspaces a rollback
/// touches; all of them where nobody can say, since told in vain beats not told.
pub(crate) fn addresses(
    plan: &Plan,
    audience: &Audience,
    message: &Message,
    affected: Option<&[WorkspaceId]>,
) -> Vec<String> {
    let contacts = &plan.communication.contacts;
    let mut addresses: BTreeSet<&String> = audience.addresses.iter().collect();
    let members = contacts.iter().filter(|contact| {
        audience.contacts.contains(&contact.id)
            || contact.roles.iter().any(|role| audience.roles.contains(role))
            || audience.clients.is_some_and(|set| is_in(plan, set, contact, message, affected))
    });
    addresses.extend(members.flat_map(|contact| &contact.addresses));
    addresses.into_iter().cloned().collect()
}

/// Whether a contact is a client of the set.
fn is_in(
    plan: &Plan,
    clients: Clients,
    contact: &Contact,
    message: &Message,
    affected: Option<&[WorkspaceId]>,
) -> bool {
    if contact.workspaces.is_empty() {
        return false; // Nobody's client.
    }
    match clients {
        Clients::All | Clients::Beta => true, // Of the beta, the flag decides: the banner asks it.
        Clients::Selected => plan
            .phases
            .iter()
            .filter(|phase| message.phases.contains(&phase.id))
            .flat_map(|phase| &phase.flag.allowlist)
            // Picked by name on both sides: a glob for everybody selects nobody.
            .any(|allowed| contact.workspaces.iter().any(|own| own == allowed)),
        Clients::Affected => affected.is_none_or(|touched| {
            touched.iter().any(|id| contact.workspaces.iter().any(|own| own.matches(id.as_str())))
        }),
    }
}
