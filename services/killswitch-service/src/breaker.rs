//! The fleet's circuit breaker: where enough workers of a pipeline have theirs open for long
//! enough, its switch is engaged. Only people release it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use killswitch_core::Scope;
use service_kit::shutdown::Shutdown;
use vocab::{Actor, PipelineId, format_duration};

use crate::app::App;
use crate::settings::BreakerSettings;

const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const NAMED_MAX: usize = 5; // In the reason; all are counted.

/// A fleet's breakers as they stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) connected: usize,
    /// The workers whose breakers are open.
    pub(crate) open: Vec<String>,
}

/// Since when a pipeline's fleet is open, and whether that has been acted upon.
#[derive(Debug)]
struct Open {
    since: Duration,
    acted: bool,
}

/// The fleets that are open, by pipeline.
#[derive(Debug)]
pub(crate) struct Fleets {
    settings: BreakerSettings,
    open_for: Duration,
    open: BTreeMap<String, Open>,
}

impl Fleets {
    pub(crate) const fn new(settings: BreakerSettings, open_for: Duration) -> Self {
        Self { settings, open_for, open: BTreeMap::new() }
    }

    /// Looks at the fleets at `now`; the pipelines to stop, each with why. Once: not again before
    /// the fleet has recovered.
    fn look(
        &mut self,
        mut fleets: BTreeMap<String, Standing>,
        now: Duration,
    ) -> Vec<(String, String)> {
        fleets.retain(|_, standing| self.is_open(standing));
        self.open.retain(|pipeline, _| fleets.contains_key(pipeline));
        let mut stop = Vec::new();
        for (pipeline, standing) in fleets {
            let open = self.open.entry(pipeline.clone());
            let open = open.or_insert(Open { since: now, acted: false });
            if !open.acted && now.saturating_sub(open.since) >= self.open_for {
                open.acted = true;
                stop.push((pipeline, why(&standing, now.saturating_sub(open.since))));
            }
        }
        stop
    }

    fn is_open(&self, standing: &Standing) -> bool {
        let quorum = usize::try_from(self.settings.quorum_percent).unwrap_or(usize::MAX);
        standing.connected >= self.settings.workers_min
            && standing.open.len() * 100 >= standing.connected * quorum
    }
}

fn why(standing: &Standing, lasting: Duration) -> String {
    let named = standing.open.iter().take(NAMED_MAX).map(String::as_str);
    let more = standing.open.len().saturating_sub(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!(
        "circuit breakers open for {}: {} of {} connected workers ({}{more})",
        format_duration(lasting),
        standing.open.len(),
        standing.connected,
        named.collect::<Vec<_>>().join(", "),
    )
}

/// Watches the fleets until asked to end.
pub(crate) async fn run(app: Arc<App>, mut fleets: Fleets, shutdown: Shutdown) {
    let watching = async {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = app.clock.monotonic();
            for (pipeline, why) in fleets.look(app.workers.fleets(), now) {
                // Workers that name no pipeline of ours cannot stop one.
                let Ok(pipeline) = PipelineId::new(&pipeline) else { continue };
                app.engage(Scope::Pipeline(pipeline), Actor::system("breaker"), why).await;
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = shutdown.wait_owned() => {}
    }
}

#[cfg(test)]
mod tests {
    use contracts::killswitch::worker::Breaker;

    use super::*;
    use crate::workers::Workers;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fleets() -> Fleets {
        let settings =
            BreakerSettings { workers_min: 3, quorum_percent: 50, open_for: String::new() };
        Fleets::new(settings, MINUTE * 5)
    }

    /// `open` of `count` workers with their breakers open.
    fn workers(count: usize, open: usize) -> BTreeMap<String, Standing> {
        let workers = Workers::new();
        for number in 0..count {
            let id = format!("w{number}");
            let connection = workers.connect(&id, "ingestion_v2", Duration::ZERO).unwrap();
            let state = if number < open { Breaker::Open } else { Breaker::HalfOpen };
            workers.breaker(connection, state, Duration::ZERO);
        }
        workers.fleets()
    }

    #[test]
    fn half_of_the_fleet_open_for_long_enough_stops_the_pipeline_once() {
        let mut fleets = fleets();
        let broken = workers(4, 2);
        assert!(fleets.look(broken.clone(), Duration::ZERO).is_empty());
        assert!(fleets.look(broken.clone(), MINUTE * 5 - Duration::from_millis(1)).is_empty());
        let stop = fleets.look(broken.clone(), MINUTE * 5);
        let why = "circuit breakers open for 5m: 2 of 4 connected workers (w0, w1)";
        assert_eq!(stop, [("ingestion_v2".to_owned(), why.to_owned())]);
        assert!(fleets.look(broken.clone(), MINUTE * 60).is_empty());
        // Recovered in between it may act again.
        assert!(fleets.look(workers(4, 1), MINUTE * 61).is_empty());
        assert!(fleets.look(broken.clone(), MINUTE * 62).is_empty());
        assert_eq!(fleets.look(broken, MINUTE * 67).len(), 1);
    }

    #[test]
    fn too_few_workers_or_too_few_of_them_conclude_nothing() {
        for few in [workers(2, 2), workers(5, 2)] {
            let mut fleets = fleets();
            assert!(fleets.look(few.clone(), Duration::ZERO).is_empty());
            assert!(fleets.look(few, MINUTE * 60).is_empty());
        }
    }

    #[test]
    fn a_recovery_in_between_starts_the_time_anew() {
        let mut fleets = fleets();
        fleets.look(workers(4, 4), Duration::ZERO);
        fleets.look(workers(4, 0), MINUTE * 3);
        fleets.look(workers(4, 4), MINUTE * 4);
        assert!(fleets.look(workers(4, 4), MINUTE * 6).is_empty());
    }
}
