//! Who may approve what, and on which evidence.

use rollout_core::{Report, Standing, pending_application};
use vocab::Role;

use crate::commands::{approval, paused, resumed, to};
use crate::story::{Command, Story, days, entered, person, started};

/// Ada approves, on what `seen` and `fresh` make of good reports.
fn ada(seen: impl Fn(&mut Report), fresh: impl Fn(&mut Report)) -> impl FnOnce(&Story) -> Command {
    move |story| {
        let (mut one, mut other) = (story.gate_report(&[]), story.gate_report(&[]));
        seen(&mut one);
        fresh(&mut other);
        let role = Role::new("engineering_lead").expect("a role");
        let actor = person("ada", &["engineering_lead"]);
        Command::Approve { actor, role, seen: one, fresh: other }
    }
}

fn good(_: &mut Report) {}

fn worse(report: &mut Report) {
    report.items[0].standing = Standing::Failed;
    report.standing = Standing::Failed;
}

#[test]
fn an_approval_needs_the_role() {
    let posing = |story: &Story| {
        let (seen, fresh) = (story.gate_report(&[]), story.gate_report(&[]));
        let role = Role::new("product_manager").unwrap();
        Command::Approve { actor: person("ada", &["engineering_lead"]), role, seen, fresh }
    };
    started()
        .when(posing)
        .refused("ada does not hold the role product_manager: act as somebody who does");
}

#[test]
fn an_approval_in_a_role_the_gate_does_not_ask_for_is_refused() {
    started()
        .when(approval("cy", "sre_lead"))
        .refused("gate-0 is not approved by sre_lead: it needs engineering_lead, product_manager");
}

#[test]
fn nobody_approves_twice_in_two_roles() {
    let both = |story: &Story| {
        let (seen, fresh) = (story.gate_report(&[]), story.gate_report(&[]));
        let role = Role::new("product_manager").unwrap();
        let actor = person("ada", &["engineering_lead", "product_manager"]);
        Command::Approve { actor, role, seen, fresh }
    };
    started().and(approval("ada", "engineering_lead")).when(both).refused(
        "ada has approved gate-0 as engineering_lead already: every role needs another person",
    );
}

#[test]
fn a_retried_approval_changes_nothing() {
    let story = started().and(approval("ada", "engineering_lead"));
    story.when(approval("ada", "engineering_lead")).changes_nothing();
}

#[test]
fn a_report_of_another_gate_is_refused() {
    let other = |report: &mut Report| report.gate_id = "gate-0".to_owned();
    entered("P1").when(ada(other, good)).refused(
        "the report is of gate-0, and the phase ends at gate-1: approve a report of gate-1",
    );
}

#[test]
fn a_report_of_an_earlier_stay_is_refused() {
    let earlier = |report: &mut Report| report.generation = 2;
    let why = "the report judged generation 2, and the phase was entered in 5: evaluate gate-1 \
               again";
    entered("P1").when(ada(earlier, good)).refused(why);
    entered("P1").when(ada(good, earlier)).refused(why);
}

#[test]
fn a_gate_that_is_not_met_cannot_be_approved() {
    started().when(ada(worse, worse)).refused("gate-0 is not met: gate-0-uploads (as measured)");
    started().when(ada(worse, good)).refused("gate-0 is not met: gate-0-uploads (as measured)");
}

#[test]
fn an_approval_is_refused_where_the_evidence_has_become_worse() {
    started().when(ada(good, worse)).refused(
        "since that report the evidence has become worse: gate-0-uploads (as measured); evaluate \
         gate-0 again",
    );
}

#[test]
fn an_approval_is_refused_where_the_whole_is_not_met_whatever_its_parts_say() {
    let undecided = |report: &mut Report| report.standing = Standing::Inconclusive;
    started().when(ada(good, undecided)).refused("gate-0 is not met: ");
    started().when(ada(undecided, good)).refused("gate-0 is not met: ");
}

#[test]
fn a_gate_that_everybody_approved_is_told_as_passed_and_a_pause_takes_it_back() {
    let passed = |story: &Story| pending_application(story.rollout()).unwrap().passed_gates;
    let story = started().and(approval("ada", "engineering_lead"));
    assert_eq!(passed(&story), Vec::<String>::new());
    let story = story.and(approval("bob", "product_manager"));
    assert_eq!(passed(&story), ["gate-0"]);
    assert_eq!(passed(&story.and(paused)), Vec::<String>::new());
}

#[test]
fn no_approval_survives_a_pause() {
    started().ready().and(paused).and(resumed).after(days(1)).when(to("P1")).refused(
        "phase P1 cannot be entered yet: gate-0 waits for approval by engineering_lead, \
         product_manager",
    );
}

#[test]
fn a_report_from_before_a_pause_is_approved_only_on_evidence_that_still_holds() {
    let story = started().ready().and(paused).and(resumed);
    story.clone().when(ada(good, worse)).refused(
        "since that report the evidence has become worse: gate-0-uploads (as measured); evaluate \
         gate-0 again",
    );
    story.when(ada(good, good)).then();
}
