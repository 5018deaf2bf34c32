//! What the flag service costs beside the least that could be done.

mod admit;
mod broadcast;
mod echo;
mod fan_out;
mod load;
mod local;
mod raw;
mod serving;
mod unary;

pub(crate) use admit::beside_a_bare_evalsha;
pub(crate) use broadcast::serve as serve_broadcast;
pub(crate) use echo::serve as serve_echo;
pub(crate) use fan_out::beside_a_bare_broadcast;
pub(crate) use local::beside_a_short_list;
pub(crate) use serving::serve;
pub(crate) use unary::beside_a_bare_echo;
