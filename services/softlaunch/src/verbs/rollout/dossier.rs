//! `softlaunch rollout dossier`: why each step was allowed, by whom, on which evidence; in one document,
//! with everything it rests on beside it, to be verified without any service.

mod gather;
mod plot;
mod story;
mod verify;
mod write;

use std::path::Path;

use crate::arguments::Output;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::say;

pub(crate) use verify::verify;

/// Writes the dossier of a rollout into `dir`.
pub(crate) async fn run(
    connection: &Connection,
    name: &str,
    dir: &Path,
    output: Output,
) -> Result<(), Failure> {
    let gathered = gather::gather(connection, name).await?;
    let told = story::tell(&gathered)?;
    let files = write::write(&gathered, &told, dir)?;
    if output == Output::Json {
        let listed = serde_json::json!({ "dir": dir.display().to_string(), "files": files });
        say(listed);
        return Ok(());
    }
    say(format!("The dossier of {name} is in {}:", dir.display()));
    say("  dossier.html   the document, for a browser; dossier.md the same as text");
    say(format!("  and {} files it rests on, named in manifest.json", files.len() - 3));
    say(format!(
        "Verify it, here or elsewhere: softlaunch rollout dossier --verify {}",
        dir.display()
    ));
    Ok(())
}
