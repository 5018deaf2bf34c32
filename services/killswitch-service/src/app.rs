//! Commands: decide, append; a kill is in force even where the store does not take it in time.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use killswitch_core::{
    Event, Given, Held, Refusal, Resume, Rules, Scope, engage, merge, release, take_rules,
};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use store::{Command, Executed, Replica, Snapshot, WriteError};
use tracing::Instrument as _;
use vocab::Actor;

use crate::error::{DOMAIN, Refused};
use crate::in_force::InForce;
use crate::metrics::Metrics;
use crate::settings::Timing;
use crate::state::{State, draft_of};
use crate::workers::Workers;

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) in_force: Arc<InForce>,
    pub(crate) clock: Clock,
    pub(crate) timing: Timing,
    pub(crate) shutdown: Shutdown,
    pub(crate) workers: Workers,
    pub(crate) metrics: Metrics,
}

type Done = Result<Executed<State>, WriteError<Refused>>;

impl App {
    pub(crate) fn state(&self) -> Snapshot<State> {
        self.replica.snapshot()
    }

    /// Decides and appends; what came of it is in force when this returns.
    async fn execute(
        &self,
        command: &Command,
        decide: impl Fn(&State, u64) -> Result<Vec<Event>, Refusal>,
    ) -> Done {
        let done = self
            .replica
            .execute(command, |state, _| {
                let events = decide(state, self.in_force.floor()).map_err(Refused)?;
                Ok::<_, Refused>(events.iter().map(draft_of).collect())
            })
            .await;
        self.tell();
        done
    }

    /// Tells what is in force now.
    pub(crate) fn tell(&self) {
        let told = self.in_force.publish();
        self.workers.changed(told.epoch, self.clock.monotonic());
    }

    /// Runs a command to its end, and waits for that as long as the budget allows. `None`: it is
    /// late, or the store has failed.
    async fn within_budget(
        &self,
        doing: impl Future<Output = Done> + Send + 'static,
    ) -> Option<Done> {
        let doing = tokio::spawn(doing.in_current_span());
        match tokio::time::timeout(self.timing.store_budget, doing).await {
            Ok(Ok(Err(WriteError::Store(error)))) => {
                tracing::error!(%error, "the store does not take a kill");
                None
            }
            Ok(Ok(done)) => Some(done),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Stops a scope. Not stored in time it is in force all the same.
    pub(crate) async fn engage(
        self: &Arc<Self>,
        scope: Scope,
        actor: Actor,
        reason: String,
    ) -> pb::KillSwitch {
        let command = command(&self.clock, actor.clone(), reason.clone(), None);
        let revision = self.state().version;
        let unstored = self.in_force.provisional().get(&scope).is_some();
        let stored = if unstored || !self.replica.is_connected() {
            None
        } else {
            let (app, scope, command) = (Arc::clone(self), scope.clone(), command.clone());
            let storing = async move { app.engage_stored(&command, scope, false).await };
            self.within_budget(storing).await.and_then(Result::ok)
        };
        let told = if stored.is_some() {
            self.in_force.told()
        } else {
            let given = Given { actor, reason, time: command.time, revision };
            let told = self.in_force.engage(&scope, given);
            self.workers.changed(told.epoch, self.clock.monotonic());
            told
        };
        let switch = self.in_force.kill_switch(&told, &scope);
        tracing::warn!(scope = scope.id(), reason = switch.reason, "kill switch engaged");
        switch
    }

    async fn engage_stored(&self, command: &Command, scope: Scope, drill: bool) -> Done {
        let reason = command.reason.clone();
        self.execute(command, |state, floor| {
            let event = engage(&state.switches, floor, scope.clone(), reason.clone(), drill);
            Ok(event.into_iter().collect())
        })
        .await
    }

    /// Engages as a drill: stored, or not at all.
    pub(crate) async fn engage_drill(
        &self,
        scope: Scope,
        actor: Actor,
        reason: String,
    ) -> Result<u64, Fault> {
        let command = command(&self.clock, actor, reason, None);
        let done = self.engage_stored(&command, scope.clone(), true).await;
        let done = done.map_err(|error| refused(DOMAIN, error))?;
        Ok(done.snapshot.state.switches.get(&scope).map_or(0, |switch| switch.epoch))
    }

    /// Lets a scope go on, or notes that somebody asks for it.
    pub(crate) async fn release(
        &self,
        scope: Scope,
        actor: Actor,
        resume: Resume,
    ) -> Result<pb::KillSwitch, Fault> {
        if self.in_force.provisional().get(&scope).is_some() {
            self.store_all().await?;
        }
        let command = command(&self.clock, actor, resume.reason.clone(), None);
        self.execute(&command, |state, floor| {
            let event = release(&state.switches, floor, scope.clone(), resume.clone())?;
            Ok(event.into_iter().collect())
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
        let switch = self.in_force.kill_switch(&self.in_force.told(), &scope);
        let (state, reason) = (switch.state().as_str_name(), &resume.reason);
        tracing::warn!(scope = scope.id(), reason, state, "kill switch release");
        Ok(switch)
    }

    /// Takes over what a plan says.
    pub(crate) async fn take_rules(&self, actor: Actor, rules: Rules) -> Result<(), Fault> {
        let command = command(&self.clock, actor, "rules of the plan", None);
        let take = |state: &State| take_rules(&state.switches, rules.clone());
        self.execute(&command, |state, _| Ok(take(state).into_iter().collect()))
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }

    /// Brings together what is in force here and what a worker holds.
    pub(crate) async fn take_in(self: &Arc<Self>, mut held: Held) -> Result<(), Fault> {
        let told = self.in_force.told();
        held.engaged.retain(|scope| told.provisional.get(scope).is_none());
        let floor = told.provisional.floor();
        let news = merge(&told.stored.state.switches, floor, &held).map_err(Refused)?;
        if news.is_empty() {
            return Ok(());
        }
        tracing::error!(
            worker = held.worker,
            epoch = held.epoch,
            alarm = "epoch_lost",
            "a worker holds more than the store: keeping what it holds"
        );
        let reason = format!("worker {} held epoch {}", held.worker, held.epoch);
        let command = command(&self.clock, Actor::system("killswitch"), reason, None);
        let stored = if self.replica.is_connected() {
            let (app, command, held) = (Arc::clone(self), command.clone(), held.clone());
            let merging = async move {
                app.execute(&command, |state, floor| merge(&state.switches, floor, &held)).await
            };
            self.within_budget(merging).await.and_then(Result::ok)
        } else {
            None
        };
        if stored.is_none() {
            self.keep_unstored(&command, &held, news);
        }
        Ok(())
    }

    /// Keeps in force what a worker holds, without the store.
    fn keep_unstored(&self, command: &Command, held: &Held, news: Vec<Event>) {
        self.in_force.raise(held.epoch);
        let revision = self.state().version;
        for event in news {
            if let Event::Engaged { scope, reason, .. } = event {
                let (actor, time) = (command.actor.clone(), command.time);
                self.in_force.engage(&scope, Given { actor, reason, time, revision });
            }
        }
        self.tell();
    }

    /// How long anything lasts for watchers, whose time is real.
    pub(crate) fn real(&self, duration: Duration) -> Duration {
        self.clock.real(duration)
    }
}

/// Passes on what other replicas write, until asked to end.
pub(crate) async fn follow(app: Arc<App>, shutdown: Shutdown) {
    let mut changes = app.replica.changes();
    let passing_on = async {
        while changes.changed().await.is_ok() {
            app.tell();
        }
    };
    tokio::select! {
        () = passing_on => {}
        () = shutdown.wait_owned() => {}
    }
}
