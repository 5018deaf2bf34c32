//! Banners, blog and status page as readers come for them, and as published parsers read them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use comms_service::Settings;
use contracts::comms as pb;
use contracts::comms::banner_service_client::BannerServiceClient;
use contracts::comms::message::{Content, State};
use contracts::comms::status_update::{Impact, Status};
use contracts::comms::{CommsEvent, SourceHandled, comms_event};
use contracts::flag::FlagDefinition;
use prost::Message as _;
use serde_json::{Value as Json, json};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::shutdown::{self, Trigger};
use softlaunch_tests::{House, Tree};
use store::{Append, Draft, Head, Location, Store, StreamName};
use tempfile::TempDir;
use test_kit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tonic::Code;
use tonic::transport::Channel;
use vocab::Actor;

use crate::flags;
use crate::peer::python;

const ROLLOUT: &str = "rollouts/ingestion-v2";
const FLAG: &str = "beta";
const MARKUP: &str = "<script>alert(1)</script> & \"more\"";

/// A message that the plan's channel is to publish.
fn message(number: i64, channel: &str, content: Content) -> pb::Message {
    let time = Some(prost_types::Timestamp { seconds: 1_795_719_600 + 60 * number, nanos: 0 });
    pb::Message {
        name: format!("messages/{channel}-{number}"),
        rollout: ROLLOUT.to_owned(),
        channel: channel.to_owned(),
        subject: format!("News {number} {MARKUP}"),
        body: format!("First {number} {MARKUP}\n\nSecond"),
        state: State::Pending.into(),
        create_time: time,
        next_attempt_time: time,
        content: Some(content),
        ..pb::Message::default()
    }
}

fn banner(number: i64, id: &str, withdrawn: bool) -> pb::Message {
    let (banner, flag) = (id.to_owned(), FLAG.to_owned());
    message(number, "in-app-banner", Content::Banner(pb::BannerContent { banner, flag, withdrawn }))
}

fn update(number: i64, incident: &str, status: Status) -> pb::Message {
    let update = pb::StatusUpdate {
        incident: incident.to_owned(),
        status: status.into(),
        impact: Impact::Major.into(),
        components: vec!["Uploads".to_owned()],
    };
    message(number, "status-page", Content::StatusUpdate(update))
}

fn post(number: i64) -> pb::Message {
    message(number, "blog", Content::BlogPost(pb::BlogPost { post: "ga/1 ü".to_owned() }))
}

/// The communications service with something to publish, beside a house.
struct Publisher {
    pages: SocketAddr,
    banners: BannerServiceClient<Channel>,
    _trigger: Trigger,
    _directory: TempDir,
}

async fn publish(house: &House, messages: Vec<pb::Message>) -> Publisher {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let location = Location::Embedded(directory.path().to_owned());
    let store = Store::open(&location, Arc::new(real_now)).await.expect("the store opens");
    let handled = SourceHandled {
        source: "rollout".to_owned(),
        revision: 1,
        messages,
        plan_source: plan::SHIPPED.as_bytes().to_vec(),
        rollout: ROLLOUT.to_owned(),
        ..SourceHandled::default()
    };
    let event = CommsEvent { kind: Some(comms_event::Kind::SourceHandled(handled)) };
    let append = Append {
        expected: Head::default(),
        time: real_now(),
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: None,
        drafts: vec![Draft { kind: "SourceHandled".to_owned(), payload: event.encode_to_vec() }],
    };
    let stream = StreamName::new("comms").expect("a noun is a stream name");
    store.journal.append(&stream, &append).await.expect("the store keeps it");
    let mut settings: Settings =
        service_kit::settings::defaults(Settings::DEFAULTS).expect("the defaults are valid");
    settings.peers.flag = format!("http://{}", house.addresses["flag"]);
    settings.peers.killswitch = format!("http://{}", house.addresses["killswitch"]);
    settings.peers.rollout = format!("http://{}", house.addresses["rollout"]);
    let listener = async || TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let (rpcs, pages) = (listener().await, listener().await);
    let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    let (rpc_address, page_address) = (address(&rpcs), address(&pages));
    let (trigger, end) = shutdown::channel();
    let on = Dependencies { store, clock: Clock::system() };
    tokio::spawn(comms_service::serve_with_pages(settings, on, (rpcs, Some(pages)), end));
    let banners = eventually("the service answers", async || {
        BannerServiceClient::connect(format!("http://{rpc_address}")).await.ok()
    });
    let banners = banners.await;
    Publisher { pages: page_address, banners, _trigger: trigger, _directory: directory }
}

/// What a reader got.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Got {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("it is JSON")
    }
}

impl Publisher {
    async fn ask(&self, method: &str, target: &str, headers: &str) -> Got {
        let mut stream = TcpStream::connect(self.pages).await.expect("pages are served");
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("it listens");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("it answers");
        let text = String::from_utf8(bytes).expect("it is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Got { status: status.parse().expect("a number"), headers, body: body.to_owned() }
    }

    async fn get(&self, target: &str) -> Got {
        self.ask("GET", target, "").await
    }

    /// Waits until something is there that is published in its own time.
    async fn holds(&self, target: &str, word: &str) -> Got {
        eventually(&format!("{target} has {word}"), async || {
            Some(self.get(target).await).filter(|got| got.body.contains(word))
        })
        .await
    }

    async fn list(&self, workspace: &str) -> pb::ListBannersResponse {
        let workspace_id = workspace.to_owned();
        let request = pb::ListBannersRequest { workspace_id, attributes: None };
        let listed = self.banners.clone().list_banners(request).await;
        listed.expect("banners are listed").into_inner()
    }
}

/// Has the published parser read a feed; `None` where there is no Python.
async fn parsed(feed: &str) -> Option<Json> {
    let script = Tree::find().root.join("services/comms-service/tests/peers/check.py");
    let mut command = Command::new(python()?);
    command.arg(script).arg("feed").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("it was piped");
    input.write_all(feed.as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    Some(serde_json::from_slice(&output.stdout).expect("it prints JSON"))
}

fn on_for(workspaces: &[&str]) -> FlagDefinition {
    let allowlist = workspaces.iter().map(|one| (*one).to_owned()).collect();
    FlagDefinition { enabled: true, allowlist, ..FlagDefinition::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banner_is_shown_to_exactly_those_for_whom_its_flag_is_on() {
    let house = House::start().await;
    flags::create_all(&house).await;
    let flag = flags::create(&house, FLAG, on_for(&["ws-on"])).await;
    let told = vec![
        banner(1, "beta", false),
        banner(2, "gone", false),
        banner(3, "gone", true),
        banner(4, "beta", false),
    ];
    let publisher = publish(&house, told).await;
    let shown = publisher.holds("/banners/ws-on", "News 4").await.json();
    let banners = publisher.list("ws-on").await;
    assert_eq!((banners.banners.len(), banners.out_of_touch), (1, false));
    assert_eq!(
        (banners.banners[0].name.as_str(), banners.banners[0].flag.as_str()),
        ("banners/beta", "flags/beta")
    );
    assert_eq!(shown["banners"][0]["name"], "banners/beta");
    assert!(publisher.list("ws-off").await.banners.is_empty());
    assert_eq!(
        publisher.get("/banners/ws-off").await.json(),
        json!({"banners": [], "out_of_touch": false})
    );

    // Who has it is told so.
    let first = publisher.get("/banners/ws-on").await;
    let known = format!("If-None-Match: {}\r\n", first.headers["etag"]);
    let again = publisher.ask("GET", "/banners/ws-on", &known).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));

    // It goes when the flag does, and comes back with it.
    let request = pb::WatchBannersRequest {
        workspace_id: "ws-on".to_owned(),
        after_revision: banners.revision,
        ..pb::WatchBannersRequest::default()
    };
    let watching = publisher.banners.clone().watch_banners(request).await;
    let mut stream = watching.expect("banners are watched").into_inner();
    let mut next = async || {
        let next = stream.message().await.expect("the stream goes on");
        next.expect("the stream does not end").banners.len()
    };
    assert_eq!(next().await, 1);
    let flag = flags::change(&house, flag, |definition| definition.allowlist.clear()).await;
    assert_eq!(next().await, 0);
    flags::change(&house, flag, |definition| definition.allowlist = vec!["ws-on".to_owned()]).await;
    assert_eq!(next().await, 1);

    // Out of touch nobody is guessed to be on.
    drop(house);
    let out = eventually("it is out of touch", async || {
        Some(publisher.list("ws-on").await).filter(|listed| listed.out_of_touch)
    });
    assert!(out.await.banners.is_empty());
    assert_eq!(publisher.get("/banners/ws-on").await.json()["out_of_touch"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_banners_of_nobody_is_told_what_is_wrong() {
    let house = House::start().await;
    let publisher = publish(&house, Vec::new()).await;
    for (workspace_id, after_revision, field) in
        [("a/b", 0, "workspace_id"), ("ws-1", -1, "after_revision")]
    {
        let workspace_id = workspace_id.to_owned();
        let request = pb::WatchBannersRequest { workspace_id, attributes: None, after_revision };
        let status =
            publisher.banners.clone().watch_banners(request).await.expect_err("it is refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(field), "{status:?}");
    }
    for (target, status) in
        [("/banners/a%2Fb", 400), ("/nowhere", 404), ("/blog/..%2F..%2Fetc", 404)]
    {
        assert_eq!(publisher.get(target).await.status, status, "{target}");
    }
    let long = format!("/banners/ws-1?x={}", "x".repeat(8 * 1024));
    assert_eq!(publisher.get(&long).await.status, 414);
    assert_eq!(publisher.ask("POST", "/status", "Content-Length: 0\r\n").await.status, 405);
    let head = publisher.ask("HEAD", "/status", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blog_is_a_page_and_a_feed_that_others_can_read() {
    let house = House::start().await;
    let publisher = publish(&house, vec![post(1), post(2)]).await;
    let index = publisher.holds("/blog", "News 2").await;
    assert_eq!(index.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        index.headers["content-security-policy"]
            .starts_with("default-src 'none'; style-src 'sha256-")
    );
    assert!(!index.body.contains("<script"), "{}", index.body);
    let page = publisher.get("/blog/ga%2F1%20%C3%BC").await;
    assert!(
        page.body.contains("&lt;script&gt;") && page.body.contains("<p>Second</p>"),
        "{}",
        page.body
    );
    let feed = publisher.get("/blog/feed.atom").await;
    let Some(read) = parsed(&feed.body).await else { return };
    assert_eq!((&read["bozo"], &read["version"]), (&json!(false), &json!("atom10")));
    let [entry] = read["entries"].as_array().expect("entries").as_slice() else {
        panic!("one post: {read}")
    };
    assert_eq!(entry["id"], "tag:softlaunch.invalid,2026:blog/ga%2F1%20%C3%BC");
    assert_eq!(
        (&entry["published"], &entry["updated"]),
        (&json!("2026-11-26T19:01:00+00:00"), &json!("2026-11-26T19:02:00+00:00"))
    );
    assert_eq!(entry["link"], format!("http://{}/blog/ga%2F1%20%C3%BC", publisher.pages));
    assert!(!entry["content"].as_str().expect("a text").contains("<script"), "{entry}");
    let known = format!("If-None-Match: {}\r\n", feed.headers["etag"]);
    assert_eq!(publisher.ask("GET", "/blog/feed.atom", &known).await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_what_goes_on_to_people_and_to_programs() {
    let house = House::start().await;
    let told = vec![
        update(1, "incident-1", Status::Investigating),
        update(2, "incident-1", Status::Resolved),
        update(3, "incident-2", Status::Investigating),
        update(4, "incident-2", Status::Identified),
    ];
    let publisher = publish(&house, told).await;
    let page = publisher.holds("/status", "News 3").await;
    publisher.holds("/status", "First 4").await;
    assert!(page.body.contains("Partial System Outage"), "{}", page.body);
    let summary = publisher.get("/api/v2/summary.json").await.json();
    assert_eq!(
        summary["status"],
        json!({"indicator": "major", "description": "Partial System Outage"})
    );
    assert_eq!(summary["components"][0]["status"], "partial_outage");
    let incident = &summary["incidents"][0];
    assert_eq!(
        (&incident["id"], &incident["status"]),
        (&json!("incident-2"), &json!("identified"))
    );
    assert_eq!(incident["incident_updates"].as_array().map(Vec::len), Some(2));
    let unresolved = publisher.get("/api/v2/incidents/unresolved.json").await.json();
    assert_eq!(unresolved["incidents"].as_array().map(Vec::len), Some(1));
    let all = publisher.get("/api/v2/incidents.json").await.json();
    assert_eq!(all["incidents"].as_array().map(Vec::len), Some(2));
    let Some(read) = parsed(&publisher.get("/history.atom").await.body).await else { return };
    assert_eq!((&read["bozo"], read["entries"].as_array().map(Vec::len)), (&json!(false), Some(2)));
}
