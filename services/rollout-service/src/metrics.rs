//! The figures of this service, for dashboards and alert rules. Every replica shows the same.

use std::sync::Arc;

use rollout_core::{Rollout, State};
use service_kit::figures::{About, Figure, show};

use crate::app::App;

/// Shows, whenever somebody looks, where every rollout stands that is not archived.
pub(crate) fn observe(app: &Arc<App>) {
    figure(
        app,
        "softlaunch.rollout.exposure",
        (
            "",
            "Share of workspaces that a rollout exposes by percentage, 0 to 1; lists not counted.",
        ),
        |one, _| phased(one, Figure::of(f64::from(one.exposure.get()) / 10_000.0)),
    );
    figure(
        app,
        "softlaunch.rollout.state",
        ("", "1 for the phase a rollout is in and the state it has."),
        |one, _| phased(one, Figure::whether(true)).with("state", one.state.name()),
    );
    figure(
        app,
        "softlaunch.rollout.phase.active_time",
        ("s", "Time a rollout has been active in its phase; pauses do not count."),
        |one, app| phased(one, Figure::of(one.active_time(app.clock.now()).as_secs_f64())),
    );
    figure(
        app,
        "softlaunch.rollout.phase.overdue",
        ("", "1 where a rollout has been in its phase for longer than planned, else 0."),
        |one, app| phased(one, Figure::whether(one.is_overdue(app.clock.now()))),
    );
    figure(
        app,
        "softlaunch.rollout.triggers.firing",
        ("", "Triggers whose condition holds, as the conductor has taken them in."),
        |one, _| phased(one, Figure::count(one.firing.len())),
    );
    figure(
        app,
        "softlaunch.rollout.thresholds.broken",
        ("", "Thresholds that are not met: the step of the ramp is not being held."),
        |one, _| phased(one, Figure::count(one.broken_thresholds.len())),
    );
    figure(
        app,
        "softlaunch.rollout.rollback.open_steps",
        ("", "Steps of the rollback in force that are not done; 0 where there is none."),
        |one, _| phased(one, Figure::count(open_steps(one))),
    );
    figure(
        app,
        "softlaunch.rollout.generations.untold",
        ("", "Changes that the flag and gate services have not taken in yet."),
        |one, _| {
            let untold = one.generation.saturating_sub(one.applied_generation);
            phased(one, Figure::count(usize::try_from(untold).unwrap_or(usize::MAX)))
        },
    );
}

fn figure(
    app: &Arc<App>,
    name: &'static str,
    (unit, meaning): (&'static str, &'static str),
    of: impl Fn(&Rollout, &App) -> Figure + Send + Sync + 'static,
) {
    let about = About { name, unit, meaning };
    show(app, about, move |app| {
        let snapshot = app.replica.snapshot();
        let rollouts = snapshot.state.rollouts.by_name.values();
        rollouts.filter(|one| one.state != State::Archived).map(|one| of(one, app)).collect()
    });
}

fn phased(rollout: &Rollout, figure: Figure) -> Figure {
    let phase = rollout.phase().map_or("", |phase| phase.id.as_str());
    figure.with("rollout", rollout.name.as_str()).with("phase", phase)
}

fn open_steps(rollout: &Rollout) -> usize {
    let steps = rollout.plan.plan.rollback_steps.len();
    rollout.rollback_in_force().map_or(0, |rollback| steps.saturating_sub(rollback.done.len()))
}
