//! What a change would do, before anybody makes it.

use contracts::flag as pb;
use prost_types::value::Kind;
use tonic::Code;

use crate::site::{Site, ada, fields, refused, share, text};

fn workspaces(count: usize) -> Vec<pb::Workspace> {
    let one = |n: usize| pb::Workspace {
        workspace_id: format!("ws-{n}"),
        attributes: Some(fields(&[
            ("platform", text(if n.is_multiple_of(2) { "web" } else { "ios" })),
            ("tier", text("free")),
            ("seats", Kind::NumberValue(f64::from(u8::from(n.is_multiple_of(10))))),
        ])),
    };
    (0..count).map(one).collect()
}

fn asked(definition: pb::FlagDefinition, keep: bool) -> Vec<pb::ComputeBlastRadiusRequest> {
    let first = pb::ComputeBlastRadiusRequest {
        name: "flags/wider".to_owned(),
        definition: Some(definition),
        group_by: vec!["seats".to_owned()],
        keep,
        ..Default::default()
    };
    let all = workspaces(1_000);
    let more = all.chunks(400).map(|some| pb::ComputeBlastRadiusRequest {
        workspaces: some.to_vec(),
        ..Default::default()
    });
    std::iter::once(first).chain(more.collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blast_radius_names_exactly_those_who_change_when_it_is_applied() {
    let site = Site::start().await;
    let flag = site.create("wider", share(1_000)).await;
    site.knows_the_kill_switch("wider").await;
    let proposed = pb::FlagDefinition { denylist: vec!["ws-1*".to_owned()], ..share(2_000) };
    let stream = tokio_stream::iter(asked(proposed.clone(), true));
    let report = site.reports().compute_blast_radius(ada(stream)).await.unwrap().into_inner();
    assert_eq!((report.workspaces_count, report.census()), (1_000, pb::Census::Given));
    assert_eq!(report.changed_count, report.turned_on_count + report.turned_off_count);
    assert!(report.turned_on_count > 0 && report.turned_off_count > 0 && report.raises_exposure);
    for attribute in ["platform", "tier", "seats"] {
        let groups = report.groups.iter().filter(|group| group.attribute == attribute);
        assert_eq!(groups.map(|group| group.changed_count).sum::<i64>(), report.changed_count);
    }
    let platforms = report.groups.iter().filter(|group| group.attribute == "platform");
    assert_eq!(platforms.map(|group| group.value.as_str()).collect::<Vec<_>>(), ["ios", "web"]);
    let digest = report.digest.clone();
    let kept = pb::GetBlastRadiusRequest { digest };
    assert_eq!(site.reports().get_blast_radius(kept).await.unwrap().into_inner(), report);
    let again = tokio_stream::iter(asked(proposed.clone(), false));
    let again = site.reports().compute_blast_radius(ada(again)).await.unwrap().into_inner();
    assert_eq!(again.digest, report.digest, "the same question has the same digest");

    // Applied, it is as it was told.
    let on = async || {
        let mut on = std::collections::BTreeSet::new();
        for workspace in workspaces(1_000) {
            if site.ask("wider", &workspace.workspace_id, &[]).await.unwrap().enabled {
                on.insert(workspace.workspace_id);
            }
        }
        on
    };
    let before = on().await;
    let flag = pb::Flag { definition: Some(proposed), ..flag };
    let reason = "for a test".to_owned();
    let request = pb::UpdateFlagRequest { flag: Some(flag), reason, ..Default::default() };
    site.flags().update_flag(ada(request)).await.unwrap();
    let after = on().await;
    let changed: Vec<_> = before.symmetric_difference(&after).cloned().collect();
    let told: Vec<_> = report.affected.iter().map(|one| one.workspace_id.clone()).collect();
    assert_eq!(told, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_the_workspaces_that_asked_for_admission_are_looked_at() {
    let site = Site::start().await;
    site.create("wider", share(0)).await;
    site.knows_the_kill_switch("wider").await;
    for n in 0..3 {
        let request = pb::AdmitUploadRequest {
            name: "flags/wider".to_owned(),
            workspace_id: format!("ws-{n}"),
            upload_id: format!("u-{n}"),
            file_size_bytes: 1,
            attributes: Some(fields(&[("platform", text("web"))])),
        };
        site.admissions().admit_upload(request).await.unwrap();
    }
    let definition = Some(pb::FlagDefinition { allowlist: vec!["ws-1".to_owned()], ..share(0) });
    let request = pb::ComputeBlastRadiusRequest {
        name: "flags/wider".to_owned(),
        definition,
        ..Default::default()
    };
    let report = site.reports().compute_blast_radius(ada(tokio_stream::iter([request]))).await;
    let report = report.unwrap().into_inner();
    assert_eq!((report.census(), report.workspaces_count), (pb::Census::Seen, 3));
    assert_eq!(report.affected[0].workspace_id, "ws-1");
    assert_eq!(report.affected[0].reason_after(), pb::Reason::Allowlisted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_falls_evenly_on_the_platforms() {
    let site = Site::start().await;
    site.create("even", share(1_000)).await;
    let first = pb::ComputeStratificationRequest {
        name: "flags/even".to_owned(),
        workspaces: workspaces(4_000),
        ..Default::default()
    };
    let report = site.reports().compute_stratification(ada(tokio_stream::iter([first]))).await;
    let report = report.unwrap().into_inner();
    assert_eq!((report.attribute.as_str(), report.target_basis_points), ("platform", 1_000));
    assert_eq!(
        report.strata.iter().map(|one| one.workspaces_count).collect::<Vec<_>>(),
        [2_000; 2]
    );
    assert!(report.balanced, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_question_about_a_change_is_refused_with_its_field() {
    let site = Site::start().await;
    site.create("wider", share(1_000)).await;
    let invalid = (Code::InvalidArgument, "FIELD_INVALID");
    let ask = async |request: pb::ComputeBlastRadiusRequest| {
        site.reports().compute_blast_radius(ada(tokio_stream::iter([request]))).await
    };
    let good = || asked(share(2_000), false).remove(0);
    let nameless = pb::ComputeBlastRadiusRequest { name: String::new(), ..good() };
    refused(ask(nameless).await, invalid, "name");
    let undefined = pb::ComputeBlastRadiusRequest { definition: None, ..good() };
    refused(ask(undefined).await, invalid, "definition");
    let over = pb::ComputeBlastRadiusRequest { definition: Some(share(10_001)), ..good() };
    refused(ask(over).await, invalid, "definition.percentage_basis_points");
    let stranger = pb::Workspace { workspace_id: "a/b".to_owned(), attributes: None };
    let strange = pb::ComputeBlastRadiusRequest { workspaces: vec![stranger], ..good() };
    refused(ask(strange).await, invalid, "workspaces[0].workspace_id");
    let nothing = site.reports().compute_blast_radius(ada(tokio_stream::iter([]))).await;
    refused(nothing, invalid, "name");
    let unknown = pb::GetBlastRadiusRequest { digest: "0".repeat(64) };
    let unknown = site.reports().get_blast_radius(unknown).await;
    refused(unknown, (Code::NotFound, "BLAST_RADIUS_NOT_FOUND"), "");
}
