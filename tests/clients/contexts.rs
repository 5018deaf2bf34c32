//! Who asks: workspaces usual and unusual, with attributes present, absent and of the wrong type.

use serde_json::{Map, Value as Json, json};

/// How many contexts every provider is asked about.
pub(crate) const CONTEXTS: usize = 2_400;

const PLATFORMS: [&str; 5] = ["ios", "android", "web", "windows", "größe"];
const TIERS: [&str; 4] = ["gold", "silver", "free", ""];
const VERSIONS: [&str; 8] =
    ["1.2.3", "2.0.0", "2.0.0-rc.1", "2.4.1+build.7", "3.0.0", "v2.5.0", "10.0.0", "not a version"];
const EMAILS: [&str; 4] = ["ada@example.com", "bob@example.org", "日本@example.com", "@"];

/// A key of every shape that a caller might send.
fn key(at: usize) -> Option<String> {
    Some(match at % 16 {
        0 => format!("internal-{at}"),
        1 => format!("eu-{at}-prod"),
        2 => format!("team.{at}:canary"),
        3 => format!("acme_{at}@2"),
        4 => format!("{at:x>128}"),
        5 => format!("größe-{at}-日本"),
        6 => format!("some one {at}@example.com"),
        7 => format!("{at:x>700}"),
        8 => format!("internal-\u{1f680}{at}\n\"*"),
        9 if at.is_multiple_of(5) => String::new(),
        9 if at % 5 == 1 => return None,
        _ => format!("ws-{at}"),
    })
}

/// The context of that number, always the same.
pub(crate) fn context(at: usize) -> Json {
    let mut fields = Map::new();
    if let Some(key) = key(at) {
        fields.insert("targetingKey".to_owned(), key.into());
    }
    let mut say = |name: &str, value: Json| fields.insert(name.to_owned(), value);
    // Every divisor is another prime, so that all combinations occur.
    if !at.is_multiple_of(3) {
        say("platform", PLATFORMS[at / 3 % PLATFORMS.len()].into());
    }
    if !at.is_multiple_of(7) {
        say("tier", TIERS[at / 7 % TIERS.len()].into());
    }
    match at % 11 {
        0 => {}
        1 => _ = say("version", 2.into()),
        _ => _ = say("version", VERSIONS[at / 11 % VERSIONS.len()].into()),
    }
    match at % 13 {
        0 => {}
        1 => _ = say("seats", "many".into()),
        2 => _ = say("seats", json!(99.5)),
        _ => _ = say("seats", json!(at % 200)),
    }
    if !at.is_multiple_of(5) {
        say("email", EMAILS[at / 5 % EMAILS.len()].into());
    }
    if at % 17 < 8 {
        say("beta", at.is_multiple_of(2).into());
    }
    Json::Object(fields)
}
