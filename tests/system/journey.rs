//! The journey every installation must allow: P0 with real uploads, Gate 0, approval, P1.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vocab::Timestamp;

use crate::processes::{Cli, Running, softlaunch};

pub(crate) const FACTOR: u32 = 20_000; // Three days in 13 seconds.
const EVIDENCE: &str = "https://wiki.example.com/evidence";
const LEAD: [&str; 4] = ["--as", "lead", "--holding", "engineering_lead"];
const MANAGER: [&str; 4] = ["--as", "manager", "--holding", "product_manager"];

/// One journey through one installation.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) cli: Cli,
    pub(crate) origin: Timestamp,
    pub(crate) endpoints: Value,
}

fn with<'a>(who: &[&'a str], what: &[&'a str]) -> Vec<&'a str> {
    what.iter().chain(who).copied().collect()
}

impl Journey {
    /// What the demo clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        let real = service_kit::clock::real_now();
        self.origin.plus(real.since(self.origin) * FACTOR)
    }

    fn attest(&self, criterion: &str, role: &str, who: &[&str]) {
        let what = ["rollout", "attest", criterion, "--role", role, "--evidence", EVIDENCE];
        self.cli.ok(&with(who, &what));
    }

    pub(crate) fn report_no_bugs(&self) {
        let at = self.now().to_string();
        self.cli.ok(&["gate", "signal", "open_bugs", "0", "--label", "P1", "--at", &at]);
    }

    /// Starts the rollout: refused first, with the open criteria by name.
    pub(crate) fn start(&self) {
        let refused = self.cli.refused(&with(&LEAD, &["rollout", "start", "--demo"]));
        assert!(refused.contains("p0-dashboard-live"), "{refused}");
        assert!(refused.contains("GATE_NOT_MET"), "{refused}");
        for criterion in [
            "p0-workers-deployed",
            "p0-guardrails-configured",
            "p0-dashboard-live",
            "p0-alerts-active",
        ] {
            self.attest(criterion, "engineering_lead", &LEAD);
        }
        let started = self.cli.json(&with(&LEAD, &["rollout", "start", "--demo"]));
        assert_eq!(
            (&started["phaseId"], &started["state"]),
            (&"P0".into(), &"STATE_RUNNING".into())
        );
    }

    /// Starts the workers; they stay until they are let go.
    pub(crate) fn workers(&self, uploads: u32) -> Vec<Running> {
        let address = |noun: &str| self.endpoints[noun].as_str().expect("an address").to_owned();
        (0..4)
            .map(|place: u32| {
                let mut command = Command::new(softlaunch());
                command.args(["sample-worker", "--stay", "--run", "system", "--workers", "4"]);
                for (name, value) in [
                    ("--worker-id", format!("worker-{place}")),
                    ("--place", place.to_string()),
                    ("--uploads", uploads.to_string()),
                    ("--flag-address", address("flag")),
                    ("--gate-address", address("gate")),
                    ("--killswitch-address", address("killswitch")),
                    ("--demo-origin", self.origin.to_string()),
                    ("--demo-factor", FACTOR.to_string()),
                ] {
                    command.args([name, &value]);
                }
                if place == 0 {
                    command.arg("--outage");
                }
                Running::start(&mut command)
            })
            .collect()
    }

    /// The value of a metric since the phase started.
    pub(crate) fn counted(&self, metric: &str, label: &str) -> u64 {
        let metrics = self.cli.json(&["gate", "metrics"]);
        let found = metrics["metrics"].as_array().expect("a list").iter().find(|one| {
            one["metric"] == metric && one["label"] == label && one["window"] == "since phase start"
        });
        let amount = found.and_then(|one| one["amount"].as_str().map(str::to_owned));
        amount.map_or(0, |amount| amount.parse().expect("a number"))
    }

    /// Everything counted so far, on both paths.
    pub(crate) fn all(&self) -> u64 {
        self.counted("uploads_processed", "") + self.counted("uploads_processed", "legacy")
    }

    /// From the last upload to the kept report that passes; returns its digest.
    pub(crate) async fn gate_0(&self) -> String {
        let drill = self.cli.json(&with(&LEAD, &["kill", "drill"]));
        assert_eq!((&drill["passed"], &drill["workerCount"]), (&true.into(), &4.into()), "{drill}");
        test_kit::eventually("gate 0 to pass", async || {
            self.report_no_bugs();
            self.cli.json(&["gate", "report", "gate-0"])["verdict"] == "VERDICT_PASS"
        })
        .await;
        let invited = ["comms", "send", "canary-invitation", "--reason", "they have been chosen"];
        self.cli.ok(&with(&MANAGER, &invited));
        test_kit::eventually("the canaries to have been told", async || {
            let report = self.cli.json(&["gate", "report", "p1-entry"]);
            let criteria = report["criteria"].as_array().expect("a list");
            criteria.iter().any(|one| {
                one["criterionId"] == "p1-canaries-notified" && one["verdict"] == "VERDICT_PASS"
            })
        })
        .await;
        self.attest("p1-support-channel", "product_manager", &MANAGER);
        self.attest("p1-rollback-documented", "engineering_lead", &LEAD);
        test_kit::eventually("the minimum duration to run out", async || {
            self.cli.json(&["rollout", "status"])["remainingDuration"] == "0s"
        })
        .await;
        self.report_no_bugs();
        let report = self.cli.json(&["gate", "report", "gate-0", "--keep"]);
        assert_eq!(report["verdict"], "VERDICT_PASS", "{report}");
        report["digest"].as_str().expect("a digest").to_owned()
    }

    /// Approves by both roles; the second approval enters P1.
    pub(crate) fn approve_and_advance(&self, digest: &str, last: &Cli) {
        let first = ["rollout", "approve", "--digest", digest, "--role", "engineering_lead"];
        self.cli.ok(&with(&LEAD, &first));
        let early = self.cli.refused(&with(&LEAD, &["rollout", "advance", "P1"]));
        assert!(early.contains("waits for approval by product_manager"), "{early}");
        self.report_no_bugs();
        let second = ["rollout", "approve", "--digest", digest, "--role", "product_manager"];
        let second = [&second[..], &["--advance", "P1"]].concat();
        let advanced = last.json(&with(&MANAGER, &second));
        assert_eq!(advanced["phaseId"], "P1", "{advanced}");
    }

    /// Exactly P1's canaries are on.
    pub(crate) fn canaries_are_on(&self) {
        let asked = ["flag", "evaluate", "canary-ws-1", "canary-ws-2", "internal-test-workspace"];
        let answers = self.cli.json(&asked);
        let on = |index: usize| answers["responses"][index]["enabled"] == true;
        assert!(on(0) && on(1) && !on(2), "{answers}");
    }

    /// Messages that were delivered, by subject.
    pub(crate) async fn told(&self, subject: &str) {
        test_kit::eventually("the message to be delivered", async || {
            let list = self.cli.json(&["comms", "list"]);
            let messages = list["messages"].as_array().cloned().unwrap_or_default();
            let about = |one: &&Value| one["subject"].as_str().is_some_and(|s| s.contains(subject));
            let sent = |one: &&Value| one["state"] == "STATE_SENT";
            messages.iter().filter(about).filter(sent).count() >= 2
        })
        .await;
    }

    /// The whole of it.
    pub(crate) async fn travel(&self, last: &Cli) {
        self.start();
        let mut workers = self.workers(130);
        let patience = tokio::time::Instant::now() + Duration::from_secs(240);
        while self.all() < 130 {
            assert!(tokio::time::Instant::now() < patience, "{} of 130 uploads", self.all());
            assert!(workers.iter_mut().all(Running::runs), "a worker ended early");
        }
        let digest = self.gate_0().await;
        assert!(workers.iter_mut().all(Running::finish), "a worker did not end well");
        self.approve_and_advance(&digest, last);
        self.canaries_are_on();
        self.told("P1 Canary has started").await;
    }
}
