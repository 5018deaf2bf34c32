//! What a flag was.

use contracts::flag as pb;

use super::changing::current;
use crate::arguments::{Given, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, table, time};
use crate::verbs::flag_name;

pub(super) async fn list(
    connection: &Connection,
    key: &str,
    limit: usize,
    output: Output,
) -> Result<(), Failure> {
    let mut request = pb::ListFlagRevisionsRequest {
        name: flag_name(key),
        page_size: i32::try_from(limit).unwrap_or(i32::MAX),
        page_token: String::new(),
    };
    let mut all = pb::ListFlagRevisionsResponse::default();
    while all.revisions.len() < limit {
        let page = connection.flag_history()?.list_flag_revisions(request.clone()).await?;
        let page = page.into_inner();
        all.revisions.extend(page.revisions);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    all.revisions.truncate(limit);
    if output == Output::Json {
        return json("softlaunch.flag.v1.ListFlagRevisionsResponse", &all);
    }
    let mut table = table(["Revision", "When", "Who", "What", "On", "Why"]);
    for revision in &all.revisions {
        let definition = revision.flag.as_ref().and_then(|flag| flag.definition.as_ref());
        let unauthenticated = if revision.actor_authenticated { "" } else { " (claimed)" };
        let what = if revision.problem.is_empty() { &revision.change } else { &revision.problem };
        table.add_row([
            revision.revision.to_string(),
            time(revision.occur_time.as_ref()),
            format!("{}{unauthenticated}", revision.actor),
            what.clone(),
            definition.map_or_else(String::new, super::exposure),
            revision.reason.clone(),
        ]);
    }
    say(table);
    Ok(())
}

pub(super) async fn diff(
    connection: &Connection,
    key: &str,
    from: Option<i64>,
    to: Option<i64>,
    output: Output,
) -> Result<(), Failure> {
    let request = pb::DiffFlagRequest {
        name: flag_name(key),
        from_revision: from.unwrap_or(0),
        to_revision: to.unwrap_or(0),
    };
    let diff = connection.flag_history()?.diff_flag(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.flag.v1.FlagDiff", &diff);
    }
    let from = if diff.from_revision == 0 {
        "nothing".to_owned()
    } else {
        format!("revision {}", diff.from_revision)
    };
    say(format!("{}: from {from} to revision {}", diff.name, diff.to_revision));
    for one in &diff.differences {
        say(format!("  {}", one.path));
        for (sign, value) in [("-", &one.before), ("+", &one.after)] {
            if !value.is_empty() && value != "[]" {
                say(format!("    {sign} {value}"));
            }
        }
    }
    if diff.differences.is_empty() {
        say("  nothing differs");
    }
    if diff.raises_exposure {
        say("  this can expose workspaces that were not");
    }
    Ok(())
}

pub(super) async fn restore(
    connection: &Connection,
    key: &str,
    revision: i64,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let known = current(connection, key).await?;
    let request = pb::RestoreFlagRequest {
        name: known.name,
        revision,
        etag: known.etag,
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    };
    Ok(connection.flag_history()?.restore_flag(request).await?.into_inner())
}
