//! A decision and what it changes, in the middle of a rollout.

use std::time::Duration;

use plan::Plan;
use rollout_core::{
    Event, Item, Report, Rollout, Rollouts, Stamp, Standing, create, pause, resume, start,
    store_plan,
};
use vocab::{Actor, Role, Timestamp};

use tokio::time::Instant;

use crate::Error;
use crate::measure::{Samples, report};

const ROUNDS: usize = 20_000;
const NAME: &str = "rollouts/bench";
const TARGET: Duration = Duration::from_micros(10);

struct Story {
    rollouts: Rollouts,
    revision: u64,
}

impl Story {
    fn apply(&mut self, events: &[Event]) {
        for event in events {
            self.revision += 1;
            let stamp = Stamp {
                time: Timestamp::from_millis(i64::try_from(self.revision).unwrap_or(i64::MAX)),
                actor: "sre_lead".to_owned(),
                revision: self.revision,
            };
            self.rollouts.apply(event, &stamp);
        }
    }

    fn rollout(&self) -> Result<&Rollout, Error> {
        Ok(self.rollouts.by_name.get(NAME).ok_or("no rollout")?)
    }
}

/// Prints what it takes to decide and evolve: a pause and a resume, again and again, on a rollout
/// whose story grows.
pub(crate) fn on_a_long_story() -> Result<(), Error> {
    let (plan, _warnings) = Plan::parse(plan::SHIPPED).map_err(|wrong| format!("{wrong:?}"))?;
    let mut story = Story { rollouts: Rollouts::default(), revision: 0 };
    let (version, events) = store_plan(&story.rollouts, &plan, plan::SHIPPED.as_bytes())
        .map_err(|why| format!("{why:?}"))?;
    story.apply(&events);
    let events = create(&story.rollouts, NAME, &version, true).map_err(|why| format!("{why:?}"))?;
    story.apply(&events);
    let entry = Report {
        digest: "entry".to_owned(),
        gate_id: "p0-entry".to_owned(),
        generation: story.rollout()?.phase_generation,
        standing: Standing::Passed,
        items: Vec::<Item>::new(),
    };
    let events = start(story.rollout()?, &entry).map_err(|why| format!("{why:?}"))?;
    story.apply(&events);
    let lead = Role::new("sre_lead")?;
    let actor = Actor { subject: "sam".to_owned(), roles: [lead].into(), authenticated: true };
    let mut times = Samples::default();
    for _round in 0..ROUNDS {
        let begun = Instant::now();
        let events = pause(story.rollout()?, "look at it", false);
        story.apply(&events.map_err(|why| format!("{why:?}"))?);
        times.push(begun.elapsed());
        let begun = Instant::now();
        let events = resume(story.rollout()?, &actor, "fixed", "https://wiki.example.com/fixed");
        story.apply(&events.map_err(|why| format!("{why:?}"))?);
        times.push(begun.elapsed());
    }
    report("decide and evolve / ten microseconds", times.median(), TARGET, 1.0);
    println!("  p99 {:.2?}, after {} events", times.quantile(99), story.revision);
    Ok(())
}
