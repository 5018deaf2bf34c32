//! An all-in-one process in P0, with work behind it: what there is to be seen of it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use test_kit::eventually;

use crate::processes::{Cli, Running, softlaunch};

/// Where `softlaunch up` keeps its data, as everybody has it.
pub(crate) const DATA: &str = "softlaunch-data";
const PATIENCE: Duration = Duration::from_secs(60);
const LEADS: [(&str, &str); 3] =
    [("ada", "engineering_lead"), ("pia", "product_manager"), ("sam", "sre_lead")];

/// The process, and who looks at it.
pub(crate) struct Installation {
    pub(crate) cli: Cli,
    /// Host and port of the page of metrics.
    pub(crate) page: String,
    desk: TempDir,
    process: Running,
}

impl Installation {
    /// Starts one on free ports. Its mail server is not there: mail stays waiting.
    pub(crate) async fn start() -> Self {
        let desk = tempfile::tempdir().expect("the temporary directory is writable");
        Self::start_at(desk, DATA).await
    }

    /// Starts one over what is in a directory below the desk.
    pub(crate) async fn start_at(desk: TempDir, data: &str) -> Self {
        let data = desk.path().join(data);
        let settings = desk.path().join("comms.toml");
        let mail = "[smtp]\nhost = \"127.0.0.1\"\nport = 1\nfrom = \"a@example.com\"\n";
        fs::write(&settings, mail).expect("the directory is writable");
        let mut command = Command::new(softlaunch());
        command.args(["up", "--free-ports", "--log-filter", "off", "--data-dir"]);
        let said = desk.path().join("said");
        let log = File::create(&said).expect("the directory is writable");
        command.arg(&data).arg("--comms-settings").arg(&settings).stdout(log);
        let process = Running::start(&mut command);
        let page = eventually("softlaunch to say where its metrics are", async || {
            let text = fs::read_to_string(&said).ok()?;
            let mut lines = text.lines().map(str::trim);
            let page = lines.find_map(|line| line.strip_prefix("metrics "))?.trim();
            Some(page.trim_start_matches("http://").trim_end_matches("/metrics").to_owned())
        })
        .await;
        let cli = Cli { endpoints: data.join("endpoints.toml"), otlp: None };
        Self { cli, page, desk, process }
    }

    /// Where commands may leave what they write.
    pub(crate) fn desk(&self) -> &Path {
        self.desk.path()
    }

    /// Ends it as it should be, and leaves what lies on the desk.
    pub(crate) fn end(mut self) -> TempDir {
        assert!(self.process.terminate(), "it did not end well");
        self.desk
    }

    /// Approves the plan, attests what P0 waits for, and enters it.
    pub(crate) fn enter_p0(&self) {
        self.cli.ok(&["plan", "store", "--as", "ada"]);
        for (who, role) in LEADS {
            self.cli.ok(&["plan", "approve", "--role", role, "--as", who, "--holding", role]);
        }
        let lead = ["--as", "sam", "--holding", "sre_lead"];
        self.cli.refused(&["rollout", "start", "--as", "sam"]); // Created, and waits.
        for what in ["workers-deployed", "guardrails-configured", "dashboard-live", "alerts-active"]
        {
            let criterion = format!("p0-{what}");
            let stated = ["rollout", "attest", &criterion, "--role", "sre_lead", "--evidence"];
            self.cli.ok(&[&stated[..], &["https://wiki.example.com/p0"], &lead].concat());
        }
        self.cli.ok(&[&["rollout", "start"][..], &lead].concat());
    }

    /// A worker of the pipeline, which uploads a little and stays.
    pub(crate) fn worker(&self) -> Running {
        let mut command = Command::new(softlaunch());
        command.args(["sample-worker", "--stay", "--run", "deploy", "--uploads", "30"]);
        for noun in ["flag", "gate", "killswitch"] {
            command.arg(format!("--{noun}-address")).arg(self.address(noun));
        }
        Running::start(command.stdout(Stdio::null()))
    }

    /// Where a service is.
    pub(crate) fn address(&self, noun: &str) -> String {
        let text = fs::read_to_string(self.endpoints()).expect("endpoints are written");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{noun} = ")));
        line.expect("every service is named").trim_matches('"').to_owned()
    }

    /// The same, as host and port.
    pub(crate) fn host(&self, noun: &str) -> String {
        self.address(noun).trim_start_matches("http://").to_owned()
    }

    pub(crate) fn endpoints(&self) -> PathBuf {
        self.cli.endpoints.clone()
    }

    /// The page of metrics.
    pub(crate) fn metrics(&self) -> String {
        get(&self.page, "/metrics").expect("the page is shown")
    }
}

/// The body of what is at a path, where it can be had. HTTP/1.0: the answer ends with the
/// connection and comes in one piece.
pub(crate) fn get(host: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}
