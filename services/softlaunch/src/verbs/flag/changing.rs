//! Making flags, changing them, taking them away.

use std::fs;
use std::path::Path;

use contracts::flag as pb;
use prost_types::FieldMask;
use serde::Deserialize;
use tonic::Code;

use super::asking::pairs;
use crate::arguments::{About, FlagForm, Given};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::read;
use crate::verbs::flag_name;

/// D7's form of a flag (§3.3).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortForm {
    enabled: bool,
    #[serde(default)]
    allowlist: Vec<String>,
    #[serde(default)]
    denylist: Vec<String>,
    #[serde(default)]
    percentage: i64,
}

/// D7's form has no exclusions and no variants: those a flag has stay.
const SHORT_FORM: [&str; 4] = [
    "definition.enabled",
    "definition.allowlist",
    "definition.denylist",
    "definition.percentage_basis_points",
];

fn short_form(text: &str) -> Result<pb::FlagDefinition, Failure> {
    let form: ShortForm = serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!(
            "--json: {error}: expected D7's form, e.g. {{\"enabled\": true, \"percentage\": 10, \
             \"allowlist\": [], \"denylist\": [\"enterprise-*\"]}}"
        ))
    })?;
    let percentage = vocab::BasisPoints::from_percent(form.percentage)?;
    Ok(pb::FlagDefinition {
        enabled: form.enabled,
        allowlist: form.allowlist,
        denylist: form.denylist,
        percentage_basis_points: percentage.get().into(),
        ..pb::FlagDefinition::default()
    })
}

/// Reads a file that somebody named.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The definition given, and the fields it sets.
pub(super) fn definition(
    form: &FlagForm,
) -> Result<Option<(pb::FlagDefinition, Vec<&'static str>)>, Failure> {
    if let Some(text) = &form.json {
        return Ok(Some((short_form(text)?, SHORT_FORM.to_vec())));
    }
    if let Some(path) = &form.definition {
        let what = path.display().to_string();
        let definition = read("softlaunch.flag.v1.FlagDefinition", &what, &file(path)?)?;
        return Ok(Some((definition, vec!["definition"])));
    }
    let Some(path) = &form.flagd else { return Ok(None) };
    let flagd = pb::FlagDefinition { flagd_json: file(path)?, ..Default::default() };
    Ok(Some((flagd, vec!["definition"])))
}

/// Writes down what is said about a flag, and names the fields.
fn describe(flag: &mut pb::Flag, about: &About) -> Result<Vec<&'static str>, Failure> {
    let mut paths = Vec::new();
    if let Some(description) = &about.description {
        flag.description.clone_from(description);
        paths.push("description");
    }
    if let Some(owner) = &about.owner {
        flag.owner.clone_from(owner);
        paths.push("owner");
    }
    if let Some(expires) = &about.expires {
        let time = vocab::Timestamp::parse(expires)
            .map_err(|why| Failure::usage(format!("--expires: {why}")))?;
        flag.expire_time = Some(service_kit::wire::wire_time(time));
        paths.push("expire_time");
    }
    if let Some(metadata) = pairs("--metadata", &about.metadata)? {
        flag.metadata = Some(metadata);
        paths.push("metadata");
    }
    Ok(paths)
}

pub(super) async fn create(
    connection: &Connection,
    key: &str,
    pipeline: &str,
    form: &FlagForm,
    about: &About,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let definition = definition(form)?.map(|(definition, _)| definition).unwrap_or_default();
    let mut flag = pb::Flag {
        definition: Some(definition),
        pipeline: pipeline.to_owned(),
        ..pb::Flag::default()
    };
    describe(&mut flag, about)?;
    let request = pb::CreateFlagRequest {
        flag_id: flag_name(key).trim_start_matches("flags/").to_owned(),
        flag: Some(flag),
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    };
    Ok(connection.flags()?.create_flag(request).await?.into_inner())
}

/// The flag as it is now: nobody else's change is overwritten by what is done with its etag.
pub(super) async fn current(connection: &Connection, key: &str) -> Result<pb::Flag, Failure> {
    let request = pb::GetFlagRequest { name: flag_name(key) };
    Ok(connection.flags()?.get_flag(request).await?.into_inner())
}

pub(super) async fn update(
    connection: &Connection,
    key: &str,
    form: &FlagForm,
    about: &About,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let known = current(connection, key).await?;
    let mut flag = pb::Flag { name: known.name, etag: known.etag, ..pb::Flag::default() };
    let mut paths = describe(&mut flag, about)?;
    if let Some((definition, fields)) = definition(form)? {
        flag.definition = Some(definition);
        paths.extend(fields);
    }
    if paths.is_empty() {
        let why =
            "nothing to change: name a definition, a description, an owner, an expiry or metadata";
        return Err(Failure::usage(why));
    }
    Ok(connection.flags()?.update_flag(changed(flag, &paths, given)).await?.into_inner())
}

fn changed(flag: pb::Flag, paths: &[&str], given: &Given) -> pb::UpdateFlagRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: Some(FieldMask { paths }),
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    }
}

/// Changes a flag by D7's form, or creates it.
pub(super) async fn set(
    connection: &Connection,
    key: &str,
    json: &str,
    pipeline: Option<&str>,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let definition = short_form(json)?;
    let mut client = connection.flags()?;
    let name = flag_name(key);
    let known = client.get_flag(pb::GetFlagRequest { name: name.clone() }).await;
    match (known, pipeline) {
        (Ok(known), _) => {
            let etag = known.into_inner().etag;
            let flag = pb::Flag { name, etag, definition: Some(definition), ..Default::default() };
            Ok(client.update_flag(changed(flag, &SHORT_FORM, given)).await?.into_inner())
        }
        (Err(status), Some(pipeline)) if status.code() == Code::NotFound => {
            let pipeline = pipeline.to_owned();
            let flag = pb::Flag { definition: Some(definition), pipeline, ..Default::default() };
            let request = pb::CreateFlagRequest {
                flag_id: name.trim_start_matches("flags/").to_owned(),
                flag: Some(flag),
                reason: given.reason.clone(),
                request_id: String::new(),
                validate_only: given.dry_run,
            };
            Ok(client.create_flag(request).await?.into_inner())
        }
        (Err(status), _) => Err(status.into()),
    }
}

pub(super) async fn delete(
    connection: &Connection,
    key: &str,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let known = current(connection, key).await?;
    let request = pb::DeleteFlagRequest {
        name: known.name,
        etag: known.etag,
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    };
    Ok(connection.flags()?.delete_flag(request).await?.into_inner())
}

pub(super) async fn undelete(
    connection: &Connection,
    key: &str,
    given: &Given,
) -> Result<pb::Flag, Failure> {
    let known = current(connection, key).await?;
    let request = pb::UndeleteFlagRequest {
        name: known.name,
        etag: known.etag,
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    };
    Ok(connection.flags()?.undelete_flag(request).await?.into_inner())
}
