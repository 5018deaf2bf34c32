//! One SMTP session, step by step: whether a message may have been taken depends on how far it came.

use std::time::Duration;

use comms_core::AttemptOutcome;
use lettre::Message;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;

use crate::channels::Answer;
use crate::settings::Tls;

// Both together are less than an attempt may take: what the time ran out on is always known.
const BEFORE_DATA: Duration = Duration::from_secs(7);
const AFTER_DATA: Duration = Duration::from_secs(6);
const FAREWELL: Duration = Duration::from_millis(500);
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// A mail server and how to talk to it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    /// There where `tls` asks for it.
    pub(super) parameters: Option<TlsParameters>,
    pub(super) hello: ClientId,
    pub(super) credentials: Option<Credentials>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Hands over a mail, once.
    pub(super) async fn deliver(&self, mail: &Message) -> Answer {
        // In a task of its own: a greeting that the client cannot bear must end nothing else.
        let asking = tokio::spawn(self.clone().open(mail.envelope().clone()));
        let mut connection = match tokio::time::timeout(BEFORE_DATA, asking).await {
            Ok(Ok(Ok(connection))) => connection,
            Ok(Ok(Err(answer))) => return answer,
            Ok(Err(_panicked)) => return Answer::transient("the mail server cannot be understood"),
            Err(_) => {
                return Answer::transient(
                    "the mail server did not answer in time: nothing was sent",
                );
            }
        };
        let text = mail.formatted();
        let handing_over = connection.message(&text);
        let answer = match tokio::time::timeout(AFTER_DATA, handing_over).await {
            Ok(Ok(response)) => Answer::new(AttemptOutcome::Sent, &said(&response)),
            Ok(Err(error)) if error.is_permanent() || error.is_transient() => refused(&error),
            Ok(Err(error)) => {
                Answer::unknown(&format!("lost after the message: {}", chain(&error)))
            }
            Err(_) => Answer::unknown("no answer to the message in time"),
        };
        // Best effort because the outcome is known: the server forgets us anyway.
        tokio::time::timeout(FAREWELL, connection.quit()).await.map(drop).unwrap_or_default();
        answer
    }

    /// Comes as far as `354`: nothing has been sent before that.
    async fn open(self, envelope: Envelope) -> Result<AsyncSmtpConnection, Answer> {
        let address = (self.host.as_str(), self.port);
        let implicit = self.parameters.clone().filter(|_| self.tls == Tls::Implicit);
        let connecting = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(BEFORE_DATA),
            &self.hello,
            implicit,
            None,
        );
        let mut connection = connecting.await.map_err(|error| refused(&error))?;
        if let (Tls::Starttls, Some(parameters)) = (self.tls, self.parameters) {
            if !connection.can_starttls() {
                return Err(Answer::permanent(
                    "the mail server offers no STARTTLS: nothing was said",
                ));
            }
            let upgrading = connection.starttls(parameters, &self.hello);
            upgrading.await.map_err(|error| refused(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            let info = connection.server_info();
            if info.get_auth_mechanism(&MECHANISMS).is_none() {
                return Err(Answer::permanent("the mail server offers neither PLAIN nor LOGIN"));
            }
            let logging_in = connection.auth(&MECHANISMS, credentials).await;
            logging_in.map_err(|error| refused(&error))?;
        }
        let mut parameters = Vec::new();
        let from_and_to = envelope.from().into_iter().chain(envelope.to());
        if !from_and_to.map(AsRef::<str>::as_ref).all(str::is_ascii) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Answer::permanent("the mail server does not know SMTPUTF8"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = Mail::new(envelope.from().cloned(), parameters);
        connection.command(from).await.map_err(|error| refused(&error))?;
        for to in envelope.to() {
            let to = Rcpt::new(to.clone(), Vec::new());
            connection.command(to).await.map_err(|error| refused(&error))?;
        }
        connection.command(Data).await.map_err(|error| refused(&error))?;
        Ok(connection)
    }
}

/// 5xx is for good; 4xx, and what broke before anything was sent, passes.
fn refused(error: &Error) -> Answer {
    if error.is_permanent() {
        Answer::permanent(&chain(error))
    } else {
        Answer::transient(&chain(error))
    }
}

fn said(response: &Response) -> String {
    let lines: Vec<_> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}

/// An error with its causes. None of them repeats what we said: no password is among them.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
