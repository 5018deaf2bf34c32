//! For whom a banner is shown: the workspaces for which its flag is on, and nobody while that is not
//! known.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use client::{Context, FlagOptions, FlagWatch, KillWatch, Policy, WatchOptions};
use contracts::comms as pb;
use service_kit::bootstrap::Error;
use service_kit::wire::{signed, wire_time};
use uuid::Uuid;

use super::Pages;
use super::published::Banner;
use crate::settings::Peers;

const STALE_AFTER: Duration = Duration::from_secs(10); // As for workers.
const FIRST_WORD: Duration = Duration::from_secs(2); // What the very first reader waits at most.

/// The flags as everybody evaluates them. Followed from the first question on: who shows no banners
/// needs no flag service.
#[derive(Debug)]
pub(super) struct Flags {
    peers: Peers,
    watch: OnceLock<Option<Arc<FlagWatch>>>,
}

/// What a workspace is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) banners: Vec<pb::Banner>,
    pub(super) revision: i64,
    pub(super) out_of_touch: bool,
}

impl Flags {
    pub(super) fn new(peers: &Peers) -> Self {
        Self { peers: peers.clone(), watch: OnceLock::new() }
    }

    /// The flags, if their service is in touch.
    async fn current(&self) -> Option<&FlagWatch> {
        let watch = self.watch.get_or_init(|| {
            self.start().inspect_err(|why| tracing::error!(%why, "no banner can be shown")).ok()
        });
        let watch = watch.as_deref()?;
        if watch.staleness().is_none() {
            // Best effort because staleness is looked at next.
            tokio::time::timeout(FIRST_WORD, watch.first_word()).await.unwrap_or_default();
        }
        (!watch.is_stale()).then_some(watch)
    }

    fn start(&self) -> Result<Arc<FlagWatch>, Error> {
        let credentials = self.peers.credentials()?;
        let options = WatchOptions {
            worker_id: format!("comms-service-{}", Uuid::new_v4()),
            pipeline: "all".to_owned(),
            policy: Policy { stale_after: STALE_AFTER, fail_closed: true },
            trust_max: Some(STALE_AFTER),
            state_file: None,
            credentials: credentials.clone(),
        };
        let kills = KillWatch::start(&self.peers.killswitch, options)?;
        let options = FlagOptions { credentials, ..FlagOptions::default() };
        Ok(FlagWatch::start(&self.peers.flag, kills, options)?)
    }
}

impl Pages {
    /// What `context` is shown now.
    pub(super) async fn shown_to(&self, context: &Context) -> Shown {
        let published = self.published();
        let revision = signed(published.revision);
        let Some(flags) = self.flags.current().await else {
            return Shown { banners: Vec::new(), revision, out_of_touch: true };
        };
        let mut banners = Vec::new();
        for banner in &published.banners {
            let flag = banner.flag.strip_prefix("flags/").unwrap_or(&banner.flag);
            match flags.evaluate(flag, context).await {
                Ok(answer) if answer.stale => {
                    return Shown { banners: Vec::new(), revision, out_of_touch: true };
                }
                Ok(answer) if answer.enabled => banners.push(on_wire(banner, answer.revision)),
                Ok(_) => {}
                Err(why) => tracing::debug!(flag, %why, "a banner whose flag cannot be evaluated"),
            }
        }
        Shown { banners, revision, out_of_touch: false }
    }
}

fn on_wire(banner: &Banner, flag_revision: u64) -> pb::Banner {
    pb::Banner {
        name: format!("banners/{}", banner.id),
        title: banner.title.clone(),
        text: banner.text.clone(),
        flag: format!("flags/{}", banner.flag.trim_start_matches("flags/")),
        flag_revision: signed(flag_revision),
        revision: banner.revision,
        create_time: Some(wire_time(banner.created)),
        update_time: Some(wire_time(banner.updated)),
        test: banner.test,
    }
}
