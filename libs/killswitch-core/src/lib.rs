//! Kill switches: what is off, for whom, who said so (semantics §7).
//!
//! **Invariant:** nothing re-opens a killed scope but its own release; epochs only rise; absent or
//! unreadable state is never "enabled". No I/O, no clock: instants come in as values.

mod decide;
mod event;
mod provisional;
mod ramp;
mod scope;
mod switches;
mod view;

pub use decide::{CLAIM_MAX, Held, Refusal, Resume, engage, merge, release, take_rules};
pub use event::{Event, OnStale, Rules};
pub use provisional::{Given, Kill, Provisional};
pub use ramp::waits;
pub use scope::{Scope, Target};
pub use switches::{PendingRelease, Switch, Switches};
pub use view::{Engaged, Policy, Reopening, View};
