//! The contracts, generated from `proto/`: messages, clients, servers. Nothing here by hand.
//!
//! **Invariant:** this crate holds generated code and the file descriptors for reflection, and
//! nothing else.

/// `softlaunch.flag.v1`: flags, evaluation, admission.
#[expect(clippy::large_enum_variant, reason = "generated: an update is moved once, into a frame")]
pub mod flag {
    tonic::include_proto!("softlaunch.flag.v1");
}

/// `softlaunch.gate.v1`: gates, reports, signals.
pub mod gate {
    tonic::include_proto!("softlaunch.gate.v1");
}

/// `softlaunch.killswitch.v1`: kill switches.
#[expect(clippy::large_enum_variant, reason = "generated: an event is moved once, into a frame")]
pub mod killswitch {
    tonic::include_proto!("softlaunch.killswitch.v1");
}

/// `softlaunch.comms.v1`: messages and their delivery.
pub mod comms {
    tonic::include_proto!("softlaunch.comms.v1");
}

/// `softlaunch.rollout.v1`: plans and rollouts.
#[expect(clippy::module_inception, reason = "generated: the message Rollout names its own module")]
pub mod rollout {
    tonic::include_proto!("softlaunch.rollout.v1");
}

/// The encoded `FileDescriptorSet` of all contracts, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
