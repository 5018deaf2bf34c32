//! What conducting costs: a decision, a rehearsal, and a thousand rollouts at once.

mod deciding;
mod rehearsing;
mod thousand;

pub(crate) use deciding::on_a_long_story;
pub(crate) use rehearsing::beside_its_uploads;
pub(crate) use thousand::beside_one;
