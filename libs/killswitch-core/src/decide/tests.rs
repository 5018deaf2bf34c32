use proptest::prelude::*;
use vocab::{Actor, Pattern, PipelineId, Timestamp};

use super::*;
use crate::event::OnStale;
use crate::provisional::{Given, Provisional};
use crate::view::{Engaged, View};

fn id() -> PipelineId {
    PipelineId::new("ingestion_v2").unwrap()
}

fn pipeline() -> Scope {
    Scope::Pipeline(id())
}

fn engaging(switches: &Switches, scope: Scope, drill: bool) -> Option<Event> {
    engage(switches, 0, scope, "bad data".into(), drill)
}

fn resume(actor: &str, seen: u64) -> Resume {
    let evidence = "https://wiki.example.com/errors-are-gone".to_owned();
    let ramp = Duration::from_secs(60);
    Resume { actor: actor.to_owned(), seen, reason: "fixed".to_owned(), evidence, ramp }
}

fn rules(generation: u64, second_person: bool) -> Rules {
    let (lease, drill_valid) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let on_stale = OnStale::FailClosed;
    Rules { pipeline: id(), generation, lease, on_stale, second_person, drill_valid }
}

fn after(events: impl IntoIterator<Item = Event>) -> Switches {
    let mut switches = Switches::default();
    events.into_iter().for_each(|event| switches.apply(event, "ada", Timestamp::EPOCH));
    switches
}

fn then(mut switches: Switches, event: Event, actor: &str) -> Switches {
    switches.apply(event, actor, Timestamp::EPOCH);
    switches
}

fn stopped(scope: Scope, epoch: u64) -> Event {
    Event::Engaged { scope, epoch, reason: String::new(), drill: false }
}

#[test]
fn engaging_twice_changes_nothing_the_second_time() {
    let first = engaging(&Switches::default(), pipeline(), false).unwrap();
    assert_eq!(engaging(&after([first]), pipeline(), false), None);
}

#[test]
fn a_release_must_name_the_epoch_it_saw() {
    let switches = after([stopped(pipeline(), 1)]);
    let refused = release(&switches, 0, pipeline(), resume("bob", 0));
    assert_eq!(refused, Err(Refusal::EpochMismatch { seen: 0, current: 1 }));
    let released = release(&switches, 0, pipeline(), resume("bob", 1)).unwrap().unwrap();
    assert!(matches!(released, Event::Released { epoch: 2, .. }));
}

#[test]
fn only_the_end_of_a_drill_needs_no_evidence() {
    let bare = Resume { evidence: String::new(), ..resume("bob", 1) };
    let real = after([stopped(pipeline(), 1)]);
    let refused = release(&real, 0, pipeline(), bare.clone());
    assert_eq!(refused, Err(Refusal::EvidenceMissing));
    let drill = after(engaging(&Switches::default(), pipeline(), true));
    let ended = release(&drill, 0, pipeline(), bare).unwrap().unwrap();
    let Event::Released { ramp, drill, .. } = ended else { panic!("{ended:?}") };
    assert_eq!((ramp, drill), (Duration::ZERO, true));
}

#[test]
fn where_the_plan_says_so_a_release_takes_two_persons() {
    let switches = after([stopped(pipeline(), 1), Event::RulesTaken(rules(1, true))]);
    let asked = release(&switches, 0, pipeline(), resume("bob", 1)).unwrap().unwrap();
    assert!(matches!(asked, Event::ReleaseRequested { epoch: 1, .. }), "{asked:?}");
    let waiting = then(switches, asked, "bob");
    assert!(waiting.get(&pipeline()).unwrap().engaged);
    let again = release(&waiting, 0, pipeline(), resume("bob", 1));
    assert_eq!(again, Err(Refusal::SecondPersonRequired { first: "bob".to_owned() }));
    let carried_out = release(&waiting, 0, pipeline(), resume("ada", 1)).unwrap().unwrap();
    assert!(matches!(carried_out, Event::Released { epoch: 2, .. }), "{carried_out:?}");
    // A kill in between ends the asking, and the epoch that was seen is over.
    let kept = engaging(&waiting, pipeline(), false).unwrap();
    let kept = then(waiting, kept, "eve");
    assert_eq!(kept.get(&pipeline()).unwrap().pending, None);
    let stale = release(&kept, 0, pipeline(), resume("ada", 1));
    assert_eq!(stale, Err(Refusal::EpochMismatch { seen: 1, current: 2 }));
}

#[test]
fn the_strictest_plan_decides_on_everything_and_older_rules_are_ignored() {
    let switches = after([stopped(Scope::Global, 1), Event::RulesTaken(rules(2, true))]);
    assert!(switches.takes_two(&Scope::Global));
    assert_eq!(take_rules(&switches, rules(2, false)), None);
    assert_eq!(take_rules(&switches, rules(1, false)), None);
    let looser = take_rules(&switches, rules(3, false)).unwrap();
    assert!(!then(switches, looser, "rollout").takes_two(&Scope::Global));
}

#[test]
fn an_event_with_an_older_epoch_changes_nothing() {
    let mut switches = after([stopped(pipeline(), 5)]);
    let stale = Event::Released {
        scope: pipeline(),
        epoch: 4,
        reason: String::new(),
        drill: false,
        evidence: String::new(),
        ramp: Duration::ZERO,
    };
    switches.apply(stale, "bob", Timestamp::EPOCH);
    assert!(switches.get(&pipeline()).unwrap().engaged);
}

#[test]
fn a_real_kill_takes_over_a_drill() {
    let scope = Scope::Workspace(id(), Pattern::new("drill-*").unwrap());
    let drill = engaging(&Switches::default(), scope.clone(), true).unwrap();
    assert!(engaging(&after([drill]), scope, false).is_some());
}

#[test]
fn what_a_worker_holds_and_the_store_has_lost_stays_stopped_under_a_higher_epoch() {
    let held = |epoch| Held { worker: "w".to_owned(), epoch, engaged: vec![pipeline()] };
    let merged = merge(&Switches::default(), 0, &held(7)).unwrap();
    assert!(
        matches!(&merged[..], [Event::Engaged { epoch: 8, reason, .. }] if reason.contains("worker w at epoch 7"))
    );
    assert_eq!(merge(&after(merged), 0, &held(7)), Ok(Vec::new()));
    // A release that the worker has not heard of yet is no loss.
    let engaged = after([stopped(pipeline(), 7)]);
    let released = release(&engaged, 0, pipeline(), resume("bob", 7)).unwrap().unwrap();
    assert_eq!(merge(&then(engaged, released, "bob"), 0, &held(7)), Ok(Vec::new()));
    // Without anything held only the epoch rises.
    let nothing = Held { engaged: Vec::new(), ..held(7) };
    let raised = merge(&Switches::default(), 0, &nothing).unwrap();
    assert!(matches!(&raised[..], [Event::EpochRaised { epoch: 8, .. }]), "{raised:?}");
}

#[test]
fn a_claim_that_cannot_be_is_refused() {
    let held = |epoch| Held { worker: "w".to_owned(), epoch, engaged: Vec::new() };
    assert!(merge(&Switches::default(), 0, &held(CLAIM_MAX)).is_ok());
    let refused = merge(&Switches::default(), 0, &held(CLAIM_MAX + 1));
    assert_eq!(refused, Err(Refusal::ClaimTooHigh { held: CLAIM_MAX + 1, current: 0 }));
}

/// A service, its store, and a worker that watches it.
#[derive(Debug, Default)]
struct World {
    stored: Switches,
    provisional: Provisional,
    worker: View,
    /// Scopes that somebody has released since the worker last heard.
    released: Vec<Scope>,
    told: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Engage(u8),
    EngageUnstored(u8),
    Release(u8),
    Store,
    /// The store and the service begin anew with nothing, or with what they had `n` events ago.
    Lose,
    Hear,
}

fn scope(number: u8) -> Scope {
    match number % 3 {
        0 => Scope::Global,
        1 => pipeline(),
        _ => Scope::Workspace(id(), Pattern::new("ws-*").unwrap()),
    }
}

impl World {
    fn apply(&mut self, event: Option<Event>) {
        let before = self.stored.epoch;
        event.into_iter().for_each(|event| self.stored.apply(event, "a", Timestamp::EPOCH));
        assert!(self.stored.epoch >= before);
    }

    fn store(&mut self) {
        let kills: Vec<_> = self.provisional.kills().cloned().collect();
        for kill in kills {
            let event = self.provisional.storing(&self.stored, &kill);
            self.apply(event);
            self.provisional.stored(&kill.switch.scope);
        }
        let raise = self.provisional.raising(&self.stored);
        self.apply(raise);
        assert!(self.provisional.is_stored(&self.stored));
    }

    fn release(&mut self, scope: Scope) {
        self.store();
        let seen = self.stored.get(&scope).map_or(0, |known| known.epoch);
        let floor = self.provisional.floor();
        let released = release(&self.stored, floor, scope.clone(), resume("bob", seen)).unwrap();
        if released.is_some() {
            self.released.push(scope);
        }
        self.apply(released);
    }

    /// The worker connects, says what it holds, and is told what is in force.
    fn hear(&mut self) {
        let engaged: Vec<_> = self.worker.engaged().iter().map(|one| one.scope.clone()).collect();
        let held =
            Held { worker: "w".into(), epoch: self.worker.epoch(), engaged: engaged.clone() };
        let floor = self.provisional.floor();
        for event in merge(&self.stored, floor, &held).unwrap() {
            self.apply(Some(event));
        }
        let epoch = self.provisional.epoch(&self.stored);
        assert!(epoch >= self.worker.epoch(), "the worker would refuse it");
        let told = self.provisional.engaged(&self.stored);
        let told = told.map(|one| Engaged { scope: one.scope.clone(), epoch: one.epoch }).collect();
        self.worker.accept(epoch, told, Duration::ZERO);
        for scope in engaged {
            let still = self.worker.engaged().iter().any(|one| one.scope == scope);
            assert!(still || self.released.contains(&scope), "{scope:?} went on by itself");
        }
        self.released.clear();
        self.told = epoch;
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Engage(number) => {
                let floor = self.provisional.floor();
                let event = engage(&self.stored, floor, scope(number), String::new(), false);
                self.apply(event);
            }
            Step::EngageUnstored(number) => {
                let (actor, reason) = (Actor::system("test"), String::new());
                let given = Given { actor, reason, time: Timestamp::EPOCH, revision: 0 };
                let told = self.provisional.epoch(&self.stored);
                let known = self.provisional.get(&scope(number)).is_some();
                let kill = self.provisional.engage(&self.stored, scope(number), given);
                assert!(known || kill.epoch > told);
            }
            Step::Release(number) => self.release(scope(number)),
            Step::Store => self.store(),
            Step::Lose => {
                self.stored = Switches::default();
                self.provisional = Provisional::default();
            }
            Step::Hear => self.hear(),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u8..3).prop_map(Step::Engage),
        (0_u8..3).prop_map(Step::EngageUnstored),
        (0_u8..3).prop_map(Step::Release),
        Just(Step::Store),
        Just(Step::Lose),
        Just(Step::Hear),
        Just(Step::Hear),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nothing_goes_on_but_by_its_release_whatever_is_lost(steps in steps()) {
        let mut world = World::default();
        for step in steps {
            world.take(step);
        }
        world.hear();
        prop_assert_eq!(world.worker.epoch(), world.told);
    }

    #[test]
    fn epochs_only_rise(commands in proptest::collection::vec(any::<(bool, bool)>(), 1..40)) {
        let mut switches = Switches::default();
        for (engaging, global) in commands {
            let scope = if global { Scope::Global } else { pipeline() };
            let before = switches.epoch;
            let seen = switches.get(&scope).map_or(0, |known| known.epoch);
            let event = if engaging {
                engage(&switches, 0, scope, String::new(), false)
            } else {
                release(&switches, 0, scope, resume("a", seen)).unwrap()
            };
            let changes = event.is_some();
            event.into_iter().for_each(|event| switches.apply(event, "a", Timestamp::EPOCH));
            prop_assert_eq!(switches.epoch, before + u64::from(changes));
        }
    }
}
