//! `softlaunch store`: everything a store keeps, moved to another one.

mod file;
mod lines;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use service_kit::clock::real_now;
use store::{Head, Import, Item, Location, Store, StoreError, StreamName};
use tokio::sync::mpsc;

use crate::arguments::{Output, StoreAt, StoreVerb};
use crate::failure::Failure;
use crate::output::{say, table};

use file::{Export, Writing};

const CHUNK: usize = 500; // Items put in at once.
const PAGE: usize = 500; // Records read at once.

/// Where each journal ends.
type Heads = BTreeMap<StreamName, Head>;

pub(crate) async fn run(verb: &StoreVerb, output: Output) -> Result<(), Failure> {
    match verb {
        StoreVerb::Export { at, file } => export(at, file, output).await,
        StoreVerb::Import { at, file } => import(at, file, output).await,
    }
}

fn failed(error: StoreError) -> Failure {
    Failure::refused(error.to_string())
}

async fn export(at: &StoreAt, path: &Path, output: Output) -> Result<(), Failure> {
    let location = Location::parse(&at.store)?;
    let options = at.tls.options();
    let opening = Store::open_existing(&location, Arc::new(real_now), &options).await;
    let store = opening.map_err(failed)?;
    let mut writing = Writing::begin(path)?;
    let progress = progress("exported");
    let (items, mut taken) = mpsc::channel(CHUNK);
    let (dumped, written) = tokio::join!(store.dump(items), async {
        while let Some(item) = taken.recv().await {
            writing.write(&item)?;
            progress.inc(1);
        }
        Ok::<_, Failure>(())
    });
    progress.finish_and_clear();
    written?;
    dumped.map_err(failed)?;
    for (stream, head) in writing.heads() {
        let now = store.journal.head(stream).await.map_err(failed)?;
        if now != *head {
            return Err(Failure::refused(format!(
                "journal {stream} was written to meanwhile: stop the services and export again"
            )));
        }
    }
    let export = writing.finish()?;
    report(&export, &location, "exported from", output);
    Ok(())
}

async fn import(at: &StoreAt, path: &Path, output: Output) -> Result<(), Failure> {
    let location = Location::parse(&at.store)?;
    let checking = progress("checked");
    let export = file::read(path, |_item| {
        checking.inc(1);
        Ok(())
    })?;
    checking.finish_and_clear();
    let options = at.tls.options();
    let import = Import::begin(&location, Arc::new(real_now), &options, export.digest);
    let import = import.await.map_err(failed)?;
    fill(&import, path, &export).await?;
    verify(import.store(), &export.heads).await?;
    import.finish().await.map_err(failed)?;
    report(&export, &location, "imported into", output);
    Ok(())
}

/// Puts in what the file has, a chunk at a time.
async fn fill(import: &Import, path: &Path, export: &Export) -> Result<(), Failure> {
    let progress = progress("imported");
    progress.set_length(export.items);
    let (chunks, mut taken) = mpsc::channel::<Vec<Item>>(2);
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        let gone = || Failure::refused("the import ended early");
        let again = file::read(&path, |item| {
            chunk.push(item);
            if chunk.len() == CHUNK {
                return chunks.blocking_send(std::mem::take(&mut chunk)).map_err(|_e| gone());
            }
            Ok(())
        })?;
        chunks.blocking_send(chunk).map_err(|_e| gone())?;
        Ok::<_, Failure>(again)
    });
    while let Some(chunk) = taken.recv().await {
        let count = chunk.len() as u64;
        import.load(chunk).await.map_err(failed)?;
        progress.inc(count);
    }
    progress.finish_and_clear();
    let again = reading.await.map_err(|error| Failure::refused(error.to_string()))??;
    if again.digest != export.digest {
        return Err(Failure::refused("the file changed while it was read: run the import again"));
    }
    Ok(())
}

/// Reads every journal of the new store from its beginning, and compares where it ends.
async fn verify(store: &Store, expected: &Heads) -> Result<(), Failure> {
    for (stream, expected) in expected {
        let mut head = Head::default();
        loop {
            let page = store.journal.read(stream, head.version, PAGE).await.map_err(failed)?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                head = head.followed_by(stream, record).map_err(failed)?;
            }
        }
        if head != *expected {
            return Err(Failure::refused(format!(
                "journal {stream} ends at version {} in the store, and at {} in the file",
                head.version, expected.version
            )));
        }
    }
    Ok(())
}

fn report(export: &Export, location: &Location, what: &str, output: Output) {
    if output == Output::Json {
        let heads = export.heads.iter().map(|(stream, head)| {
            let head = serde_json::json!({"version": head.version, "hash": head.hash.to_string()});
            (stream.to_string(), head)
        });
        say(serde_json::json!({
            "store": location.to_string(),
            "items": export.items,
            "digest": export.digest.to_string(),
            "heads": heads.collect::<serde_json::Map<_, _>>(),
        }));
        return;
    }
    let mut shown = table(["Journal", "Records", "Head"]);
    for (stream, head) in &export.heads {
        shown.add_row([stream.to_string(), head.version.to_string(), head.hash.to_string()]);
    }
    say(shown);
    say(format!("{} items {what} {location}; SHA-256 {}", export.items, export.digest));
}

/// A count on standard error, where somebody is looking at it.
fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} items {msg}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
