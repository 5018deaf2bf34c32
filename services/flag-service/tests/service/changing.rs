//! Flags are made, changed, taken away and brought back.

use contracts::flag as pb;
use contracts::flag::{DocumentForm, Reason};
use prost_types::{FieldMask, Timestamp};
use tonic::Code;

use crate::site::{Site, ada, fields, new_flag, refused, share, text, typed};

fn change(flag: pb::Flag, paths: &[&str]) -> pb::UpdateFlagRequest {
    pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        reason: "for a test".to_owned(),
        ..pb::UpdateFlagRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_flag_is_kept_shown_and_answered() {
    let site = Site::start().await;
    let mut call = new_flag("typed", typed());
    let flag = call.flag.as_mut().unwrap();
    flag.owner = "team-ingestion".to_owned();
    flag.expire_time = Some(Timestamp { seconds: 1_900_000_000, nanos: 0 });
    flag.metadata = Some(fields(&[("team", text("ingestion"))]));
    site.flags().create_flag(ada(call)).await.unwrap();
    let kept = site.get("typed").await;
    assert_eq!(kept.definition, Some(typed()), "what was written is read back as the same");
    assert_eq!(
        (kept.owner.as_str(), kept.expire_time.unwrap().seconds),
        ("team-ingestion", 1_900_000_000)
    );
    site.knows_the_kill_switch("typed").await;
    let gold = site.ask("typed", "ws-1", &[("tier", text("gold"))]).await.unwrap();
    assert_eq!((gold.variant.as_str(), gold.reason()), ("newest", Reason::Targeted));
    assert_eq!(gold.value.unwrap().kind, Some(text("the newest one")));
    // ws-42 has bucket 9396 under `ingestion_v2_enabled`; whatever it is here, it is one of the two.
    let other = site.ask("typed", "ws-1", &[]).await.unwrap();
    assert_eq!(other.reason(), Reason::Percentage);
    assert_eq!(other.enabled, other.variant == "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_changes_what_it_names_and_nothing_else() {
    let site = Site::start().await;
    let flag = site.create("masked", typed()).await;
    let wanted = pb::Flag { owner: "ada".to_owned(), definition: None, ..flag.clone() };
    let changed = site.flags().update_flag(ada(change(wanted, &["owner"]))).await.unwrap();
    let changed = changed.into_inner();
    assert_eq!((changed.owner.as_str(), changed.definition), ("ada", Some(typed())));
    let late = site.flags().update_flag(ada(change(flag, &["owner"]))).await;
    refused(late, (Code::Aborted, "ETAG_MISMATCH"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_flag_is_gone_for_workers_and_its_key_is_never_reused() {
    let site = Site::start().await;
    site.create("gone", share(1_000)).await;
    let delete = |validate_only| {
        let name = "flags/gone".to_owned();
        let reason = "done with it".to_owned();
        ada(pb::DeleteFlagRequest { name, reason, validate_only, ..Default::default() })
    };
    let tried = site.flags().delete_flag(delete(true)).await.unwrap().into_inner();
    assert!(tried.delete_time.is_some());
    assert!(site.get("gone").await.delete_time.is_none(), "a dry run changes nothing");
    let deleted = site.flags().delete_flag(delete(false)).await.unwrap().into_inner();
    assert!(deleted.delete_time.is_some() && deleted.revision == 2);
    refused(site.ask("gone", "ws-1", &[]).await, (Code::NotFound, "FLAG_NOT_FOUND"), "");
    let again = site.flags().delete_flag(delete(false)).await.unwrap().into_inner();
    assert_eq!(again, deleted, "a repeat is a no-op");
    let listed = site.flags().list_flags(pb::ListFlagsRequest::default()).await.unwrap();
    assert!(listed.into_inner().flags.is_empty());
    let reused = site.flags().create_flag(ada(new_flag("gone", share(0)))).await;
    refused(reused, (Code::AlreadyExists, "FLAG_EXISTS"), "");
    let changed = site.flags().update_flag(ada(change(deleted.clone(), &["definition"]))).await;
    refused(changed, (Code::FailedPrecondition, "FLAG_DELETED"), "");
    let undelete = |etag: &str| {
        ada(pb::UndeleteFlagRequest {
            name: "flags/gone".to_owned(),
            etag: etag.to_owned(),
            reason: "needed after all".to_owned(),
            ..Default::default()
        })
    };
    let blind = site.flags().undelete_flag(undelete("")).await;
    refused(blind, (Code::InvalidArgument, "FIELD_INVALID"), "etag");
    let back = site.flags().undelete_flag(undelete(&deleted.etag)).await.unwrap().into_inner();
    assert_eq!((back.delete_time, back.definition), (None, Some(share(1_000))));
    site.knows_the_kill_switch("gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_shows_what_it_was_and_becomes_that_again() {
    let site = Site::start().await;
    let first = site.create("dated", share(500)).await;
    let mut wanted = first.clone();
    wanted.definition.as_mut().unwrap().denylist = vec!["enterprise-*".to_owned()];
    wanted.definition.as_mut().unwrap().percentage_basis_points = 1_000;
    let second = site.flags().update_flag(ada(change(wanted, &["definition"]))).await.unwrap();
    let second = second.into_inner();
    let name = "flags/dated".to_owned();

    let list =
        pb::ListFlagRevisionsRequest { name: name.clone(), page_size: 1, ..Default::default() };
    let page = site.history().list_flag_revisions(list.clone()).await.unwrap().into_inner();
    assert_eq!((page.revisions[0].revision, page.revisions[0].change.as_str()), (2, "changed"));
    assert_eq!(
        (page.revisions[0].actor.as_str(), page.revisions[0].actor_authenticated),
        ("ada", false)
    );
    let list = pb::ListFlagRevisionsRequest { page_token: page.next_page_token, ..list };
    let page = site.history().list_flag_revisions(list).await.unwrap().into_inner();
    assert_eq!((page.revisions[0].revision, page.revisions[0].change.as_str()), (1, "created"));
    assert_eq!(page.revisions[0].flag.as_ref().unwrap().definition, Some(share(500)));
    assert_eq!(page.next_page_token, "");

    let diff = pb::DiffFlagRequest { name: name.clone(), ..Default::default() };
    let diff = site.history().diff_flag(diff).await.unwrap().into_inner();
    assert_eq!((diff.from_revision, diff.to_revision, diff.raises_exposure), (1, 2, true));
    let shown: Vec<_> = diff
        .differences
        .iter()
        .map(|one| (one.path.as_str(), one.before.as_str(), one.after.as_str()))
        .collect();
    let denylist = ("definition.denylist", "[]", "[\"enterprise-*\"]");
    assert_eq!(shown, [denylist, ("definition.percentage_basis_points", "500", "1000")]);

    let restore = |revision, etag: &str| {
        let (name, etag, reason) = (name.clone(), etag.to_owned(), "as it was".to_owned());
        ada(pb::RestoreFlagRequest { name, revision, etag, reason, ..Default::default() })
    };
    let unknown = site.history().restore_flag(restore(7, &second.etag)).await;
    refused(unknown, (Code::NotFound, "REVISION_NOT_FOUND"), "revision");
    let stale = site.history().restore_flag(restore(1, &first.etag)).await;
    refused(stale, (Code::Aborted, "ETAG_MISMATCH"), "");
    let back = site.history().restore_flag(restore(1, &second.etag)).await.unwrap().into_inner();
    assert_eq!((back.definition, back.revision), (Some(share(500)), 3));
}

fn document(form: DocumentForm, document: &str) -> pb::ImportFlagsRequest {
    pb::ImportFlagsRequest {
        form: form.into(),
        document: document.to_owned(),
        pipeline: crate::site::PIPELINE.to_owned(),
        reason: "for a test".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_taken_in_as_a_whole_or_not_at_all() {
    let site = Site::start().await;
    let good = "{\"a\": {\"enabled\": true, \"percentage\": 10}, \"b\": {\"enabled\": false}}";
    let bad = "{\"a\": {\"enabled\": true, \"percentage\": 10}, \"b\": {\"enabled\": true, \"percentage\": 50}}";
    let steep = site.history().import_flags(ada(document(DocumentForm::D7, bad))).await;
    refused(steep, (Code::FailedPrecondition, "RAMP_RULE"), "");
    let listed = site.flags().list_flags(pb::ListFlagsRequest::default()).await.unwrap();
    assert!(listed.into_inner().flags.is_empty(), "nothing of it was taken in");
    let mut dry = document(DocumentForm::D7, good);
    dry.validate_only = true;
    let dry = site.history().import_flags(ada(dry)).await.unwrap().into_inner();
    assert_eq!((dry.created_count, dry.flags.len()), (2, 2));
    let done = site.history().import_flags(ada(document(DocumentForm::D7, good))).await.unwrap();
    assert_eq!(done.into_inner().created_count, 2);
    let again = site.history().import_flags(ada(document(DocumentForm::D7, good))).await.unwrap();
    let again = again.into_inner();
    assert_eq!((again.created_count, again.changed_count, again.unchanged_count), (0, 0, 2));
    let export = pb::ExportFlagsRequest { form: DocumentForm::D7.into(), ..Default::default() };
    let exported = site.history().export_flags(export).await.unwrap().into_inner();
    let exported: serde_json::Value = serde_json::from_str(&exported.document).unwrap();
    assert_eq!(exported["a"]["percentage"], 10);
    assert_eq!(exported["b"]["enabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flagd_document_is_answered_as_flagd_does_and_comes_back_as_it_was() {
    let site = Site::start().await;
    let flagd = serde_json::json!({
        "$evaluators": {"gold": {"==": [{"var": "tier"}, "gold"]}},
        "flags": {"color": {
            "state": "ENABLED",
            "variants": {"red": "#f00", "blue": "#00f"},
            "defaultVariant": "blue",
            "targeting": {"if": [{"$ref": "gold"}, "red", null]},
        }},
    });
    let import = document(DocumentForm::Flagd, &flagd.to_string());
    site.history().import_flags(ada(import)).await.unwrap();
    site.knows_the_kill_switch("color").await;
    let gold = site.ask("color", "ws-1", &[("tier", text("gold"))]).await.unwrap();
    assert_eq!(
        (gold.variant.as_str(), gold.reason(), gold.enabled),
        ("red", Reason::Targeted, true)
    );
    let other = site.ask("color", "ws-1", &[]).await.unwrap();
    assert_eq!(
        (other.variant.as_str(), other.reason(), other.enabled),
        ("blue", Reason::Default, false)
    );
    let export = pb::ExportFlagsRequest { form: DocumentForm::Flagd.into(), ..Default::default() };
    let exported = site.history().export_flags(export).await.unwrap().into_inner();
    let exported: serde_json::Value = serde_json::from_str(&exported.document).unwrap();
    let mut wanted = flagd["flags"]["color"].clone();
    wanted["targeting"]["if"][0] = flagd["$evaluators"]["gold"].clone();
    assert_eq!(exported["flags"]["color"], wanted);
}
