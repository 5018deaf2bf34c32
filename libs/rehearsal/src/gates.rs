//! Judging and watching, by the gate's core.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use gate_core::{CriterionResult, Day, Subject, Verdict, judge, observe, overall, step};
use plan::{Criterion, IncidentKind, Judged, Observation, Plan, TriggerCondition};
use rollout_core::{
    Event, Firing, GA_GATE, GA_UNANNOUNCED_GATE, Item, Outcome, Report, Rollout, Situation,
    Standing, Watched, advise, react,
};

use crate::world::World;

/// The criteria of a gate: of a phase's end, of a phase's entry, or of the declaration.
fn criteria<'p>(plan: &'p Plan, gate: &str) -> (Vec<&'p Criterion>, Option<usize>) {
    let of_ga =
        || [&plan.ga.quantitative, &plan.ga.qualitative, &plan.ga.checklist].into_iter().flatten();
    if gate == GA_GATE {
        return (of_ga().collect(), None);
    }
    if gate == GA_UNANNOUNCED_GATE {
        let needs = |one: &&Criterion| {
            !matches!(one.judged, Judged::Observed(Observation::CommunicationDelivered))
        };
        return (of_ga().filter(needs).collect(), None);
    }
    for (index, phase) in plan.phases.iter().enumerate() {
        if format!("{}-entry", phase.id.as_str().to_lowercase()) == gate {
            return (phase.entry.iter().collect(), Some(index));
        }
        if let Some(found) = phase.gate.as_ref().filter(|found| found.id.as_str() == gate) {
            return (found.criteria.iter().collect(), None);
        }
    }
    (Vec::new(), None)
}

const fn standing(verdict: Verdict) -> Standing {
    match verdict {
        Verdict::Pass => Standing::Passed,
        Verdict::Inconclusive => Standing::Inconclusive,
        Verdict::Fail => Standing::Failed,
    }
}

impl World<'_> {
    /// Judges a gate now.
    pub(crate) fn report(&self, gate: &str) -> Report {
        let (criteria, next) = criteria(self.plan, gate);
        let evidence = self.evidence(&criteria, next);
        let results: Vec<CriterionResult> =
            criteria.iter().map(|one| judge(one, &evidence, self.now)).collect();
        let whole = overall(&results);
        let counted = criteria.iter().zip(&results).filter(|(_, result)| !result.dry_run);
        let items = counted.map(|(criterion, result)| Item {
            criterion_id: criterion.id.to_string(),
            title: criterion.title.clone(),
            standing: standing(result.verdict),
            reason: result.reason.clone(),
            roles: result.roles.clone(),
        });
        let items: Vec<_> = items.collect();
        let standing = standing(whole);
        let generation = self.rollout().map_or(0, |rollout| rollout.phase_generation);
        // What is judged on the same evidence has the same digest.
        let said: Vec<_> =
            results.iter().map(|one| format!("{:?}{}", one.verdict, one.value)).collect();
        let digest = format!("{gate}@{generation}:{}", said.join(","));
        Report { digest, gate_id: gate.to_owned(), generation, standing, items }
    }

    /// Looks at everything that is watched, and answers what has changed; how many stir.
    pub(crate) fn watch(&mut self, every: Duration) -> usize {
        let phase = self.rollout().and_then(Rollout::phase).map(|phase| phase.id.to_string());
        let Some(phase) = phase else { return 0 };
        let rules = Rc::clone(&self.rules);
        let evidence = self.evidence(&[], None);
        let times = (self.looked_at, self.plan.watching.gap_max.max(every * 2));
        let (mut moved, mut stirring) = (Vec::new(), 0);
        for rule in rules.iter().filter(|rule| rule.applies_in(&phase)) {
            for observed in observe(rule, &evidence, self.now) {
                let id = format!("{} {}", rule.id, observed.instance);
                let before = self.standings.get(&id).copied().unwrap_or_default();
                let after = step(before, &rule.timing, &observed, times, self.now);
                if rule.subject == Subject::Trigger && after.state != gate_core::State::Clear {
                    stirring += 1;
                }
                let fired = |state| state == gate_core::State::Fired;
                if fired(before.state) != fired(after.state) {
                    if rule.subject == Subject::Advisory {
                        self.facts.warned.insert(rule.id.clone());
                    }
                    let evidence = format!("{} {}", observed.value, observed.reason);
                    moved.push(Firing {
                        cursor: 0,           // Set, with the generation, when
                        phase_generation: 0, // it is answered.
                        id: rule.id.clone(),
                        incident: observed.instance.clone(),
                        kind: match rule.subject {
                            Subject::Trigger => Watched::Trigger,
                            Subject::Threshold => Watched::Threshold,
                            Subject::Advisory => Watched::Advisory,
                        },
                        firing: fired(after.state),
                        title: rule.title.clone(),
                        evidence: evidence.trim().to_owned(),
                        at: self.now,
                    });
                }
                self.standings.insert(id, after);
            }
        }
        self.looked_at = Some(self.now);
        for firing in moved {
            self.answer(firing);
        }
        stirring
    }

    fn answer(&mut self, mut firing: Firing) {
        self.cursor += 1;
        firing.cursor = self.cursor;
        let Some(rollout) = self.rollout() else { return };
        firing.phase_generation = rollout.phase_generation;
        let events = react(rollout, &firing);
        self.record(&events, "gate");
        let acted =
            |event: &Event| matches!(event, Event::TriggerSeen { outcome: Outcome::Acted, .. });
        if events.iter().any(acted) {
            self.advise_on(&firing.id);
        }
    }

    /// Names the row of the decision matrix, as on every incident.
    fn advise_on(&mut self, trigger: &str) {
        let found = self.plan.triggers.iter().find(|one| one.id.as_str() == trigger);
        let kind = match found.map(|trigger| &trigger.condition) {
            Some(TriggerCondition::Incident { kind }) => *kind,
            Some(TriggerCondition::Metric { .. }) => IncidentKind::P1,
            None => return,
        };
        self.advise(Situation { incident: Some(kind), ..Situation::default() });
    }

    /// Names the row that applies; whether it says to roll back.
    pub(crate) fn advise(&mut self, situation: Situation<'_>) -> bool {
        let Some(advice) = advise(self.plan, situation) else { return false };
        let (row, condition) = (advice.row.id.to_string(), advice.row.condition.clone());
        let word = if advice.row.rollback { "roll back" } else { "pause" };
        self.say("advice", format!("{word}: {condition} ({row})"));
        self.facts.advice.push(row);
        advice.row.rollback
    }

    /// What had fired is armed anew, where only people can show that it is over.
    pub(crate) fn rearm(&mut self) {
        let plan = self.plan;
        self.standings.retain(|id, _| {
            let id = id.split(' ').next().unwrap_or_default();
            let trigger = plan.triggers.iter().find(|one| one.id.as_str() == id);
            trigger.is_none_or(|one| {
                one.resume_observed || matches!(one.condition, TriggerCondition::Incident { .. })
            })
        });
    }

    /// Whether every threshold of the phase is met now, on data.
    pub(crate) fn thresholds_met(&self) -> bool {
        let phase = self.rollout().and_then(Rollout::phase).map(|phase| phase.id.to_string());
        let Some(phase) = phase else { return false };
        let evidence = self.evidence(&[], None);
        let mut own = self
            .rules
            .iter()
            .filter(|rule| rule.subject == Subject::Threshold && rule.applies_in(&phase));
        own.all(|rule| {
            let observed = observe(rule, &evidence, self.now);
            observed.iter().all(|one| one.level == gate_core::Level::Clear && !one.value.is_empty())
        })
    }

    /// Judges the day that has just ended, for the declaration.
    pub(crate) fn end_day(&mut self, number: i64) {
        let criteria: Vec<_> = self.plan.ga.quantitative.iter().collect();
        let evidence = self.evidence(&criteria, None);
        let results: Vec<_> = criteria.iter().map(|one| judge(one, &evidence, self.now)).collect();
        let at_full = self.rollout().is_some_and(|rollout| {
            let whole_day = self.now.since(rollout.step_taken_at) >= Duration::from_secs(86_400);
            rollout.exposure == vocab::BasisPoints::ALL && whole_day
        });
        self.days.push(Day { number, verdict: overall(&results), at_full });
    }

    /// How everything that is watched stands, by id; for what is said at the end.
    pub(crate) fn open_items(&self, gate: &str) -> BTreeMap<String, String> {
        let report = self.report(gate);
        report.open_items().map(|item| (item.criterion_id.clone(), item.reason.clone())).collect()
    }
}
