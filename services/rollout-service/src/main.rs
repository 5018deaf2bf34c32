//! Conducts rollouts. See the library for what this service owns and promises.

use std::process::ExitCode;

use rollout_service::{Settings, serve};
use service_kit::bootstrap::{self, Dependencies};
use service_kit::shutdown;

#[tokio::main]
async fn main() -> ExitCode {
    bootstrap::run("rollout-service", async |settings: Settings| {
        let listener = bootstrap::listen(&settings.server, &settings.identity).await?;
        let dependencies = Dependencies::connect(&settings.store, &settings.clock).await?;
        serve(settings, dependencies, listener, shutdown::signal()).await
    })
    .await
}
