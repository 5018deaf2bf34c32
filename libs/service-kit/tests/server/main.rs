//! The hardened server with a service in it, over real sockets; and how a process begins.

mod beginning;
mod ending;
mod entering;
mod hosted;
mod hostile;
mod refusing;
mod showing;
mod telling;
