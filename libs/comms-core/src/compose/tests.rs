use super::*;
use crate::IncidentStatus;

fn shipped() -> Plan {
    Plan::parse(plan::SHIPPED).expect("the shipped plan is valid").0
}

/// A rollout of the shipped plan, and what was told of it.
struct Story {
    plan: Plan,
    standing: Standing,
    revision: u64,
}

impl Story {
    fn new() -> Self {
        Self { plan: shipped(), standing: Standing::default(), revision: 0 }
    }

    fn within(phase: &str) -> Self {
        let mut story = Self::new();
        story.enter(phase, false);
        story
    }

    fn at(&mut self, time: Timestamp, news: &News) -> Told {
        self.revision += 1;
        let source = format!("rollout-{}.r", self.revision);
        let context = Context {
            plan: &self.plan,
            rollout: "r",
            source: &source,
            revision: self.revision,
            actor: "ada",
            time,
            affected: None,
        };
        let told = tell(&context, &self.standing, news);
        self.standing = told.standing.clone();
        told
    }

    fn enter(&mut self, phase: &str, again: bool) -> Told {
        let phase = PhaseId::new(phase).unwrap();
        let news = News::PhaseStarted { phase, exposure: vocab::BasisPoints::ZERO, again };
        self.at(Timestamp::EPOCH, &news)
    }

    fn tell(&mut self, news: &News) -> Told {
        self.at(Timestamp::EPOCH, news)
    }
}

impl Told {
    fn events(&self) -> Vec<&str> {
        self.communications.iter().map(|one| one.event.as_str()).collect()
    }

    fn messages(&self, kind: ChannelKind) -> Vec<&NewMessage> {
        let all = self.communications.iter().flat_map(|one| &one.messages);
        all.filter(|one| one.kind == kind).collect()
    }
}

fn paused() -> News {
    News::RolloutPaused { reason: "look".into(), global: false, trigger: String::new() }
}

fn rolled_back() -> News {
    let (from, to, reason) = ("P2".to_owned(), "P1".to_owned(), "bad".to_owned());
    News::RollbackStarted { from, to, reason }
}

#[test]
fn a_phase_start_is_told_in_slack_and_by_mail() {
    let told = Story::new().enter("P1", false);
    assert_eq!(told.events(), ["phase-start", "gate-review"]);
    let slack = told.messages(ChannelKind::Slack)[0];
    assert_eq!(slack.destination, "#engineering");
    assert_eq!(slack.subject, "ingestion_v2: P1 Canary has started");
    assert_eq!(told.messages(ChannelKind::Mail)[0].destination, "engineering@example.com");
}

#[test]
fn a_kill_is_an_incident_says_why_and_is_on_the_status_page() {
    let news = News::KillSwitchEngaged { scope: "everything".into(), reason: "bad data".into() };
    let told = Story::within("P2").tell(&news);
    assert_eq!(told.events(), ["incident", "client-incident"]);
    let slack = told.messages(ChannelKind::Slack)[0];
    assert_eq!(slack.destination, "#incidents");
    assert!(slack.body.contains("Reason: bad data"), "{}", slack.body);
    assert_eq!(slack.thread, "incident-rollout-2.r");
}

#[test]
fn a_pause_that_clients_do_not_feel_is_not_on_the_status_page() {
    assert_eq!(Story::within("P2").tell(&paused()).events(), ["incident"]);
    let felt = News::RolloutPaused {
        reason: "errors".into(),
        global: false,
        trigger: "error-rate-over-10".into(),
    };
    assert_eq!(Story::within("P2").tell(&felt).events(), ["incident", "client-incident"]);
}

#[test]
fn the_status_page_follows_an_incident_to_its_end() {
    let mut story = Story::within("P2");
    let step = |step: &str| News::RollbackStepDone { step: step.into(), detail: "done".into() };
    let status = |told: &Told| {
        let message = told.messages(ChannelKind::StatusPage)[0];
        let Content::StatusUpdate { incident, status, .. } = &message.content else {
            panic!("{message:?}")
        };
        (incident.clone(), *status)
    };
    let (incident, first) = status(&story.tell(&rolled_back()));
    assert_eq!(first, IncidentStatus::Investigating);
    assert_eq!(story.tell(&step("capture-state")).events(), Vec::<&str>::new());
    assert_eq!(status(&story.tell(&step("investigate-root-cause"))).1, IncidentStatus::Identified);
    assert_eq!(status(&story.tell(&step("fix-and-verify"))).1, IncidentStatus::Monitoring);
    let resumed = News::RolloutResumed { reason: "verified".into() };
    assert_eq!(status(&story.tell(&resumed)), (incident, IncidentStatus::Resolved));
}

#[test]
fn a_rollback_is_told_to_clients_one_by_one_and_overtakes_what_was_to_be_said() {
    let mut story = Story::within("P2");
    let told = story.tell(&rolled_back());
    assert!(told.overtaken.unwrap().contains("P2 was left"));
    let notice = told.communications.iter().find(|one| one.event == "rollback-notice").unwrap();
    let mails: Vec<_> = notice
        .messages
        .iter()
        .filter(|one| one.kind == ChannelKind::Mail)
        .map(|one| one.destination.as_str())
        .collect();
    assert_eq!(mails.len(), 3, "{mails:?}");
}

#[test]
fn only_clients_with_uploads_are_told_where_that_is_known() {
    let story = Story::within("P2");
    let workspaces = [WorkspaceId::new("canary-ws-1").unwrap()];
    let context = Context {
        plan: &story.plan,
        rollout: "r",
        source: "s",
        revision: 9,
        actor: "ada",
        time: Timestamp::EPOCH,
        affected: Some(&workspaces),
    };
    let told = tell(&context, &story.standing, &rolled_back());
    let mails = told.messages(ChannelKind::Mail);
    let of = |address: &str| mails.iter().any(|one| one.destination == address);
    assert!(of("canary-1@clients.example.com"), "{mails:?}");
    assert!(!of("canary-2@clients.example.com"), "{mails:?}");
}

#[test]
fn canaries_are_invited_once_the_gate_before_is_approved_by_all() {
    let mut story = Story::within("P0");
    let approved = |role: &str| News::GateApproved { role: role.into() };
    assert_eq!(story.tell(&approved("engineering_lead")).events(), Vec::<&str>::new());
    let told = story.tell(&approved("product_manager"));
    assert_eq!(told.events(), ["canary-invitation"]);
    let to: Vec<_> =
        told.messages(ChannelKind::Mail).iter().map(|one| one.destination.clone()).collect();
    assert_eq!(to, ["canary-1@clients.example.com", "canary-2@clients.example.com"]);
    assert!(told.messages(ChannelKind::Mail)[0].body.contains("Canary"));
    assert_eq!(story.tell(&approved("product_manager")).events(), Vec::<&str>::new(), "once");
    let mut later = Story::within("P1");
    later.tell(&approved("engineering_lead"));
    assert_eq!(later.tell(&approved("product_manager")).events(), Vec::<&str>::new());
}

#[test]
fn a_banner_is_withdrawn_on_rollback_and_shown_again_in_its_phase() {
    let mut story = Story::new();
    let withdrawn = |told: &Told| match told.messages(ChannelKind::Banner).first() {
        Some(NewMessage { content: Content::Banner { withdrawn, .. }, .. }) => Some(*withdrawn),
        _ => None,
    };
    assert_eq!(withdrawn(&story.enter("P1", false)), None);
    assert_eq!(withdrawn(&story.enter("P2", false)), Some(false));
    assert_eq!(withdrawn(&story.tell(&rolled_back())), Some(true));
    assert_eq!(withdrawn(&story.enter("P2", true)), Some(false));
    assert_eq!(withdrawn(&story.enter("P4", false)), Some(true), "the beta is over");
}

#[test]
fn a_review_is_arranged_moved_by_a_pause_and_called_off_by_a_rollback() {
    let mut story = Story::new();
    let meeting = |told: &Told| {
        let message = told.messages(ChannelKind::Meeting)[0];
        let Content::Meeting(meeting) = &message.content else { panic!("{message:?}") };
        meeting.clone()
    };
    let day = Duration::from_secs(24 * 3_600);
    let first = meeting(&story.enter("P2", false));
    assert_eq!((first.sequence, first.start), (0, Timestamp::EPOCH.plus(7 * day)));
    assert_eq!(first.attendees.len(), 2);
    story.tell(&paused());
    let resumed = News::RolloutResumed { reason: "found".into() };
    let moved = meeting(&story.at(Timestamp::EPOCH.plus(day), &resumed));
    assert_eq!((moved.sequence, moved.start), (1, Timestamp::EPOCH.plus(8 * day)));
    assert_eq!(moved.uid, first.uid);
    let off = meeting(&story.tell(&rolled_back()));
    assert_eq!((off.sequence, off.cancelled, &off.uid), (2, true, &first.uid));
}

#[test]
fn an_advisory_says_concern_and_action() {
    let news = News::WatchedChanged {
        id: "staging-growth".into(),
        trigger: false,
        firing: true,
        title: "Staging growth".into(),
        evidence: "2000".into(),
        acted: false,
    };
    let told = Story::within("P2").tell(&news);
    let body = &told.messages(ChannelKind::Slack)[0].body;
    assert!(body.contains("Concern: Cleanup not running\nAction: Check CleanupWorker"), "{body}");
}

#[test]
fn a_threshold_says_that_what_must_hold_does_not() {
    let news = News::WatchedChanged {
        id: "circuit-breaker-events-p0".into(),
        trigger: false,
        firing: true,
        title: "circuit_breaker_events = 0 over 1d".into(),
        evidence: "1".into(),
        acted: false,
    };
    let told = Story::within("P2").tell(&news);
    let subject = &told.messages(ChannelKind::Slack)[0].subject;
    assert_eq!(subject, "ingestion_v2: not met: circuit_breaker_events = 0 over 1d");
}

#[test]
fn an_archive_closes_the_channel() {
    let told = Story::within("P4").tell(&News::RolloutArchived { reason: "done".into() });
    let message = told.messages(ChannelKind::Slack)[0];
    assert_eq!(message.destination, "#rollout-ingestion-v2");
    assert_eq!(message.content, Content::ChannelArchive);
}

#[test]
fn an_audience_without_addresses_is_said_and_never_complete() {
    let source = plan::SHIPPED.replace("contacts: [everybody]", "contacts: []");
    let mut story = Story::within("P4");
    story.plan = Plan::parse(&source).expect("valid").0;
    let told = story.tell(&News::GaDeclared);
    assert_eq!(told.communications[0].lacking, ["mail: nobody in the audience has an address"]);
}

#[test]
fn ids_are_stable_and_distinct() {
    let ids = || {
        let told = Story::within("P2").tell(&rolled_back());
        let all = told.communications.iter().flat_map(|one| &one.messages);
        all.map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(), ids());
    let distinct: std::collections::BTreeSet<_> = ids().into_iter().collect();
    assert_eq!(distinct.len(), ids().len());
}

#[test]
fn a_reminder_that_nobody_acknowledges_goes_to_those_on_call() {
    let mut story = Story::within("P1");
    story.tell(&News::ReviewDue { number: 1 });
    let told = story.tell(&News::ReviewUnanswered { number: 1 });
    assert_eq!(told.messages(ChannelKind::Mail)[0].destination, "on-call@example.com");
}
