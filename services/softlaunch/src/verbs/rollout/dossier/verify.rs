//! Whether a dossier is what was written: every file, the hash chain, every report, and that each step
//! rests on reports that are there and were met.

use std::collections::BTreeMap;
use std::path::Path;

use contracts::gate::{GateReport, Verdict};
use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use prost::Message as _;
use store::{Hash, Record};

use super::gather::digests;
use crate::arguments::Output;
use crate::failure::Failure;
use crate::output::say;
use crate::verbs::audit;

/// The file that names all others.
pub(super) const MANIFEST: &str = "manifest.json";
/// The conductor's journal, as `audit export` writes it.
pub(super) const RECORDS: &str = "rollout.jsonl";

/// Verifies the dossier in `dir`, without any service.
pub(crate) fn verify(dir: &Path, output: Output) -> Result<(), Failure> {
    let manifest = read(&dir.join(MANIFEST))?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)
        .map_err(|error| Failure::refused(format!("{MANIFEST}: {error}")))?;
    let mut wrong = Vec::new();
    let files = manifest["files"].as_object().cloned().unwrap_or_default();
    for (name, digest) in &files {
        let found = read(&dir.join(name)).map(|bytes| Hash::of(&bytes).to_string());
        match found {
            Ok(found) if Some(found.as_str()) == digest.as_str() => {}
            Ok(_) => wrong.push(format!("{name}: is not what was written")),
            Err(_) => wrong.push(format!("{name}: is missing")),
        }
    }
    let reports = reports(dir, &files, &mut wrong);
    let records = audit::verified_records(&dir.join(RECORDS))?;
    wrong.extend(records.broken);
    let name = manifest["rollout"].as_str().unwrap_or_default();
    let steps = steps(&records.records, name, &reports, &mut wrong);
    if output == Output::Json {
        say(serde_json::json!({ "valid": wrong.is_empty(), "problems": wrong, "steps": steps }));
    } else {
        wrong.iter().for_each(|one| say(format!("  {one}")));
    }
    if !wrong.is_empty() {
        let count = wrong.len();
        return Err(Failure::refused(format!("{}: {count} things are wrong", dir.display())));
    }
    if output == Output::Table {
        let (count, records) = (files.len(), records.records.len());
        say(format!(
            "{}: {count} files, {records} records and {} reports are what was written; {steps} steps \
             rest on reports that were met",
            dir.display(),
            reports.len()
        ));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::refused(format!("cannot read {}: {error}", path.display())))
}

/// The reports, each with the digest that it has.
fn reports(
    dir: &Path,
    files: &serde_json::Map<String, serde_json::Value>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, GateReport> {
    let mut reports = BTreeMap::new();
    for name in files.keys().filter(|name| name.ends_with(".pb")) {
        let Ok(bytes) = read(&dir.join(name)) else { continue };
        let Ok(report) = GateReport::decode(bytes.as_slice()) else {
            wrong.push(format!("{name}: is no gate report"));
            continue;
        };
        // As the gate service makes it: over the report without its name and digest.
        let bare = GateReport { name: String::new(), digest: String::new(), ..report.clone() };
        let digest = Hash::of(&bare.encode_to_vec()).to_string();
        if digest != report.digest {
            wrong.push(format!("{name}: does not have the digest it says"));
        }
        reports.insert(digest, report);
    }
    reports
}

/// Checks that what raised exposure rests on reports that are there and were met; returns how many
/// steps do.
fn steps(
    records: &[Record],
    rollout: &str,
    reports: &BTreeMap<String, GateReport>,
    wrong: &mut Vec<String>,
) -> usize {
    let mut count = 0;
    for record in records {
        let Ok(event) = pb::RolloutEvent::decode(record.payload.as_slice()) else {
            wrong.push(format!("record {} does not read", record.version));
            continue;
        };
        let Some(kind) = event.kind.filter(|_| event.rollout == rollout) else { continue };
        let resting = digests(&kind);
        for digest in &resting {
            match reports.get(digest) {
                None => wrong
                    .push(format!("record {}: report {digest:.16} is not here", record.version)),
                Some(report) if report.verdict() != Verdict::Pass => wrong
                    .push(format!("record {}: report {digest:.16} was not met", record.version)),
                Some(_) => {}
            }
        }
        if !resting.is_empty() && !matches!(kind, Kind::GateApproved(_)) {
            count += 1;
        }
    }
    count
}
