//! The whole system as its users meet it: real processes, real sockets, real files.

mod allinone;
mod audit;
mod cli;
mod doctor;
mod gate;
mod journey;
mod kill;
mod otlp;
mod partition;
mod processes;
mod rolling;
mod secure;
mod separate;
mod telemetry;
mod transfer;
