//! `softlaunch gate incident`: declares and resolves incidents.

use contracts::gate as pb;
use contracts::gate::incident::{Kind as IncidentKind, State};
use contracts::gate::signal::Kind;
use service_kit::clock::real_now;
use service_kit::wire::wire_time;

use crate::arguments::GateVerb;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::say;

fn read_kind(name: &str) -> Result<IncidentKind, Failure> {
    IncidentKind::from_str_name(&format!("KIND_{}", name.to_uppercase()))
        .filter(|kind| *kind != IncidentKind::Unspecified)
        .ok_or_else(|| {
            Failure::usage(format!(
                "`{}` is not a kind of incident: expected p1, p2, data_integrity, \
                 data_corruption or client_reported_data_loss",
                vocab::excerpt(name)
            ))
        })
}

pub(super) async fn run(verb: &GateVerb, connection: &Connection) -> Result<(), Failure> {
    let GateVerb::Incident { incident, kind, resolved, title, client_facing, pipeline } = verb
    else {
        return Ok(());
    };
    let kind = kind.as_deref().map_or(Ok(IncidentKind::Unspecified), read_kind)?;
    let state = if *resolved { State::Resolved } else { State::Declared };
    let told = pb::Incident {
        incident_id: incident.clone(),
        kind: kind.into(),
        state: state.into(),
        title: title.clone(),
        client_facing: *client_facing,
    };
    let request = pb::ReportSignalsRequest {
        pipeline: pipeline.clone(),
        batch_id: uuid::Uuid::new_v4().to_string(),
        signals: vec![pb::Signal {
            occur_time: Some(wire_time(real_now())),
            kind: Some(Kind::Incident(told)),
        }],
    };
    connection.signals()?.report_signals(request).await?;
    let done = if *resolved { "resolved" } else { "declared" };
    say(format!("{incident} is {done}: see `softlaunch gate triggers`"));
    Ok(())
}
