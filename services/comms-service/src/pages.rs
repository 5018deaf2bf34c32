//! What readers come for themselves: banners, the blog and the status page, made from the record of
//! what was sent.
//!
//! **Invariant:** nothing here writes, and no page holds markup that came with a message.

mod banner_api;
mod banners;
mod blog;
mod feed;
mod limits;
mod markup;
mod published;
mod reply;
mod server;
mod status;
mod summary;

use std::sync::{Arc, Mutex, PoisonError};

use crate::app::App;
use crate::settings::Settings;
pub(crate) use banner_api::BannerApi;
use banners::Flags;
use published::Published;
pub(crate) use server::serve;

/// What all pages are made from.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) app: Arc<App>,
    flags: Flags,
    /// What the status page is called.
    title: String,
    components: Vec<String>,
    public_url: String,
    published: Mutex<Option<Arc<Published>>>,
}

impl Pages {
    pub(crate) fn new(app: Arc<App>, settings: &Settings) -> Self {
        let page = &settings.status_page;
        Self {
            app,
            flags: Flags::new(&settings.peers),
            title: if page.name.is_empty() { "Status".to_owned() } else { page.name.clone() },
            components: page.components.clone(),
            public_url: settings.pages.public_url.trim_end_matches('/').to_owned(),
            published: Mutex::new(None),
        }
    }

    /// Where readers reach the pages: as set, or where they are served.
    fn base(&self, served: &str) -> String {
        if self.public_url.is_empty() {
            format!("http://{served}")
        } else {
            self.public_url.clone()
        }
    }

    /// The parts of the product: those set, then those that incidents name besides.
    fn parts(&self, published: &Published) -> Vec<String> {
        let mut parts = self.components.clone();
        for name in published.incidents.iter().flat_map(|incident| &incident.components) {
            if !parts.contains(name) {
                parts.push(name.clone());
            }
        }
        parts
    }

    /// What has been published by now. Gone through once for every change of the record.
    fn published(&self) -> Arc<Published> {
        let snapshot = self.app.state();
        let mut cached = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cached.as_ref()
            && known.revision == snapshot.version
        {
            return Arc::clone(known);
        }
        let messages = snapshot.state.messages.values();
        let messages = messages.map(|stored| (stored.kind, &stored.message));
        let fresh = Arc::new(Published::of(messages, snapshot.version));
        *cached = Some(Arc::clone(&fresh));
        fresh
    }
}
