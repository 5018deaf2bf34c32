//! Documents of flags: D7's form and flagd's, in and out.

use std::sync::Arc;

use contracts::flag as pb;
use flag_core::flagd::{self, Effect};
use flag_core::{About, Attributes, Audience, Definition, Flag, Limits, check_new};
use service_kit::fault::Fault;
use service_kit::wire::signed;
use vocab::{FlagKey, PipelineId};

use crate::app::{App, Change, Given, Parts, with_parts};
use crate::convert::{fault, public_flag};
use crate::error::{DOMAIN, Refusal};
use crate::state::State;

impl App {
    /// Creates or changes the flags of a document, all or none.
    pub(crate) async fn import(
        &self,
        given: Given,
        form: pb::DocumentForm,
        document: &str,
        pipeline: &PipelineId,
    ) -> Result<pb::ImportFlagsResponse, Fault> {
        let wanted = read(form, document)?;
        let dry = given.validate_only;
        let before = self.replica.snapshot();
        let decide = |state: &State| {
            let changes =
                wanted.iter().map(|(key, definition)| change(state, key, definition, pipeline));
            let changes = changes.collect::<Result<Vec<_>, _>>()?;
            Ok(changes.into_iter().flatten().collect())
        };
        let (snapshot, records) = self.change_all(given, decide).await?;
        let mut response = pb::ImportFlagsResponse::default();
        for (key, _) in &wanted {
            let known = before.state.flags.get(key.as_str());
            let Some(now) = snapshot.state.flags.get(key.as_str()) else { continue };
            let touched = records.iter().any(|record| record.version == now.revision);
            let changed = touched || (dry && known.is_none_or(|known| known.flag != now.flag));
            match (changed, known) {
                (false, _) => response.unchanged_count += 1,
                (true, None) => response.created_count += 1,
                (true, Some(_)) => response.changed_count += 1,
            }
            response.flags.push(public_flag(now));
        }
        Ok(response)
    }

    /// Writes flags as a document.
    pub(crate) fn export(
        &self,
        form: pb::DocumentForm,
        names: &[String],
        definitions_only: bool,
    ) -> Result<pb::ExportFlagsResponse, Fault> {
        let snapshot = self.replica.snapshot();
        let mut chosen: Vec<Arc<Flag>> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let key = crate::convert::flag_key(&format!("names[{at}]"), name)?;
            chosen.push(Arc::clone(&self.flag(key.as_str())?.flag));
        }
        if names.is_empty() {
            let live = snapshot.state.flags.values().filter(|stored| !stored.is_deleted());
            chosen = live.map(|stored| Arc::clone(&stored.flag)).collect();
        }
        let mut omitted = Vec::new();
        let document = match form {
            pb::DocumentForm::D7 => {
                let mut flags = serde_json::Map::new();
                for flag in &chosen {
                    match flag_core::export_d7(flag) {
                        Ok(json) => {
                            flags.insert(flag.key.to_string(), json);
                        }
                        Err(why) => omitted.push(format!("flags/{} {why}", flag.key)),
                    }
                }
                serde_json::Value::Object(flags)
            }
            pb::DocumentForm::Flagd => {
                let written = chosen.iter().map(|flag| {
                    let json = if definitions_only {
                        let unpaused = Flag { paused: false, ..flag.as_ref().clone() };
                        flagd::export(&unpaused, &Effect::default())
                    } else {
                        flagd::export(flag, &self.effect(flag))
                    };
                    (flag.key.to_string(), json)
                });
                flagd::document(written, &Attributes::new())
            }
            pb::DocumentForm::Unspecified => return Err(no_form()),
        };
        let revision = signed(snapshot.version);
        Ok(pb::ExportFlagsResponse { document: document.to_string(), revision, omitted })
    }
}

fn no_form() -> Fault {
    Fault::field(DOMAIN, "form", "is required: D7 or FLAGD")
}

fn read(form: pb::DocumentForm, document: &str) -> Result<Vec<(FlagKey, Definition)>, Fault> {
    let within = |problem: flag_core::Problem| fault(problem.within("document"));
    match form {
        pb::DocumentForm::Unspecified => Err(no_form()),
        pb::DocumentForm::D7 => {
            let flags = flag_core::import_d7(document).map_err(within)?;
            Ok(flags.into_iter().map(|(key, audience)| (key, audience.into())).collect())
        }
        pb::DocumentForm::Flagd => {
            let flags = flagd::bundle(document).map_err(within)?;
            let imported = flags
                .into_iter()
                .map(|(key, imported)| (key, Definition::Imported(Arc::new(imported))));
            Ok(imported.collect())
        }
    }
}

/// What an imported definition makes of the flag of its key.
fn change(
    state: &State,
    key: &FlagKey,
    wanted: &Definition,
    pipeline: &PipelineId,
) -> Result<Option<(FlagKey, Change)>, Refusal> {
    let Some(stored) = state.flags.get(key.as_str()) else {
        check_new(wanted)?;
        let flag = Flag {
            key: key.clone(),
            pipeline: pipeline.clone(),
            definition: wanted.clone(),
            limits: Limits::default(),
            rollout: String::new(),
            phase: None,
            generation: 0,
            paused: false,
            about: About::default(),
        };
        return Ok(Some((key.clone(), Change::To(Box::new(flag)))));
    };
    if stored.is_deleted() {
        return Err(Refusal::Deleted(key.clone()));
    }
    let flag = stored.flag.as_ref();
    let definition = match (&flag.definition, wanted) {
        // D7's form has no word for the rest: it stays.
        (Definition::Audience(known), Definition::Audience(wanted)) => Audience {
            enabled: wanted.enabled,
            allow: wanted.allow.clone(),
            deny: wanted.deny.clone(),
            percentage: wanted.percentage,
            ..known.as_ref().clone()
        }
        .into(),
        (_, wanted) => wanted.clone(),
    };
    if let Definition::Audience(audience) = &definition {
        audience.check().map_err(|problem| Refusal::from(fault(problem.within(key.as_str()))))?;
    }
    let parts = Parts { definition, limits: flag.limits, about: flag.about.clone() };
    let changed = with_parts(flag, parts)?;
    Ok((changed != *flag).then(|| (key.clone(), Change::To(Box::new(changed)))))
}
