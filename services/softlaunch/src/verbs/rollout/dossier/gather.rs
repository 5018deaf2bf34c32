//! Everything a dossier rests on, as the services tell it.

use std::collections::{BTreeMap, BTreeSet};

use contracts::gate::{GateReport, GetGateReportRequest};
use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use plan::Plan;
use prost::Message as _;
use store::Record;

use super::super::{get, more};
use crate::connect::Connection;
use crate::failure::Failure;

/// What is known of a rollout.
pub(super) struct Gathered {
    pub(super) rollout: pb::Rollout,
    pub(super) version: pb::PlanVersion,
    pub(super) plan: Plan,
    /// The conductor's whole journal, with its hash chain.
    pub(super) records: Vec<Record>,
    /// What happened to this rollout.
    pub(super) happened: Vec<Happened>,
    pub(super) timeline: Vec<pb::TimelineEntry>,
    /// The gate reports that decisions rest on, by digest.
    pub(super) reports: BTreeMap<String, GateReport>,
}

/// Something that happened to the rollout.
pub(super) struct Happened {
    pub(super) record: Record,
    pub(super) kind: Kind,
}

pub(super) async fn gather(connection: &Connection, name: &str) -> Result<Gathered, Failure> {
    let rollout = get(connection, name).await?;
    let request = pb::GetPlanVersionRequest { name: rollout.plan_version.clone() };
    let version = connection.rollouts()?.get_plan_version(request).await?.into_inner();
    let text = String::from_utf8_lossy(&version.source).into_owned();
    let (plan, _) = Plan::parse(&text)
        .map_err(|_e| Failure::refused(format!("{} does not read", rollout.plan_version)))?;
    let records = records(connection).await?;
    let happened = happened(&records, name, &rollout.plan_version)?;
    let reports = reports(connection, name, &happened).await?;
    let timeline = more::entries(connection, name).await?;
    Ok(Gathered { rollout, version, plan, records, happened, timeline, reports })
}

/// The journal, from its beginning.
async fn records(connection: &Connection) -> Result<Vec<Record>, Failure> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map_or(0, |last| last.version);
        let after_revision = i64::try_from(after).unwrap_or(i64::MAX);
        let request = pb::ListRecordsRequest { after_revision, page_size: 0 };
        let page = connection.rollouts()?.list_records(request).await?.into_inner().records;
        if page.is_empty() {
            return Ok(records);
        }
        for bytes in page {
            let record = Record::decode(&bytes);
            records.push(record.map_err(|error| Failure::refused(error.to_string()))?);
        }
    }
}

fn happened(records: &[Record], name: &str, plan: &str) -> Result<Vec<Happened>, Failure> {
    let mut happened = Vec::new();
    for record in records {
        let event = pb::RolloutEvent::decode(record.payload.as_slice());
        let event = event.map_err(|error| {
            Failure::refused(format!("record {} does not read: {error}", record.version))
        })?;
        let of_plan = matches!(&event.kind, Some(Kind::PlanApproved(one)) if one.name == plan);
        if let Some(kind) = event.kind.filter(|_| event.rollout == name || of_plan) {
            happened.push(Happened { record: record.clone(), kind });
        }
    }
    Ok(happened)
}

async fn reports(
    connection: &Connection,
    name: &str,
    happened: &[Happened],
) -> Result<BTreeMap<String, GateReport>, Failure> {
    let digests: BTreeSet<String> = happened.iter().flat_map(|one| digests(&one.kind)).collect();
    let mut reports = BTreeMap::new();
    for digest in digests {
        let request = GetGateReportRequest { name: name.to_owned(), digest: digest.clone() };
        let report = connection.gates()?.get_gate_report(request).await?.into_inner();
        reports.insert(digest, report);
    }
    Ok(reports)
}

/// The gate reports that an event rests on.
pub(super) fn digests(kind: &Kind) -> Vec<String> {
    if let Kind::PhaseEntered(entered) = kind {
        return entered.report_digests.clone();
    }
    if let Kind::GaDeclared(declared) = kind {
        return declared.report_digests.clone();
    }
    if let Kind::GateApproved(approved) = kind {
        return vec![approved.report_digest.clone()];
    }
    if let Kind::GaAnnounced(announced) = kind {
        return vec![announced.report_digest.clone()];
    }
    Vec::new()
}
