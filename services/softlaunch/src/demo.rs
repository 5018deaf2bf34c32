//! `softlaunch demo`: a rollout of the shipped plan through P0, for real.
//!
//! Services, workers, files, databases, messages and reports are real; only the people are played
//! and the clock runs faster. Everything printed is read from the services.

mod care;
mod fleet;
mod people;
mod place;
mod progress;
mod tour;

use crate::arguments::DemoArguments;
use crate::failure::Failure;
use crate::output::say;
use crate::up::until_asked;

pub(crate) async fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let place = place::Place::prepare(arguments).await?;
    let (stage, mut running) = place.open(arguments).await?;
    let toured = tokio::select! {
        toured = tour::tour(&stage, arguments) => toured,
        failure = running.failed() => Err(failure),
    };
    if arguments.exit || toured.is_err() {
        running.end().await;
        return toured;
    }
    tour::look_around(&stage, arguments);
    say("\nThe services stay up. Ctrl-C ends them.");
    until_asked(running).await
}
