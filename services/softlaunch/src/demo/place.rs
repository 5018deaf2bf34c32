//! Where the demo takes place: a directory, a demo clock, receivers for its messages, services.

use std::collections::BTreeMap;
use std::path::PathBuf;

use capture::{Mail, Slack};
use comms_service::ChannelSettings;
use service_kit::clock::{Clock, Demo};

use crate::allinone::{AllInOne, Placement, comms_settings, start_services};
use crate::arguments::DemoArguments;
use crate::clockfile;
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::output::say;

/// The directory and its clock.
pub(crate) struct Place {
    data_dir: PathBuf,
    demo: Demo,
}

/// Everything the tour goes through.
pub(crate) struct Stage {
    pub(crate) endpoints: Endpoints,
    pub(crate) clock: Clock,
    pub(crate) demo: Demo,
    pub(crate) data_dir: PathBuf,
    /// Receives what is posted to Slack.
    pub(crate) slack: Slack,
    /// Receives mail.
    pub(crate) mail: Mail,
}

const FINISHED: &str = "demo-finished";

impl Place {
    /// Makes the directory ready: a demo that was cut off goes on, one that ended begins anew.
    pub(crate) async fn prepare(arguments: &DemoArguments) -> Result<Self, Failure> {
        let data_dir = arguments.data_dir.clone();
        let shown = data_dir.display();
        let failed =
            |error: std::io::Error| Failure::refused(format!("cannot use {shown}: {error}"));
        if data_dir.join(FINISHED).exists() {
            // The marker is ours: only a directory that a demo finished in is cleared.
            say(format!("The demo in {shown} had ended: beginning a new one there."));
            tokio::fs::remove_dir_all(&data_dir).await.map_err(failed)?;
        } else if data_dir.join("store.redb").exists() {
            say(format!("The demo in {shown} was cut off: going on where it was."));
        }
        tokio::fs::create_dir_all(&data_dir).await.map_err(failed)?;
        let demo = clockfile::keep(&data_dir, arguments.demo_factor)?;
        Ok(Self { data_dir, demo })
    }

    /// Starts receivers and services.
    pub(crate) async fn open(
        self,
        arguments: &DemoArguments,
    ) -> Result<(Stage, AllInOne), Failure> {
        let failed = |error: std::io::Error| Failure::refused(error.to_string());
        let (slack, mail) =
            (Slack::start().await.map_err(failed)?, Mail::start().await.map_err(failed)?);
        let mut comms = comms_settings(None)?;
        comms.channels = ["slack-engineering", "slack-incidents"]
            .map(|channel| {
                let webhook_url = comms_service::Secret::new(slack.url(channel));
                (channel.to_owned(), ChannelSettings { webhook_url, ..ChannelSettings::default() })
            })
            .into_iter()
            .collect::<BTreeMap<_, _>>();
        comms.smtp.host = mail.address().ip().to_string();
        comms.smtp.from = "Softlaunch demo <softlaunch@example.com>".to_owned();
        comms.smtp.port = mail.address().port();
        let clock = Clock::new(Some(self.demo));
        let running = start_services(Placement {
            data_dir: self.data_dir.clone(),
            free_ports: arguments.free_ports,
            secure: None,
            clock: clock.clone(),
            comms,
        })
        .await?;
        let endpoints = running.endpoints.clone();
        let (demo, data_dir) = (self.demo, self.data_dir);
        Ok((Stage { endpoints, clock, demo, data_dir, slack, mail }, running))
    }
}

impl Stage {
    /// Marks the directory as one whose demo has ended.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let marker = self.data_dir.join(FINISHED);
        std::fs::write(&marker, "The tour is over: the next demo clears this directory.\n").map_err(
            |error| Failure::refused(format!("cannot write {}: {error}", marker.display())),
        )
    }
}
