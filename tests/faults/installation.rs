//! An installation of real processes that can be killed and started again while clients go on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use capture::Slack;
use softlaunch_tests::House;
use tempfile::TempDir;
use test_kit::{RedisServer, eventually};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const NOUNS: [&str; 5] = ["killswitch", "flag", "gate", "rollout", "comms"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the services are by now: those of a new process may be elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses(Arc<RwLock<BTreeMap<String, (String, Channel)>>>);

impl Addresses {
    /// Those of a house in this process.
    pub(crate) fn of(house: &House) -> Self {
        let made = Self::default();
        let known = house.addresses.iter();
        known.for_each(|(noun, address)| made.set(noun, &format!("http://{address}")));
        made
    }

    /// A connection to the service of that noun, as it is now.
    pub(crate) fn channel(&self, noun: &str) -> Channel {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(noun).map(|(_, channel)| channel.clone()).expect("the services are up")
    }

    fn address(&self, noun: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(noun).map(|(address, _)| address.clone()).unwrap_or_default()
    }

    fn set(&self, noun: &str, address: &str) {
        let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address is a URI");
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
        let entry = (address.to_owned(), endpoint.connect_lazy());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(noun.to_owned(), entry);
    }

    /// Waits until every service answers.
    async fn ready(&self) {
        for noun in NOUNS {
            eventually(&format!("the {noun} service answers"), async || {
                let mut health = HealthClient::new(self.channel(noun));
                health.check(HealthCheckRequest::default()).await.is_ok()
            })
            .await;
        }
    }
}

/// The product's command, built as this test is: with seeded bugs where it is built with them.
pub(crate) fn softlaunch() -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        if cfg!(feature = "seeded-bugs") {
            build_seeded()
        } else {
            test_kit::binary("softlaunch", "softlaunch")
        }
    });
    BUILT.clone()
}

/// Builds into the same target directory, where all but our own crates are built already, and sets
/// the binary aside: the next ordinary build replaces it.
fn build_seeded() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.ancestors().nth(2).expect("a test is in target/PROFILE/deps");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "softlaunch", "--bin", "softlaunch"])
        .args(["--features", "seeded-bugs", "--target-dir"])
        .arg(profile.parent().expect("a profile's directory is inside target/"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "softlaunch with seeded bugs does not build"
    );
    let aside = profile.join("seeded-softlaunch");
    fs::copy(profile.join("softlaunch"), &aside).expect("the target directory is writable");
    aside
}

/// A process that ends with the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    command: Command,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn().expect("our own program starts");
        Self { child, command }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process of ours can be killed");
        self.child.wait().expect("a killed process can be waited for");
    }

    fn start_again(&mut self) {
        self.child = self.command.spawn().expect("our own program starts again");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok(); // It may have ended already.
        self.child.wait().ok();
    }
}

/// What the services stand on.
#[derive(Debug)]
pub(crate) enum Ground {
    /// All in one process, on the embedded store.
    Embedded,
    /// Each a process of its own, over Redis.
    Redis(Box<RedisServer>),
}

/// All five services as processes.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) addresses: Addresses,
    pub(crate) ground: Ground,
    /// Receives what comms posts.
    pub(crate) slack: Slack,
    /// By noun, or `all`.
    processes: BTreeMap<&'static str, Process>,
    directory: TempDir,
}

impl Installation {
    /// One process on the embedded store.
    pub(crate) async fn all_in_one() -> Self {
        let mut made = Self::empty(Ground::Embedded).await;
        let mut command = Command::new(softlaunch());
        command.args(["up", "--free-ports", "--log-filter", "error", "--data-dir"]);
        command
            .arg(made.data())
            .arg("--comms-settings")
            .arg(made.directory.path().join("comms.toml"));
        command.stdout(Stdio::null()).stderr(made.log("all"));
        made.processes.insert("all", Process::start(command));
        made.arrived().await;
        made
    }

    /// Five processes over one Redis.
    pub(crate) async fn separate() -> Self {
        let redis = RedisServer::start().await;
        let url = redis.url();
        let mut made = Self::empty(Ground::Redis(Box::new(redis))).await;
        NOUNS
            .iter()
            .for_each(|noun| made.addresses.set(noun, &format!("http://{}", free_address())));
        for noun in NOUNS {
            let name: &'static str = noun;
            let mut command = Command::new(test_kit::binary(
                &format!("{noun}-service"),
                &format!("{noun}-service"),
            ));
            let own = made.addresses.address(noun).replace("http://", "");
            command.env("SOFTLAUNCH__SERVER__LISTEN_ADDRESS", own);
            command.env("SOFTLAUNCH__STORE__LOCATION", &url);
            command.env("SOFTLAUNCH__TELEMETRY__LOG_FILTER", "error");
            let peers: &[&str] = match noun {
                "flag" | "gate" => &["killswitch"],
                "rollout" => &["flag", "gate", "killswitch"],
                "comms" => &["killswitch", "rollout"],
                _ => &[],
            };
            for peer in peers {
                let key = format!("SOFTLAUNCH__PEERS__{}", peer.to_uppercase());
                command.env(key, made.addresses.address(peer));
            }
            if noun == "comms" {
                command.arg("--settings").arg(made.directory.path().join("comms.toml"));
            }
            command.stdout(Stdio::null()).stderr(made.log(name));
            made.processes.insert(name, Process::start(command));
        }
        made.arrived().await;
        made
    }

    async fn empty(ground: Ground) -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let slack = Slack::start().await.expect("a port is free");
        let channels = ["slack-engineering", "slack-incidents"]
            .map(|id| (id, slack.url(id)))
            // Hundreds of kills are told of: at Slack's pace nobody would see the end of it.
            .map(|(id, url)| {
                format!("[channels.{id}]\nwebhook_url = \"{url}\"\nmessages_per_second = 0\n")
            });
        fs::write(directory.path().join("comms.toml"), channels.concat()).expect("it is writable");
        let (addresses, processes) = (Addresses::default(), BTreeMap::new());
        Self { addresses, ground, slack, processes, directory }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self, name: &str) -> File {
        let path = self.directory.path().join(format!("{name}.log"));
        File::options().create(true).append(true).open(path).expect("the directory is writable")
    }

    /// Where the journals are, for whoever reads them without a service.
    pub(crate) fn location(&self) -> String {
        match &self.ground {
            Ground::Embedded => format!("embedded:{}", self.data().display()),
            Ground::Redis(redis) => redis.url(),
        }
    }

    /// Names of the processes.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.processes.keys().copied().collect()
    }

    /// The process id of the one process.
    pub(crate) fn id(&self) -> u32 {
        self.processes["all"].id()
    }

    /// Ends one process with SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) {
        self.processes.get_mut(name).expect("a process of that name").kill();
        if name == "all" {
            // What it wrote must not be mistaken for the next one's.
            fs::remove_file(self.data().join("endpoints.toml")).ok();
        }
    }

    /// Starts a killed process again and waits until all services answer.
    pub(crate) async fn start_again(&mut self, name: &str) {
        self.processes.get_mut(name).expect("a process of that name").start_again();
        self.arrived().await;
    }

    async fn arrived(&mut self) {
        if self.processes.contains_key("all") {
            let file = self.data().join("endpoints.toml");
            let found = eventually("the process says where it is", async || endpoints(&file)).await;
            found.iter().for_each(|(noun, address)| self.addresses.set(noun, address));
        }
        self.addresses.ready().await;
    }

    /// Ends every process with SIGKILL; Redis stays.
    pub(crate) fn kill_all(&mut self) {
        self.names().into_iter().for_each(|name| self.kill(name));
    }

    /// The server the services stand on.
    pub(crate) fn redis(&mut self) -> &mut RedisServer {
        match &mut self.ground {
            Ground::Redis(redis) => redis,
            Ground::Embedded => panic!("there is no Redis under the embedded store"),
        }
    }
}

fn endpoints(file: &Path) -> Option<BTreeMap<String, String>> {
    let text = fs::read_to_string(file).ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let found: BTreeMap<_, _> = pairs
        .map(|(noun, address)| (noun.to_owned(), address.trim_matches('"').to_owned()))
        .collect();
    (found.len() == NOUNS.len()).then_some(found)
}

fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").to_string()
}
