//! Contacts that are kept apart from the plan: a file that is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use plan::{Contact, Plan};
use service_kit::settings::SettingsError;

/// The file, and what was last good in it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// `None` where all contacts are in the plan.
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    written: Option<SystemTime>,
    contacts: Arc<[Contact]>,
}

impl Directory {
    /// Reads the file; where none is named there are no contacts but the plan's.
    ///
    /// # Errors
    /// Says what is wrong in it, and where.
    pub(crate) fn open(file: &str) -> Result<Self, SettingsError> {
        if file.is_empty() {
            return Ok(Self::default());
        }
        let file = PathBuf::from(file);
        let known = read(&file).map_err(|why| SettingsError(format!("contacts.file: {why}")))?;
        tracing::info!(file = %file.display(), contacts = known.contacts.len(), "contacts read");
        Ok(Self { file: Some(file), known: Mutex::new(known) })
    }

    /// The contacts of the file as it is now. Where it cannot be read any more they stay what they
    /// were, and that is logged.
    pub(crate) fn contacts(&self) -> Arc<[Contact]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &self.file else { return Arc::clone(&known.contacts) };
        let written = std::fs::metadata(file).and_then(|it| it.modified()).ok();
        if written != known.written {
            let file_name = file.display();
            match read(file) {
                Ok(read) => {
                    tracing::info!(file = %file_name, contacts = read.contacts.len(), "contacts read");
                    *known = read;
                }
                Err(why) => {
                    tracing::error!(why, "contacts cannot be read: going on with those before");
                    known.written = written; // Said once for each change.
                }
            }
        }
        Arc::clone(&known.contacts)
    }
}

fn read(file: &Path) -> Result<Known, String> {
    let name = file.display();
    let written = std::fs::metadata(file).and_then(|it| it.modified()).ok();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let contacts = plan::read_contacts(&text).map_err(|problems| {
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        format!("{name}: {}", said.join("; "))
    })?;
    Ok(Known { written, contacts: contacts.into() })
}

/// The plan with contacts besides its own. Of one id the plan's stays.
pub(crate) fn with(plan: &Arc<Plan>, contacts: &[Contact]) -> Arc<Plan> {
    if contacts.is_empty() {
        return Arc::clone(plan);
    }
    let mut plan = Plan::clone(plan);
    let own: Vec<_> = plan.communication.contacts.iter().map(|one| one.id.clone()).collect();
    let more = contacts.iter().filter(|one| !own.contains(&one.id)).cloned();
    plan.communication.contacts.extend(more);
    Arc::new(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(directory: &Directory) -> Vec<String> {
        directory.contacts().iter().flat_map(|one| one.addresses.clone()).collect()
    }

    /// Writes a file that is told from the one before by its time, however coarse that is.
    fn write(file: &Path, text: &str, second: u64) {
        std::fs::write(file, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000 + second);
        std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_slip_in_it_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("contacts.yaml");
        let of = |address: &str| format!("contacts:\n  - {{ id: acme, addresses: [{address}] }}\n");
        write(&file, &of("a@acme.example"), 1);
        let opened = Directory::open(file.to_str().unwrap()).unwrap();
        assert_eq!(addresses(&opened), ["a@acme.example"]);
        write(&file, &of("b@acme.example"), 2);
        assert_eq!(addresses(&opened), ["b@acme.example"]);
        write(&file, &of("no address"), 3);
        assert_eq!(addresses(&opened), ["b@acme.example"]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(addresses(&opened), ["b@acme.example"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_at_the_start_is_refused_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("contacts.yaml");
        let refused = Directory::open(file.to_str().unwrap()).unwrap_err().to_string();
        assert!(
            refused.contains("contacts.file") && refused.contains("contacts.yaml"),
            "{refused}"
        );
        write(&file, "contacts:\n  - { id: acme, addresses: [nobody] }\n", 1);
        let refused = Directory::open(file.to_str().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("mail address") && refused.contains('2'), "{refused}");
    }

    #[test]
    fn of_one_id_the_contact_of_the_plan_stays() {
        let (plan, _warnings) = Plan::parse(plan::SHIPPED).unwrap();
        let plan = Arc::new(plan);
        let own = plan.communication.contacts[0].clone();
        let other = Contact { addresses: vec!["x@example.com".to_owned()], ..own.clone() };
        let new = Contact { id: "brand-new".parse().unwrap(), ..other.clone() };
        let both = with(&plan, &[other, new.clone()]);
        assert_eq!(both.communication.contacts.len(), plan.communication.contacts.len() + 1);
        assert!(both.communication.contacts.contains(&own));
        assert!(both.communication.contacts.contains(&new));
    }
}
