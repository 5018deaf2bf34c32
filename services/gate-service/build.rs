//! Generates the server of signals once more, for reports of outcomes as they came: unread.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(["softlaunch/gate/v1/signal_service.proto"], [root])?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::unread::Codec")
        .extern_path(".softlaunch.gate.v1.ReportOutcomesRequest", "crate::unread::Unread")
        .extern_path(".softlaunch.gate.v1.StreamOutcomesRequest", "crate::unread::Unread")
        .extern_path(".softlaunch.gate.v1", "::contracts::gate")
        .compile_fds(descriptors)?;
    Ok(())
}
