//! What a service says of itself and of its store.

use std::time::Duration;

use credentials::Credentials;
use service_kit::clock::real_now;
use service_kit::peers::channel;
use service_kit::status::{
    CERTIFICATE_KEY, CLOCK_KEY, DURABILITY_KEY, ERROR_KEY, FACT_KEY, JOURNAL_KEY, PEER_KEY, STORE,
    VERSION_KEY,
};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use vocab::Timestamp;

use super::{Check, Verdict, durability};

pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const PEER: &str = "peer";
const CERTIFICATE: &str = "certificate";
const STORE_ANSWERS: &str = "a store that answers: commands are refused until it does";
/// Beyond it something is wrong with a clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// Beyond it reports of workers are refused.
const CLOCK_APART_MAX: Duration = Duration::from_secs(60);
/// Renewing one takes people, and they have other things to do.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Checks one service; what cannot be reached is not checked further.
pub(super) async fn check(noun: &str, address: &str, credentials: &Credentials) -> Vec<Check> {
    let unreachable = |why: String| {
        let right = format!("a service at {address}: start it, or name another with --endpoints");
        vec![Check::new(noun, "reachable", Verdict::Failure, why, right)]
    };
    let mut health = match channel(noun, address, credentials, TIMEOUT) {
        Ok(channel) => HealthClient::new(channel),
        Err(error) => return unreachable(error.to_string()),
    };
    let server = match ask(&mut health, "").await {
        Ok((status, _)) => status,
        Err(status) => return unreachable(words(&status)),
    };
    let mut checks = vec![Check::ok(noun, "reachable", address), serving(noun, server)];
    match ask(&mut health, STORE).await {
        Ok((status, metadata)) => checks.extend(of_store(noun, status, &metadata)),
        Err(status) if status.code() == Code::NotFound => {
            let right = "a service of this release: an older one does not tell";
            checks.push(Check::new(noun, "store", Verdict::Warning, "does not tell", right));
        }
        Err(status) => {
            let right = "an answer about its store";
            checks.push(Check::new(noun, "store", Verdict::Failure, words(&status), right));
        }
    }
    checks
}

type Client = HealthClient<tonic::transport::Channel>;

async fn ask(health: &mut Client, service: &str) -> Result<(ServingStatus, MetadataMap), Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let (metadata, answer, _) = health.check(request).await?.into_parts();
    Ok((answer.status(), metadata))
}

pub(super) fn words(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = error.to_string(); // The last one says what happened.
        cause = error.source();
    }
    if text.is_empty() { format!("{:?}", status.code()) } else { text }
}

fn serving(noun: &str, status: ServingStatus) -> Check {
    let found = status.as_str_name();
    if status == ServingStatus::Serving {
        return Check::ok(noun, "health", found);
    }
    Check::new(noun, "health", Verdict::Failure, found, "SERVING")
}

fn of_store(noun: &str, status: ServingStatus, metadata: &MetadataMap) -> Vec<Check> {
    let all = |key: &str| {
        let values = metadata.get_all(key).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let told = all(CLOCK_KEY);
    let mut checks = vec![
        version(noun, all(VERSION_KEY).first()),
        clock(noun, told.first().map_or("", String::as_str), real_now()),
    ];
    checks.push(match all(ERROR_KEY).into_iter().next() {
        None => Check::ok(noun, "store", "it answers"),
        Some(why) => Check::new(noun, "store", Verdict::Failure, why, STORE_ANSWERS),
    });
    let level = all(DURABILITY_KEY).into_iter().next().unwrap_or_default();
    checks.push(durability(noun, &level, &all(FACT_KEY).join(", ")));
    let journals = all(JOURNAL_KEY);
    checks.extend(journals.iter().map(|told| journal(noun, told)));
    checks.extend(all(PEER_KEY).iter().map(|told| peer(noun, told)));
    checks.extend(all(CERTIFICATE_KEY).iter().map(|told| certificate(noun, told, real_now())));
    let said = checks.iter().any(|one| one.verdict == Verdict::Failure);
    if status != ServingStatus::Serving && !said {
        let found = status.as_str_name();
        checks.push(Check::new(noun, "store", Verdict::Failure, found, "SERVING"));
    }
    checks
}

fn version(noun: &str, found: Option<&String>) -> Check {
    let found = found.map_or("not told", String::as_str);
    if found == OURS {
        return Check::ok(noun, "version", found);
    }
    let right = format!("{OURS}, as this command line");
    Check::new(noun, "version", Verdict::Warning, found, right)
}

/// Clocks may differ by as much as the gate service puts up with; what is asked here takes a part
/// of the tolerance.
fn clock(noun: &str, told: &str, now: Timestamp) -> Check {
    let Ok(there) = Timestamp::parse(told) else {
        let right = "a service of this release: an older one does not tell";
        return Check::new(noun, "clock", Verdict::Warning, "not told", right);
    };
    let apart = there.since(now).max(now.since(there));
    if apart <= CLOCK_TOLERANCE {
        return Check::ok(noun, "clock", told);
    }
    let verdict = if apart > CLOCK_APART_MAX { Verdict::Failure } else { Verdict::Warning };
    let found = format!("{told}, and here it is {now}");
    let right = "clocks that agree: what is more than 60 s ahead is refused as of the future";
    Check::new(noun, "clock", verdict, found, right)
}

/// Until when the certificate is good; a service that is open has none, and says nothing.
fn certificate(noun: &str, told: &str, now: Timestamp) -> Check {
    const RIGHT: &str = "another one in its place: it is read without a restart";
    let verdict = match Timestamp::parse(told) {
        Ok(expires) if expires > now.plus(SOON) => {
            return Check::ok(noun, CERTIFICATE, format!("good until {told}"));
        }
        Ok(expires) if expires > now => Verdict::Warning,
        Ok(_) | Err(_) => Verdict::Failure,
    };
    Check::new(noun, CERTIFICATE, verdict, format!("ends {told}"), RIGHT)
}

/// Reads `NAME ok` or `NAME WHY`.
fn peer(noun: &str, told: &str) -> Check {
    match told.split_once(' ') {
        Some((name, "ok")) => Check::ok(noun, PEER, format!("{name} answers it")),
        _ => {
            let right = "an answer to it: look at [peers] of its settings, and at the network";
            Check::new(noun, PEER, Verdict::Failure, told, right)
        }
    }
}

/// Reads `NAME following`, `NAME stale: WHY` or `NAME data-lost: WHY`.
fn journal(noun: &str, told: &str) -> Check {
    let right = match told.split_once(' ') {
        Some((_, "following")) => return Check::ok(noun, "journal", told),
        Some((_, rest)) if rest.starts_with("data-lost") => {
            "the records that were acknowledged: restore the store from a copy that has them, \
             compare with `softlaunch audit verify`, then restart the service"
        }
        _ => STORE_ANSWERS,
    };
    Check::new(noun, "journal", Verdict::Failure, told, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_warned_of_and_one_that_has_ended_fails() {
        let now = Timestamp::parse("2026-01-10T12:00:00Z").unwrap();
        let verdict = |told| certificate("flag", told, now).verdict;
        assert_eq!(verdict("2026-01-24T12:00:01Z"), Verdict::Ok);
        assert_eq!(verdict("2026-01-24T12:00:00Z"), Verdict::Warning);
        assert_eq!(verdict("2026-01-10T12:00:00Z"), Verdict::Failure);
        assert_eq!(verdict("soon"), Verdict::Failure);
    }

    #[test]
    fn a_service_that_does_not_answer_another_fails_it_by_name() {
        assert_eq!(peer("flag", "killswitch ok").verdict, Verdict::Ok);
        let lost = peer("flag", "killswitch Connection refused (os error 111)");
        assert_eq!(lost.verdict, Verdict::Failure);
        assert!(lost.found.starts_with("killswitch Connection"), "{}", lost.found);
    }

    #[test]
    fn a_journal_that_is_stale_or_lost_data_fails_and_says_what_to_do() {
        assert_eq!(journal("flag", "flag following").verdict, Verdict::Ok);
        let stale = journal("flag", "flag stale: store unavailable: refused");
        assert_eq!(stale.verdict, Verdict::Failure);
        assert!(stale.right.contains("a store that answers"), "{}", stale.right);
        let lost = journal("flag", "flag data-lost: stream flag is at version 1");
        assert!(lost.right.contains("restore the store"), "{}", lost.right);
        assert_eq!(journal("flag", "").verdict, Verdict::Failure);
    }

    #[test]
    fn a_clock_that_is_off_is_warned_of_and_one_that_is_far_off_fails() {
        let now = Timestamp::parse("2026-01-10T12:00:00Z").unwrap();
        let verdict = |told| clock("flag", told, now).verdict;
        assert_eq!(verdict("2026-01-10T12:00:04.500Z"), Verdict::Ok);
        assert_eq!(verdict("2026-01-10T11:59:56Z"), Verdict::Ok);
        assert_eq!(verdict("2026-01-10T11:59:30Z"), Verdict::Warning);
        assert_eq!(verdict("2026-01-10T12:01:01Z"), Verdict::Failure);
        assert_eq!(verdict(""), Verdict::Warning);
    }

    #[test]
    fn a_store_that_says_not_serving_without_a_reason_fails_all_the_same() {
        let checks = of_store("flag", ServingStatus::NotServing, &MetadataMap::new());
        assert!(checks.iter().any(|one| one.verdict == Verdict::Failure), "{checks:?}");
        let version = checks.iter().find(|one| one.check == "version").unwrap();
        assert_eq!((version.verdict, version.found.as_str()), (Verdict::Warning, "not told"));
    }
}
