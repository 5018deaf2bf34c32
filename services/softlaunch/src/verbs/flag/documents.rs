//! Documents of flags, in and out.

use std::path::Path;

use contracts::flag as pb;

use super::changing::file;
use crate::arguments::{Documents, Given, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, table};
use crate::verbs::flag_name;

/// A document of all flags may be larger than what is usual.
const DOCUMENT_BYTES_MAX: usize = 128 * 1024 * 1024;

const fn wire(form: Documents) -> pb::DocumentForm {
    match form {
        Documents::D7 => pb::DocumentForm::D7,
        Documents::Flagd => pb::DocumentForm::Flagd,
    }
}

pub(super) async fn import(
    connection: &Connection,
    path: &Path,
    form: Documents,
    pipeline: &str,
    given: &Given,
    output: Output,
) -> Result<(), Failure> {
    let request = pb::ImportFlagsRequest {
        form: wire(form).into(),
        document: file(path)?,
        pipeline: pipeline.to_owned(),
        reason: given.reason.clone(),
        request_id: String::new(),
        validate_only: given.dry_run,
    };
    let client = connection.flag_history()?.max_decoding_message_size(DOCUMENT_BYTES_MAX);
    let done = { client }.import_flags(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.flag.v1.ImportFlagsResponse", &done);
    }
    let mut table = table(["Flag", "Type", "On", "Revision"]);
    for flag in &done.flags {
        let definition = flag.definition.clone().unwrap_or_default();
        let (kind, on) = (super::kind(&definition).to_owned(), super::exposure(&definition));
        table.add_row([flag.name.clone(), kind, on, flag.revision.to_string()]);
    }
    say(table);
    let would = if given.dry_run { "would be " } else { "" };
    say(format!(
        "{} {would}created, {} {would}changed, {} as they were",
        done.created_count, done.changed_count, done.unchanged_count
    ));
    Ok(())
}

/// The document is what is asked for, whatever the output: it is JSON already.
pub(super) async fn export(
    connection: &Connection,
    flags: &[String],
    form: Documents,
    definitions_only: bool,
) -> Result<(), Failure> {
    let request = pb::ExportFlagsRequest {
        form: wire(form).into(),
        names: flags.iter().map(|flag| flag_name(flag)).collect(),
        definitions_only,
    };
    let client = connection.flag_history()?.max_decoding_message_size(DOCUMENT_BYTES_MAX);
    let exported = { client }.export_flags(request).await?.into_inner();
    let document: serde_json::Value = serde_json::from_str(&exported.document)
        .map_err(|error| Failure::refused(format!("the service's document: {error}")))?;
    say(serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::refused(error.to_string()))?);
    for omitted in &exported.omitted {
        tracing::warn!("left out: {omitted}");
    }
    Ok(())
}
