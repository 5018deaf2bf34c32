//! Kill switches: what is off, for whom, who said so (semantics §7).
//!
//! **Invariant:** nothing re-opens a killed scope but its own release; epochs only rise; absent or
//! unreadable state is never "enabled". No I/O, no clock: instants come in as values.

mod ramp;
mod scope;
mod switches;
mod view;

pub use ramp::waits;
pub use scope::{Scope, Target};
pub use switches::{Event, Refusal, Switch, Switches, engage, release};
pub use view::{Engaged, Policy, Reopening, View};
