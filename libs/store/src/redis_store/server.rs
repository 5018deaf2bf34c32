//! What a server says of itself: its name, its role and its settings.

use std::collections::HashMap;
use std::sync::Arc;

use redis::{InfoDict, RedisError};

use crate::durability::Server;
use crate::error::StoreError;

use super::address::{RedisAddress, Shape};
use super::failure::failed;
use super::link::Live;

const OLDEST: (u32, u32) = (7, 0);
const FIRST_WITH_WAITAOF: (u32, u32) = (7, 2); // Of Redis; every Valkey says 7.2 or later.

/// Asks the server at the end of `live` what it is, and refuses one that `address` is not for.
pub(super) async fn inspect(
    live: &Arc<Live>,
    address: &RedisAddress,
) -> Result<Server, StoreError> {
    let mut connection = live.connection.clone();
    let info: InfoDict = redis::cmd("INFO").query_async(&mut connection).await.map_err(failed)?;
    check_place(&info, live, address)?;
    let speaks: String = info.get("redis_version").unwrap_or_default();
    let speaks_version = version(&speaks);
    if speaks_version.is_some_and(|version| version < OLDEST) {
        return Err(StoreError::Settings(format!(
            "Redis {speaks} is too old: expected {}.{} or later",
            OLDEST.0, OLDEST.1
        )));
    }
    let name = match info.get::<String>("valkey_version") {
        Some(version) => format!("valkey {version}"),
        None => format!("redis {speaks}"),
    };
    let mut asking = redis::cmd("CONFIG");
    asking.arg("GET").arg("append*").arg("no-appendfsync-on-rewrite").arg("maxmemory-policy");
    let settings = match asking.query_async::<HashMap<String, String>>(&mut connection).await {
        Ok(found) => Ok(found),
        Err(error) => Err(untold(error)?),
    };
    let mut told = settings.clone().unwrap_or_default();
    for (setting, field) in
        [("maxmemory-policy", "maxmemory_policy"), ("appendonly", "aof_enabled")]
    {
        if let (false, Some(found)) = (told.contains_key(setting), info.get::<String>(field)) {
            let found = match found.as_str() {
                "0" => "no".to_owned(),
                "1" => "yes".to_owned(),
                _ => found,
            };
            told.insert(setting.to_owned(), found);
        }
    }
    Ok(Server {
        name,
        place: live.host.to_string(),
        settings: told,
        untold: settings.err().unwrap_or_else(|| "not told".to_owned()),
        has_waitaof: speaks_version.is_some_and(|version| version >= FIRST_WITH_WAITAOF),
        replicas: replicas(&info),
        fails_over: match address.shape {
            Shape::Single => None,
            Shape::Sentinel(_) => Some("Sentinel"),
            Shape::Cluster => Some("the cluster"),
        },
    })
}

/// Why a server does not tell its settings: a hosted one may know no `CONFIG`, or forbid it.
fn untold(error: RedisError) -> Result<String, StoreError> {
    let is_unknown = error.to_string().contains("unknown command");
    let failure = failed(error);
    if let StoreError::Settings(why) = failure {
        return Ok(why);
    }
    if is_unknown { Ok(failure.to_string()) } else { Err(failure) }
}

/// Refuses a server that is there and not what the URL takes it for.
fn check_place(info: &InfoDict, live: &Live, address: &RedisAddress) -> Result<(), StoreError> {
    let (host, scheme) = (&live.host, address.scheme());
    let mode: Option<String> = info.get("redis_mode").or_else(|| info.get("server_mode"));
    let wrong = match (mode.as_deref(), &address.shape) {
        (Some("sentinel"), _) => {
            format!("{host} is a sentinel: expected {scheme}+sentinel://{host}/NAME_OF_PRIMARY")
        }
        (Some("cluster"), Shape::Single | Shape::Sentinel(_)) => {
            format!("{host} is a node of a cluster: expected {scheme}+cluster://{host}")
        }
        _ => match (info.get::<String>("role").as_deref(), info.get::<String>("master_host")) {
            (Some("slave"), Some(primary)) => {
                let port: String = info.get("master_port").unwrap_or_default();
                let right = format!("{scheme}://{primary}:{port}");
                format!("{host} is a replica: expected its primary, {right}, or sentinels")
            }
            _ => return Ok(()),
        },
    };
    Err(StoreError::Settings(wrong))
}

/// How many replicas are connected and up to date.
fn replicas(info: &InfoDict) -> usize {
    let known: usize = info.get("connected_slaves").unwrap_or_default();
    let is_online = |at: &usize| {
        info.get::<String>(&format!("slave{at}")).is_some_and(|text| text.contains("state=online"))
    };
    (0..known).filter(is_online).count()
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next().flatten().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_count_once_they_are_online() {
        let info = InfoDict::new(
            "connected_slaves:2\r\nslave0:ip=a,port=1,state=online,offset=1\r\n\
             slave1:ip=b,state=wait_bgsave\r\n",
        );
        assert_eq!(replicas(&info), 1);
        assert_eq!(replicas(&InfoDict::new("")), 0);
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(version("7.0.15") < version("7.2.4") && version("7.2.4") < version("10.0"));
        assert_eq!(version("8"), Some((8, 0)));
        assert_eq!(version("unstable"), None);
    }
}
