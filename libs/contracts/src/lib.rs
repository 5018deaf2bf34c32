//! The contracts, generated from `proto/`: messages, clients, servers. Nothing here by hand.
//!
//! **Invariant:** this crate holds generated code and the file descriptors for reflection, and
//! nothing else.

/// `softlaunch.flag.v1`: flags, evaluation, admission.
#[expect(
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    reason = "generated: the values of a oneof; an update is moved once, into a frame"
)]
pub mod flag {
    tonic::include_proto!("softlaunch.flag.v1");
}

/// `softlaunch.gate.v1`: gates, reports, signals.
#[expect(clippy::large_enum_variant, reason = "generated: an event is moved once, into a frame")]
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

/// `flagd`: what OpenFeature providers speak, written from its published wire format.
pub mod flagd {
    /// `flagd.evaluation`: answers for providers in rpc mode.
    pub mod evaluation {
        /// `flagd.evaluation.v1`.
        #[expect(clippy::enum_variant_names, reason = "generated: the values of a oneof")]
        pub mod v1 {
            tonic::include_proto!("flagd.evaluation.v1");
        }
        /// `flagd.evaluation.v2`: what has no value has none on the wire either.
        pub mod v2 {
            tonic::include_proto!("flagd.evaluation.v2");
        }
    }
    /// `flagd.sync`: definitions for providers that evaluate in-process.
    pub mod sync {
        /// `flagd.sync.v1`.
        pub mod v1 {
            tonic::include_proto!("flagd.sync.v1");
        }
    }
}

/// The encoded `FileDescriptorSet` of all contracts, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
