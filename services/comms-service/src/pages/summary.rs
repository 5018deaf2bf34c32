//! The status page as JSON, in the shape Statuspage gave it (`/api/v2/`).

use contracts::comms::status_update::{Impact, Status};
use serde_json::{Value as Json, json};
use vocab::Timestamp;

use super::published::{Incident, Published};
use crate::channels::status_page::{component_state, impact_name, status_name};

const PAGE: &str = "softlaunch";

/// How all is: an indicator, and what it means.
pub(super) fn overall(published: &Published) -> (&'static str, &'static str) {
    let active = published.incidents.iter().filter(|one| !one.is_over() && !one.test);
    match active.map(|one| severity(one.impact)).max() {
        None | Some(0) => ("none", "All Systems Operational"),
        Some(1) => ("minor", "Partially Degraded Service"),
        Some(2) => ("major", "Partial System Outage"),
        Some(_) => ("critical", "Major System Outage"),
    }
}

/// How a component is: as bad as the worst incident it is part of.
pub(super) fn component(published: &Published, name: &str) -> &'static str {
    let touched = |one: &&Incident| {
        !one.is_over() && !one.test && one.components.iter().any(|part| part == name)
    };
    let worst = published.incidents.iter().filter(touched).map(|one| one.impact);
    worst.max_by_key(|impact| severity(*impact)).map_or("operational", component_state)
}

const fn severity(impact: Impact) -> u8 {
    match impact {
        Impact::None => 0,
        Impact::Unspecified | Impact::Minor => 1,
        Impact::Major => 2,
        Impact::Critical => 3,
    }
}

/// `summary.json`: everything that matters now.
pub(super) fn summary(
    published: &Published,
    title: &str,
    components: &[String],
    base: &str,
) -> Json {
    let active = published.incidents.iter().filter(|one| !one.is_over());
    let (indicator, description) = overall(published);
    json!({
        "page": page(published, title, base),
        "components": listed(published, components),
        "incidents": active.map(|one| incident(one, base)).collect::<Vec<_>>(),
        "scheduled_maintenances": [],
        "status": {"indicator": indicator, "description": description},
    })
}

/// `status.json`: how all is, and nothing else.
pub(super) fn status(published: &Published, title: &str, base: &str) -> Json {
    let (indicator, description) = overall(published);
    json!({
        "page": page(published, title, base),
        "status": {"indicator": indicator, "description": description},
    })
}

/// `incidents.json`, and with `unresolved` only those that are not over.
pub(super) fn incidents(published: &Published, title: &str, base: &str, unresolved: bool) -> Json {
    let wanted = published.incidents.iter().filter(|one| !unresolved || !one.is_over());
    json!({
        "page": page(published, title, base),
        "incidents": wanted.map(|one| incident(one, base)).collect::<Vec<_>>(),
    })
}

fn page(published: &Published, title: &str, base: &str) -> Json {
    let updated = published.incidents.iter().map(Incident::updated).max();
    json!({
        "id": PAGE,
        "name": title,
        "url": base,
        "time_zone": "Etc/UTC",
        "updated_at": updated.unwrap_or(Timestamp::EPOCH).to_string(),
    })
}

fn listed(published: &Published, components: &[String]) -> Vec<Json> {
    let one = |(place, name): (usize, &String)| {
        let touching = published.incidents.iter().find(|one| one.components.contains(name));
        json!({
            "id": name,
            "name": name,
            "status": component(published, name),
            "created_at": Timestamp::EPOCH.to_string(),
            "updated_at": touching.map_or(Timestamp::EPOCH, Incident::updated).to_string(),
            "position": place + 1,
            "description": null,
            "showcase": true,
            "start_date": null,
            "group_id": null,
            "page_id": PAGE,
            "group": false,
            "only_show_if_degraded": false,
        })
    };
    components.iter().enumerate().map(one).collect()
}

fn incident(incident: &Incident, base: &str) -> Json {
    let first = |status: Status| {
        let update = incident.updates.iter().find(|update| update.status == status);
        update.map(|update| update.at.to_string())
    };
    let updates = incident.updates.iter().rev().map(|update| {
        json!({
            "id": update.id,
            "status": status_name(update.status),
            "body": update.text,
            "incident_id": incident.id,
            "created_at": update.at.to_string(),
            "updated_at": update.at.to_string(),
            "display_at": update.at.to_string(),
        })
    });
    json!({
        "id": incident.id,
        "name": incident.title,
        "status": status_name(incident.status),
        "created_at": incident.began().to_string(),
        "updated_at": incident.updated().to_string(),
        "started_at": incident.began().to_string(),
        "monitoring_at": first(Status::Monitoring),
        "resolved_at": incident.is_over().then(|| incident.updated().to_string()),
        "impact": impact_name(incident.impact),
        "shortlink": format!("{base}/status"),
        "page_id": PAGE,
        "components": incident.components.iter().map(|name| json!({"id": name, "name": name})).collect::<Vec<_>>(),
        "incident_updates": updates.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::published::Update;
    use super::*;

    fn incident_of(impact: Impact, status: Status, test: bool) -> Incident {
        let at = Timestamp::from_millis(1_795_719_600_000);
        let update = Update { id: "u".to_owned(), status, text: "text".to_owned(), at };
        Incident {
            id: "i".to_owned(),
            title: "Uploads fail".to_owned(),
            status,
            impact,
            components: vec!["Uploads".to_owned()],
            updates: vec![update],
            test,
        }
    }

    fn with(incidents: Vec<Incident>) -> Published {
        Published { incidents, ..Published::default() }
    }

    #[test]
    fn all_is_as_bad_as_the_worst_that_goes_on_and_a_test_worries_nobody() {
        let active = |impact| incident_of(impact, Status::Identified, false);
        let worst = with(vec![active(Impact::Minor), active(Impact::Critical)]);
        assert_eq!(overall(&worst).0, "critical");
        assert_eq!(component(&worst, "Uploads"), "major_outage");
        assert_eq!(component(&worst, "Exports"), "operational");
        for none in [
            incident_of(Impact::Critical, Status::Resolved, false),
            incident_of(Impact::Critical, Status::Identified, true),
        ] {
            let none = with(vec![none]);
            assert_eq!((overall(&none).0, component(&none, "Uploads")), ("none", "operational"));
        }
    }

    #[test]
    fn what_is_over_is_in_the_history_only() {
        let over = with(vec![incident_of(Impact::Major, Status::Resolved, false)]);
        assert_eq!(incidents(&over, "Status", "", true)["incidents"], json!([]));
        let all = incidents(&over, "Status", "", false);
        assert_eq!(all["incidents"][0]["resolved_at"], "2026-11-26T19:00:00Z");
        assert_eq!(all["incidents"][0]["incident_updates"][0]["status"], "resolved");
    }
}
