//! What is due because time has passed: reviews, their escalation, tasks after GA.

use std::time::Duration;

use plan::Plan;
use vocab::Timestamp;

use crate::standing::REVIEW;
use crate::{News, Standing};

/// No more reviews of one phase are reminded of one by one: what is missed is caught up with once.
const REVIEWS_MAX: u32 = 10_000;

/// What is due by now, at most one of a kind.
#[must_use]
pub fn due(plan: &Plan, standing: &Standing, now: Timestamp) -> Vec<News> {
    if standing.archived {
        return Vec::new();
    }
    let mut news = Vec::new();
    let review = standing.reminders.get(REVIEW);
    let last = review.map_or(0, |reminder| reminder.number);
    // In a pause nothing is reviewed but its cause.
    if standing.stopped_since.is_none() {
        let number = reviews_by(plan, standing, now);
        if number > last {
            news.push(News::ReviewDue { number });
        }
    }
    if let (Some(review), Some(escalation)) = (review, &plan.communication.escalation) {
        let late = now.since(review.at) >= escalation.after;
        if late && !review.acknowledged && !review.escalated && news.is_empty() {
            news.push(News::ReviewUnanswered { number: review.number });
        }
    }
    if let Some(declared) = standing.ga_declared {
        let open = plan.post_ga.iter().find(|task| {
            let id = task.id.as_str();
            declared.plus(task.due_after) <= now
                && !standing.done_tasks.contains(id)
                && !standing.reminders.contains_key(id)
        });
        news.extend(open.map(|task| News::TaskDue { task: task.id.to_string() }));
    }
    news
}

/// How many reviews of the phase have come due by now.
fn reviews_by(plan: &Plan, standing: &Standing, now: Timestamp) -> u32 {
    let Some(phase) = standing.phase.as_ref().and_then(|id| plan.phase(id)) else { return 0 };
    let mut left = standing.active(now);
    let mut number = 0_u32;
    for step in &phase.review.every {
        if step.interval.is_zero() {
            continue;
        }
        let within = step.lasts.map_or(left, |lasts| lasts.min(left));
        let count = within.as_millis() / step.interval.as_millis().max(1);
        number = number.saturating_add(u32::try_from(count).unwrap_or(REVIEWS_MAX));
        left = left.saturating_sub(step.lasts.unwrap_or(Duration::MAX));
    }
    number.min(REVIEWS_MAX)
}

#[cfg(test)]
mod tests {
    use vocab::{BasisPoints, PhaseId};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn shipped() -> Plan {
        Plan::parse(plan::SHIPPED).expect("the shipped plan is valid").0
    }

    fn within(phase: &str) -> Standing {
        let phase = PhaseId::new(phase).unwrap();
        let entered = News::PhaseStarted { phase, exposure: BasisPoints::ZERO, again: false };
        Standing::default().after(&shipped(), &entered, 1, "a", Timestamp::EPOCH)
    }

    fn reviews_at(phase: &str, hours: u32) -> u32 {
        reviews_by(&shipped(), &within(phase), Timestamp::EPOCH.plus(HOUR * hours))
    }

    #[test]
    fn a_phase_is_reviewed_as_the_plan_says() {
        assert_eq!([3, 4, 23, 24].map(|hours| reviews_at("P1", hours)), [0, 1, 5, 6]);
        assert_eq!([23, 24, 72, 119, 120].map(|hours| reviews_at("P2", hours)), [0, 1, 3, 3, 4]);
        assert_eq!(reviews_at("P0", 1_000), 0, "continuously is not by appointment");
    }

    #[test]
    fn a_review_that_nobody_acknowledges_is_escalated_once() {
        let (plan, standing) = (shipped(), within("P1"));
        let now = Timestamp::EPOCH.plus(HOUR * 4);
        let reminder = News::ReviewDue { number: 1 };
        assert_eq!(due(&plan, &standing, now), std::slice::from_ref(&reminder));
        let mut standing = standing.after(&plan, &reminder, 2, "b", now);
        assert_eq!(due(&plan, &standing, now), []);
        let later = now.plus(HOUR);
        let unanswered = News::ReviewUnanswered { number: 1 };
        assert_eq!(due(&plan, &standing, later), std::slice::from_ref(&unanswered));
        let told = standing.after(&plan, &unanswered, 3, "c", later);
        assert_eq!(due(&plan, &told, later), []);
        standing.reminders.get_mut(REVIEW).unwrap().acknowledged = true;
        assert_eq!(due(&plan, &standing, later), []);
    }

    #[test]
    fn a_pause_puts_reviews_off() {
        let plan = shipped();
        let pause =
            News::RolloutPaused { reason: "look".into(), global: false, trigger: String::new() };
        let standing = within("P1").after(&plan, &pause, 2, "b", Timestamp::EPOCH.plus(HOUR));
        assert_eq!(due(&plan, &standing, Timestamp::EPOCH.plus(HOUR * 9)), []);
    }

    #[test]
    fn a_task_is_reminded_of_when_it_is_due_and_once() {
        let plan = shipped();
        let declared = within("P4").after(&plan, &News::GaDeclared, 2, "b", Timestamp::EPOCH);
        let now = Timestamp::EPOCH.plus(HOUR * 25);
        let task = News::TaskDue { task: "monitor-closely".into() };
        assert_eq!(due(&plan, &declared, now), std::slice::from_ref(&task));
        assert_eq!(due(&plan, &declared.after(&plan, &task, 3, "c", now), now), []);
    }
}
