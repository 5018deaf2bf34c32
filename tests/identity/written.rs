//! What is written down is what holds: the table has a row for every method, and the docs show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use service_kit::access::{Access, Noun, POLICY, rule, table};
use softlaunch_tests::{Guarded, Guards, Tree, entry};
use test_kit::eventually;
use tonic::Code;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::call::{bearer, call, channel};

/// The descriptors of everything that is served over gRPC.
const SETS: [&[u8]; 4] = [
    contracts::DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];
const BEGIN: &str = "<!-- roles: generated from service_kit::access -->\n";
const END: &str = "<!-- end of roles -->";
const WRITE: &str = "SOFTLAUNCH_WRITE_DOCS";

/// `/package.Service/Method` of everything in a set of descriptors, and whether it is answered with
/// a stream.
fn methods(encoded: &[u8]) -> BTreeMap<String, bool> {
    let set = FileDescriptorSet::decode(encoded).expect("descriptors decode");
    let mut paths = BTreeMap::new();
    for file in set.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                let path = format!("/{package}.{service}/{}", method.name());
                paths.insert(path, method.server_streaming());
            }
        }
    }
    paths
}

#[test]
fn the_table_has_a_row_for_every_method_and_no_other() {
    let mut served: BTreeSet<_> = SETS.iter().flat_map(|set| methods(set).into_keys()).collect();
    served.extend(["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/{key}"].map(Into::into));
    let rows: BTreeSet<_> = POLICY.iter().map(|rule| rule.path.to_owned()).collect();
    let missing: Vec<_> = served.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&served).collect();
    assert!(missing.is_empty(), "say in service_kit::access who may call them: {missing:?}");
    assert!(stale.is_empty(), "nobody serves them: {stale:?}");
}

#[test]
fn every_stream_is_known_as_one_so_that_its_end_is_counted() {
    let streams: BTreeSet<_> =
        SETS.iter().flat_map(|set| methods(set)).filter(|(_, streams)| *streams).collect();
    let known = service_kit::streams::STREAMS.map(|path| (path.to_owned(), true));
    assert_eq!(BTreeSet::from(known), streams);
}

#[test]
fn the_docs_show_the_table() {
    let path = Tree::find().root.join("docs/identity.md");
    let text = fs::read_to_string(&path).expect("docs/identity.md is there");
    let (before, rest) = text.split_once(BEGIN).expect("the table has a beginning");
    let (shown, after) = rest.split_once(END).expect("the table has an end");
    let wanted = format!("\n{}\n", table());
    if shown == wanted {
        return;
    }
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("it is writable");
        return;
    }
    panic!(
        "docs/identity.md shows another table. Write it anew:\n  \
         {WRITE}=1 cargo test -p softlaunch-tests --test identity the_docs_show_the_table"
    );
}

async fn listed(house: &Guarded, noun: Noun, token: &str) -> Result<Vec<String>, tonic::Status> {
    let credentials = house.credentials(None, Some(token));
    let mut client = ServerReflectionClient::with_interceptor(
        channel(house, noun, &credentials),
        credentials.bearer(),
    );
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await?;
    let answer = answers.into_inner().message().await?.and_then(|one| one.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { return Ok(Vec::new()) };
    Ok(list.service.into_iter().map(|one| one.name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_that_is_served_is_in_the_table() {
    let house = Guarded::start(Guards::default()).await;
    let token = house.add(entry("vic", &[Access::Viewer], &[]));
    let mut served = BTreeSet::new();
    for noun in Noun::ALL {
        let names =
            eventually("the token is known", async || listed(&house, noun, &token).await.ok())
                .await;
        for name in names {
            let rows = POLICY.iter().filter(|rule| rule.path.starts_with(&format!("/{name}/")));
            assert!(rows.count() > 0, "{noun} serves {name}, which is not in the table");
            served.insert(name);
        }
    }
    let all: BTreeSet<_> = methods(contracts::DESCRIPTORS)
        .into_keys()
        .filter_map(|path| path.split('/').nth(1).map(str::to_owned))
        .collect();
    let unserved: Vec<_> = all.difference(&served).collect();
    assert!(unserved.is_empty(), "described, and not served: {unserved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_can_be_turned_off() {
    let house = Guarded::start(Guards { reflection: false, ..Guards::default() }).await;
    let token = house.add(entry("vic", &[Access::Viewer], &[]));
    let channel = channel(&house, Noun::Flag, &house.credentials(None, None));
    let flags = "/softlaunch.flag.v1.FlagService/ListFlags";
    eventually("the token is known", async || {
        call(&channel, flags, Some(&bearer(&token))).await.code() == Code::Ok
    })
    .await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        assert!(rule(&path).is_some());
        let answer = call(&channel, &path, Some(&bearer(&token))).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{answer:?}");
    }
}
