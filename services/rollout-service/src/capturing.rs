//! Writing down how everything stands: for whoever looks into it afterwards.

use std::sync::LazyLock;

use contracts::flag::GetFlagRequest;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::{
    ListGateReportsRequest, ListMetricsRequest, ListTriggersRequest, TriggerKind,
};
use contracts::killswitch::ListKillSwitchesRequest;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use prost::Message;
use rollout_core::Rollout;
use serde_json::{Value, json};
use service_kit::json::Json;
use tonic::{Response, Status};

use crate::app::App;
use crate::convert::timeline_entry;

static JSON: LazyLock<Json> = LazyLock::new(|| Json::new(contracts::DESCRIPTORS));

const ARTIFACT_SIZE_MAX: usize = 512 * 1024; // Of what an event may carry.
const REPORTS: i32 = 10; // The newest of the gate.
const ENTRIES_MAX: usize = 500; // The newest of the journal.
const PAGE: usize = 500;

impl App {
    /// How everything stands, as JSON. What cannot be had is said in its place: a capture never
    /// keeps a rollback from going on.
    pub(crate) async fn capture(&self, rollout: &Rollout) -> (String, Vec<u8>) {
        let parent = rollout.name.clone();
        let mut gate = GateServiceClient::new(self.gate.clone());
        let metrics =
            ListMetricsRequest { parent: parent.clone(), by_platform: true, workspace_count: 20 };
        let metrics = gate.list_metrics(metrics).await;
        let kind = TriggerKind::Unspecified.into();
        let triggers =
            gate.list_triggers(ListTriggersRequest { parent: parent.clone(), kind }).await;
        let end = rollout.end_gate().map_or("", |gate| gate.id);
        let reports = ListGateReportsRequest {
            parent: format!("{parent}/gates/{end}"),
            page_size: REPORTS,
            page_token: String::new(),
        };
        let reports = gate.list_gate_reports(reports).await;
        let mut flags = FlagServiceClient::new(self.flag.clone());
        let name = format!("flags/{}", rollout.plan.plan.flag);
        let flag = flags.get_flag(GetFlagRequest { name }).await;
        let mut kills = KillSwitchServiceClient::new(self.killswitch.clone());
        let switches = kills.list_kill_switches(ListKillSwitchesRequest::default()).await;
        let entries = self.entries(&rollout.name).await;
        let traces = entries.as_ref().map(|entries| traces(entries)).unwrap_or_default();
        let shown = self.public(rollout);
        let bundle = json!({
            "rollout": message("softlaunch.rollout.v1.Rollout", &shown),
            "metrics": section("softlaunch.gate.v1.ListMetricsResponse", metrics),
            "triggers": section("softlaunch.gate.v1.ListTriggersResponse", triggers),
            "gateReports": section("softlaunch.gate.v1.ListGateReportsResponse", reports),
            "flag": section("softlaunch.flag.v1.Flag", flag),
            "killSwitches": section("softlaunch.killswitch.v1.ListKillSwitchesResponse", switches),
            "journal": match entries {
                Ok(entries) => entries.iter()
                    .map(|entry| message("softlaunch.rollout.v1.TimelineEntry", entry)).collect(),
                Err(status) => unavailable(&status),
            },
            "traceIds": traces,
        });
        written(&bundle)
    }

    /// The newest entries of a rollout's timeline, oldest first.
    pub(crate) async fn entries(
        &self,
        rollout: &str,
    ) -> Result<Vec<contracts::rollout::TimelineEntry>, Status> {
        let mut entries = std::collections::VecDeque::new();
        let mut after = 0;
        loop {
            let page = self.replica.records(after, PAGE).await;
            let page = page.map_err(|error| Status::unavailable(error.to_string()))?;
            let Some(last) = page.last() else { return Ok(entries.into()) };
            after = last.version;
            for entry in page.iter().filter_map(|record| timeline_entry(record, rollout)) {
                if entries.len() == ENTRIES_MAX {
                    entries.pop_front();
                }
                entries.push_back(entry);
            }
        }
    }

    /// The timeline as a document.
    pub(crate) async fn write_timeline(
        &self,
        rollout: &Rollout,
    ) -> Result<(String, Vec<u8>), Status> {
        let entries = self.entries(&rollout.name).await?;
        let mut text =
            format!("# Timeline of {}\n\n| when | who | what |\n|---|---|---|\n", rollout.name);
        for entry in &entries {
            let time = service_kit::wire::time_of(entry.occur_time.as_ref());
            let what = entry.text.replace('|', "\\|").replace('\n', " ");
            text.push_str(&format!("| {time} | {} | {what} |\n", entry.actor));
        }
        let detail = format!("{} entries", entries.len());
        Ok((detail, cut(text.into_bytes())))
    }
}

fn message(name: &str, message: &impl Message) -> Value {
    JSON.value(name, message).unwrap_or_else(|why| json!({ "unavailable": why }))
}

fn section<M: Message>(name: &str, answer: Result<Response<M>, Status>) -> Value {
    match answer {
        Ok(answer) => message(name, answer.get_ref()),
        Err(status) => unavailable(&status),
    }
}

fn unavailable(status: &Status) -> Value {
    json!({ "unavailable": format!("{}: {}", status.code(), status.message()) })
}

fn traces(entries: &[contracts::rollout::TimelineEntry]) -> Vec<String> {
    let ids = entries.iter().filter_map(|entry| entry.traceparent.split('-').nth(1));
    let mut ids: Vec<_> = ids.map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The bundle as it is kept. Where it is too large the journal, which is kept anyway, is left out,
/// then everything but the rollout; that is said.
fn written(bundle: &Value) -> (String, Vec<u8>) {
    let mut bundle = bundle.clone();
    let mut left_out = Vec::new();
    loop {
        let bytes = serde_json::to_vec(&bundle).unwrap_or_default();
        let digest = store::Hash::of(&bytes);
        if bytes.len() <= ARTIFACT_SIZE_MAX {
            let cut = if left_out.is_empty() {
                String::new()
            } else {
                format!(", without {}: too large", left_out.join(", "))
            };
            return (format!("{} bytes, sha256 {digest}{cut}", bytes.len()), bytes);
        }
        let largest = ["journal", "metrics", "gateReports", "killSwitches", "flag", "triggers"]
            .into_iter()
            .find(|section| !left_out.contains(section));
        let Some(section) = largest else { return ("too large to keep".to_owned(), Vec::new()) };
        bundle[section] = json!({ "unavailable": "too large" });
        left_out.push(section);
    }
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(ARTIFACT_SIZE_MAX);
    bytes
}
