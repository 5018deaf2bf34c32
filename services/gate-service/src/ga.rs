//! The daily record that general availability rests on (D7 §6.3): once a day, after it has ended,
//! the rolling values are judged; a day that fails, or has no data, restarts the count.

use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use gate_core::{Day, Verdict, judge, overall};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::wire::{signed, wire_time};
use vocab::{Actor, Timestamp};

use crate::app::App;
use crate::convert::{criterion_result, wire_verdict};
use crate::error::{DOMAIN, Refusal};
use crate::evidence::{Gathered, Wanted};
use crate::state::draft;
use crate::watched::Watched;

const FULL: i32 = 10_000; // Basis points.

/// Judges the day that ended last, once, in the last phase.
pub(crate) async fn judge_day(app: &App, watched: &Watched, now: Timestamp) -> Result<(), Fault> {
    let last = watched.plan().phases.last().map(|phase| phase.id.as_str());
    let day = Day::number_of(now) - 1;
    let date = Day::begin(day).utc_day();
    let begun = watched.start_time < Day::begin(day + 1);
    let known = |watched: &Watched| watched.days.back().is_some_and(|newest| newest.date >= date);
    if last != Some(watched.phase_id.as_str()) || !begun || known(watched) {
        return Ok(());
    }
    let judged = judged(app, watched, day, now).await?;
    let command = command(&app.clock, Actor::system("gate"), "a day has ended", None);
    let (rollout, generation) = (&watched.rollout, watched.phase_generation);
    let recorded = pb::GaDayRecorded {
        rollout: rollout.clone(),
        phase_generation: signed(generation),
        day: Some(judged),
    };
    app.replica
        .execute(&command, |state, _| {
            let current = state.rollouts.get(rollout);
            let open = current.filter(|one| one.phase_generation == generation && !known(one));
            let event = || draft(Kind::GaDayRecorded(recorded.clone()));
            Ok::<_, Refusal>(open.map_or_else(Vec::new, |_| vec![event()]))
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
    Ok(())
}

async fn judged(
    app: &App,
    watched: &Watched,
    day: i64,
    now: Timestamp,
) -> Result<pb::GaDay, Fault> {
    let criteria: Vec<_> = watched.plan().ga.quantitative.iter().collect();
    let wanted = Wanted {
        spans: Watched::spans(&criteria),
        previous_gate: None,
        whole: false,
        queries: Watched::queries(&criteria),
    };
    let Gathered { evidence, .. } = app.gather(watched, wanted, now).await?;
    let found: Vec<_> = criteria.iter().map(|one| (*one, judge(one, &evidence, now))).collect();
    let verdict = overall(found.iter().map(|(_, result)| result));
    let (share, since) = watched.share;
    let all_day = share == FULL && since <= Day::begin(day);
    let (verdict, reason) = match verdict {
        Verdict::Pass if !all_day => {
            (Verdict::Inconclusive, "the flag did not stand at 100% all day".to_owned())
        }
        Verdict::Pass => (Verdict::Pass, String::new()),
        Verdict::Fail | Verdict::Inconclusive => {
            let open = found.iter().filter(|(_, result)| result.verdict != Verdict::Pass);
            let open: Vec<_> =
                open.map(|(one, result)| format!("{}: {}", one.id, result.reason)).collect();
            (verdict, open.join("; "))
        }
    };
    Ok(pb::GaDay {
        date: Day::begin(day).utc_day(),
        verdict: wire_verdict(verdict).into(),
        reason,
        create_time: Some(wire_time(now)),
        criteria: found.into_iter().map(|(one, result)| criterion_result(one, result)).collect(),
        percentage_basis_points: share,
    })
}

impl App {
    /// The record so far.
    pub(crate) fn ga_record(&self, rollout: &str) -> Result<pb::GaRecord, Refusal> {
        let watched = self.watched(rollout)?;
        let (have, need) = (watched.consecutive_days(), watched.plan().ga.consecutive_days);
        Ok(pb::GaRecord {
            name: format!("{rollout}/gaRecord"),
            days: watched.days.iter().rev().cloned().collect(),
            consecutive_day_count: i32::try_from(have).unwrap_or(i32::MAX),
            required_day_count: i32::try_from(need).unwrap_or(i32::MAX),
            complete: have >= need,
        })
    }
}
