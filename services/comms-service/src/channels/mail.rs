//! Mail over SMTP: one recipient a message. Meetings are mail with an invitation in it.

mod invitation;
mod session;
mod writing;

use std::path::Path;

use contracts::comms as pb;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use service_kit::settings::SettingsError;

use crate::channels::Answer;
use crate::settings::{SmtpSettings, Tls};
use session::Server;

/// The mail server, and who writes.
#[derive(Debug)]
pub(crate) struct Mail {
    server: Server,
    from: Mailbox,
}

impl Mail {
    pub(crate) fn new(settings: &SmtpSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let from = settings.from.parse().map_err(|_e| {
            let shown = vocab::excerpt(&settings.from);
            SettingsError(format!("smtp.from: `{shown}` is not an address such as a@example.com"))
        })?;
        let hello = if settings.hello_name.is_empty() {
            ClientId::default()
        } else {
            ClientId::Domain(settings.hello_name.clone())
        };
        let credentials = (!settings.username.is_empty()).then(|| {
            let password = settings.password.reveal().to_owned();
            Credentials::new(settings.username.clone(), password)
        });
        let (host, port, tls) = (settings.host.clone(), settings.port, settings.tls);
        let parameters = if tls == Tls::None { None } else { Some(trusted(settings)?) };
        Ok(Self { server: Server { host, port, tls, parameters, hello, credentials }, from })
    }

    pub(crate) async fn send(&self, message: &pb::Message) -> Answer {
        match writing::write(message, &self.from) {
            Ok(mail) => self.server.deliver(&mail).await,
            Err(why) => Answer::permanent(&why),
        }
    }
}

/// Whose certificates are trusted: the system's, or those of one authority alone.
fn trusted(settings: &SmtpSettings) -> Result<TlsParameters, SettingsError> {
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if !settings.ca_file.is_empty() {
        let file = Path::new(&settings.ca_file).display();
        let wrong = |why: String| SettingsError(format!("smtp.ca_file: {file}: {why}"));
        let pem = std::fs::read(&settings.ca_file).map_err(|error| wrong(error.to_string()))?;
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        let authority = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
    }
    parameters.build_rustls().map_err(|error| SettingsError(format!("smtp.tls: {error}")))
}
