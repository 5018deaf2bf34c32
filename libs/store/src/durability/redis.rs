//! What Redis promises, by what its servers say of themselves.

use std::collections::HashMap;

use super::{Durability, Promise};

/// The settings that matter, what is right, and what is promised otherwise.
const SETTINGS: [(&str, &str, Durability); 4] = [
    ("appendonly", "yes", Durability::Memory),
    ("appendfsync", "always", Durability::ProcessCrash),
    ("no-appendfsync-on-rewrite", "no", Durability::ProcessCrash),
    ("maxmemory-policy", "noeviction", Durability::Memory),
];

/// What must be asked of Redis after each write, before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmation {
    /// By `WAITAOF`: on disk, here and there. Otherwise by `WAIT`: in memory, there.
    pub(crate) on_disk: bool,
    /// How many replicas must have it.
    pub(crate) replicas: u8,
}

/// What a Redis server that takes writes was found to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    /// What it calls itself, e.g. `redis 7.0.15`.
    pub(crate) name: String,
    /// Its address.
    pub(crate) place: String,
    /// Its settings, as far as it tells them.
    pub(crate) settings: HashMap<String, String>,
    /// Why it does not tell the others.
    pub(crate) untold: String,
    /// Whether it can say what is on disk.
    pub(crate) has_waitaof: bool,
    /// How many replicas are connected and up to date.
    pub(crate) replicas: usize,
    /// Who puts a replica in its place when it is gone.
    pub(crate) fails_over: Option<&'static str>,
}

impl Server {
    /// Whether a write is on this server's disk before it is answered.
    fn keeps_before_answering(&self) -> bool {
        let is = |setting: &str, right: &str| {
            self.settings.get(setting).is_some_and(|found| found == right)
        };
        is("appendfsync", "always") && is("no-appendfsync-on-rewrite", "no")
    }
}

impl Promise {
    /// What Redis promises whose writes go to `servers`, where `wanted` is asked for; and what
    /// must be asked of it after every write for that.
    pub(crate) fn of_redis(servers: &[Server], wanted: Durability) -> (Self, Option<Confirmation>) {
        let mut promise = Self::nothing_short_of(wanted.max(Durability::PowerLoss));
        let on_disk = servers.iter().all(|server| server.has_waitaof);
        let keeps = servers.iter().all(Server::keeps_before_answering);
        let fsync = !keeps && on_disk && wanted >= Durability::PowerLoss;
        for server in servers {
            promise.judge(server, wanted, fsync);
        }
        let replicas = wanted.copies();
        if replicas == 0 {
            let remedy = "no replica is waited for: ask for it by store.durability";
            promise.limit(Durability::PowerLoss, remedy);
        } else if on_disk {
            promise.say(format!("replicas that confirm every write, on disk: {replicas}"));
        } else {
            promise.say(format!(
                "replicas that confirm every write, in memory (no WAITAOF before Redis 7.2): \
                 {replicas}"
            ));
        }
        if fsync && replicas == 0 {
            promise.say("every write is confirmed to be on disk by WAITAOF".to_owned());
        }
        let needed = (fsync || replicas > 0).then_some(Confirmation { on_disk, replicas });
        (promise, needed)
    }

    /// The same promise where `done` is asked of Redis and not what would be `needed`.
    pub(crate) fn with(mut self, needed: Option<Confirmation>, done: Option<Confirmation>) -> Self {
        if needed.is_some() && needed != done {
            let remedy = "Redis is set otherwise than when it was opened: start the service again";
            self.limit(Durability::ProcessCrash, remedy);
        }
        self
    }

    /// Notes what `server` says, and where it falls short. With `fsync` every write is confirmed
    /// to be on disk.
    fn judge(&mut self, server: &Server, wanted: Durability, fsync: bool) {
        use Durability::{PowerLoss, ProcessCrash};
        self.say(server.name.clone());
        for (setting, right, otherwise) in SETTINGS {
            let may_differ = fsync && otherwise == ProcessCrash;
            let Some(found) = server.settings.get(setting) else {
                self.say(format!("{setting} unknown"));
                // WAITAOF fails where there is no append-only file.
                let is_shown = may_differ || (fsync && setting == "appendonly");
                if !is_shown {
                    let why = &server.untold;
                    let remedy = format!(
                        "{setting} is not known ({why}): allow the user `CONFIG GET`, where it is \
                         {right}"
                    );
                    self.limit(ProcessCrash, &remedy);
                }
                continue;
            };
            self.say(format!("{setting} {found}"));
            if found != right && !may_differ {
                self.limit(otherwise, &format!("{setting} is {found}: set it to {right}"));
            }
        }
        let (asked, found) = (usize::from(wanted.copies()), server.replicas);
        if asked > 0 || server.fails_over.is_some() {
            self.say(format!("connected replicas of {}: {found}", server.place));
        }
        if asked > found {
            let place = &server.place;
            let remedy = format!("connected replicas of {place}: {found}, expected {asked}");
            self.limit(PowerLoss, &remedy);
        }
        let Some(who) = server.fails_over else { return };
        if asked == 0 && found > 0 {
            let remedy = format!(
                "{who} may fail over to a replica that lacks what was acknowledged: ask for \
                 store.durability = \"1-copies\""
            );
            self.limit(ProcessCrash, &remedy);
            self.say(format!("a failover by {who} may lose what no replica had yet"));
        } else if asked < found {
            self.say(format!(
                "a failover by {who} to a replica that did not confirm may lose writes"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYSEC: [&str; 4] = ["yes", "everysec", "no", "noeviction"];
    const ALWAYS: [&str; 4] = ["yes", "always", "no", "noeviction"];

    fn server(settings: [&str; 4]) -> Server {
        let told = SETTINGS.iter().zip(settings).filter(|(_, value)| *value != "?");
        Server {
            name: "redis 7.0.15".to_owned(),
            place: "h:1".to_owned(),
            settings: told.map(|(one, value)| (one.0.to_owned(), value.to_owned())).collect(),
            untold: "NOPERM".to_owned(),
            ..Server::default()
        }
    }

    fn redis(settings: [&str; 4]) -> Promise {
        Promise::of_redis(&[server(settings)], Durability::PowerLoss).0
    }

    #[test]
    fn a_level_is_the_least_of_what_every_setting_allows() {
        use Durability::{Memory, PowerLoss, ProcessCrash};
        for (settings, level) in [
            (["yes", "always", "no", "noeviction"], PowerLoss),
            (["yes", "everysec", "no", "noeviction"], ProcessCrash),
            (["yes", "no", "no", "noeviction"], ProcessCrash),
            (["yes", "always", "yes", "noeviction"], ProcessCrash),
            (["no", "always", "no", "noeviction"], Memory),
            (["yes", "always", "no", "allkeys-lru"], Memory),
            (["?", "?", "?", "?"], ProcessCrash),
            (["no", "?", "?", "?"], Memory),
        ] {
            assert_eq!(redis(settings).level(), level, "{settings:?}");
        }
        assert_eq!(Promise::embedded().level(), PowerLoss);
        assert!(Memory < ProcessCrash && ProcessCrash < PowerLoss);
    }

    #[test]
    fn a_refusal_names_what_falls_short_and_the_way_out_where_there_is_one() {
        let everysec = redis(["yes", "everysec", "no", "noeviction"]);
        let refusal = everysec.require(Durability::PowerLoss).unwrap_err().to_string();
        assert!(
            refusal.contains(
                "appendfsync is everysec: set it to always, or allow store.durability = \
                 \"process-crash\""
            ),
            "{refusal}"
        );
        everysec.require(Durability::ProcessCrash).unwrap();

        let none = redis(["no", "everysec", "no", "noeviction"]);
        let refusal = none.require(Durability::ProcessCrash).unwrap_err().to_string();
        assert!(refusal.contains("appendonly is no: set it to yes"), "{refusal}");
        assert!(!refusal.contains("everysec") && !refusal.contains("or allow"), "{refusal}");

        let silent = redis(["?", "?", "?", "?"]);
        let refusal = silent.require(Durability::PowerLoss).unwrap_err().to_string();
        assert!(refusal.contains("not known (NOPERM)"), "{refusal}");
        assert!(silent.facts().contains(&"appendfsync unknown".to_owned()));
        silent.require(Durability::ProcessCrash).unwrap();
    }

    #[test]
    fn a_server_that_can_say_what_is_on_disk_is_asked_where_it_would_answer_too_soon() {
        use Durability::{PowerLoss, ProcessCrash};
        let able = |settings| Server { has_waitaof: true, ..server(settings) };
        let asked = Some(Confirmation { on_disk: true, replicas: 0 });
        for (settings, wanted, level, confirmation) in [
            (EVERYSEC, PowerLoss, PowerLoss, asked),
            (EVERYSEC, ProcessCrash, ProcessCrash, None),
            (ALWAYS, PowerLoss, PowerLoss, None),
            (["?", "?", "?", "noeviction"], PowerLoss, PowerLoss, asked),
            (["?", "?", "?", "?"], PowerLoss, ProcessCrash, asked),
            (["no", "everysec", "no", "noeviction"], PowerLoss, Durability::Memory, asked),
        ] {
            let (promise, needed) = Promise::of_redis(&[able(settings)], wanted);
            assert_eq!((promise.level(), needed), (level, confirmation), "{settings:?} {wanted}");
        }
        let (promise, needed) = Promise::of_redis(&[able(EVERYSEC), server(EVERYSEC)], PowerLoss);
        assert_eq!((promise.level(), needed), (ProcessCrash, None), "one of them cannot say");
    }

    #[test]
    fn copies_are_promised_where_enough_replicas_are_connected_and_asked_for() {
        use Durability::{Copies, PowerLoss};
        let with = |replicas| Server { replicas, ..server(ALWAYS) };
        let (promise, needed) = Promise::of_redis(&[with(2), with(1)], Copies(1));
        assert_eq!(promise.level(), Copies(1));
        assert_eq!(needed, Some(Confirmation { on_disk: false, replicas: 1 }));
        assert!(promise.facts().iter().any(|fact| fact.contains("in memory")), "{promise:?}");

        let (promise, _) = Promise::of_redis(&[with(2), with(1)], Copies(2));
        assert_eq!(promise.level(), PowerLoss);
        let refusal = promise.require(Copies(2)).unwrap_err().to_string();
        assert!(refusal.contains("connected replicas of h:1: 1, expected 2"), "{refusal}");
        for one_copy in [Promise::embedded(), redis(ALWAYS)] {
            let refusal = one_copy.require(Copies(1)).unwrap_err().to_string();
            assert!(refusal.contains("or allow store.durability = \"power-loss\""), "{refusal}");
        }
    }

    #[test]
    fn a_failover_to_a_replica_nobody_waited_for_is_not_survived() {
        use Durability::{Copies, PowerLoss, ProcessCrash};
        let watched =
            |replicas| Server { replicas, fails_over: Some("Sentinel"), ..server(ALWAYS) };
        let (promise, _) = Promise::of_redis(&[watched(1)], PowerLoss);
        assert_eq!(promise.level(), ProcessCrash);
        let refusal = promise.require(PowerLoss).unwrap_err().to_string();
        assert!(refusal.contains("store.durability = \"1-copies\""), "{refusal}");
        assert_eq!(Promise::of_redis(&[watched(0)], PowerLoss).0.level(), PowerLoss);

        let (promise, _) = Promise::of_redis(&[watched(2)], Copies(1));
        assert_eq!(promise.level(), Copies(1));
        assert!(promise.facts().iter().any(|fact| fact.contains("did not confirm may lose")));
    }

    #[test]
    fn a_server_set_otherwise_since_promises_less() {
        let needed = Some(Confirmation { on_disk: true, replicas: 0 });
        assert_eq!(redis(ALWAYS).with(needed, None).level(), Durability::ProcessCrash);
        assert_eq!(redis(ALWAYS).with(needed, needed).level(), Durability::PowerLoss);
        assert_eq!(redis(ALWAYS).with(None, needed).level(), Durability::PowerLoss);
    }
}
