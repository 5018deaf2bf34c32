//! Who is let in, and who is not: real guarded servers, and callers of every kind.

mod call;
mod changing;
mod crowded;
mod doors;
mod every_rpc;
mod together;
mod written;
