//! `cofferdam artifacts`: what a run has archived, listed or brought here.
//!
//! Never: writes outside of the folder that was named, through a link in it, or over what is no file, whatever the server says.

use std::io::{IsTerminal as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::below::{Begun, Below, inside};
use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wire::artifact::{Listed, encoded, is_path};

use super::image::size;
use crate::args::OutputFormat;
use crate::args::artifacts::ArtifactsArgs;
use crate::client::Client;
use crate::failure::{CommandFailure, Exit};

/// Tries of one file that bring nothing new, before it is given up.
const TRIES: u32 = 5;
/// Before another try; twice as long each time.
const PAUSE: Duration = Duration::from_millis(250);
/// A server that says nothing so long does not answer.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two words of progress, in bytes.
const STEP: u64 = 1 << 20;

/// `cofferdam artifacts`.
pub async fn artifacts(args: &ArtifactsArgs) -> Result<Exit, CommandFailure> {
    let client = Client::new(&args.client)?;
    let all = list(&client, args.run).await?;
    let wanted = chosen(&all, &args.paths, args.run)?;
    let Some(folder) = &args.to else {
        for artifact in wanted {
            match args.client.output {
                OutputFormat::Json => println!("{}", json!(artifact)),
                OutputFormat::Text => println!("{:>10}  {}", size(artifact.bytes), artifact.path),
            }
        }
        return Ok(Exit::Success);
    };
    let below = Below::open(folder).map_err(|error| CommandFailure::io("open", folder, &error))?;
    let shows = args.client.output == OutputFormat::Text && std::io::stderr().is_terminal();
    for artifact in wanted {
        let target = folder.join(&artifact.path);
        let file = Download { client: &client, run: args.run, artifact, target: &target, shows };
        file.bring(&below).await?;
        match args.client.output {
            OutputFormat::Json => {
                let Listed { path, bytes, sha256 } = artifact;
                println!("{}", json!({ "path": path, "bytes": bytes, "sha256": sha256, "file": target }));
            }
            OutputFormat::Text => println!("{}", target.display()),
        }
    }
    Ok(Exit::Success)
}

/// All of them. A server that names what is no path is not believed anything else.
async fn list(client: &Client, run: u64) -> Result<Vec<Listed>, CommandFailure> {
    let (mut all, mut after) = (Vec::<Listed>::new(), String::new());
    loop {
        let path = format!("/api/v1/runs/{run}/artifacts?after={}", encoded(&after));
        let answer = client.ask(Method::GET, &path, None).await?;
        let strange = |what: String| CommandFailure::new(Exit::Infrastructure, format!("the server lists {what}"));
        let page = serde_json::from_value::<Vec<Listed>>(answer["artifacts"].clone());
        let page = page.map_err(|error| strange(format!("what is none: {error}")))?;
        if let Some(artifact) = page.iter().find(|artifact| !is_path(&artifact.path)) {
            return Err(strange(format!("an artifact {:?}, which is no path", artifact.path)));
        }
        all.extend(page);
        match answer["next_after"].as_str() {
            Some(next) if next != after => next.clone_into(&mut after),
            _ => return Ok(all),
        }
    }
}

/// Those that are named, or lie below what is named.
fn chosen<'a>(all: &'a [Listed], paths: &[String], run: u64) -> Result<Vec<&'a Listed>, CommandFailure> {
    let is_of = |artifact: &Listed, path: &str| {
        artifact
            .path
            .strip_prefix(path.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(none) = paths.iter().find(|path| !all.iter().any(|artifact| is_of(artifact, path))) {
        return Err(CommandFailure::usage(format!("run {run} has no artifact {none:?}")));
    }
    let is_wanted = |artifact: &&Listed| paths.is_empty() || paths.iter().any(|path| is_of(artifact, path));
    Ok(all.iter().filter(is_wanted).collect())
}

/// A file on its way.
struct Download<'a> {
    client: &'a Client,
    run: u64,
    artifact: &'a Listed,
    target: &'a Path,
    /// Somebody looks on.
    shows: bool,
}

/// What is here of it.
struct Here {
    begun: Begun,
    digest: Sha256,
    bytes: u64,
    /// What was here when it was tried last.
    before: u64,
}

impl Download<'_> {
    /// Until it is here, whole.
    async fn bring(&self, below: &Below) -> Result<(), CommandFailure> {
        let failed = |error: std::io::Error| CommandFailure::io("write", self.target, &error);
        let parts: Vec<PathBuf> = inside(Path::new(&self.artifact.path)).unwrap_or_default();
        let begun = below.begin(&parts).map_err(failed)?;
        let mut here = Here { begun, digest: Sha256::new(), bytes: 0, before: 0 };
        let (mut tries, mut pause) = (0, PAUSE);
        while !self.go_on(&mut here).await? {
            // A line that brings something each time is only slow.
            let is_stuck = here.bytes == here.before;
            (tries, pause) = if is_stuck { (tries + 1, pause * 2) } else { (0, PAUSE) };
            if tries >= TRIES {
                let message = format!("{}: the connection breaks again and again", self.artifact.path);
                return Err(CommandFailure::new(Exit::Infrastructure, message));
            }
            here.before = here.bytes;
            tokio::time::sleep(pause).await;
        }
        if self.shows {
            eprint!("\r\x1b[K");
        }
        let digest: String = here.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != self.artifact.sha256 {
            let message = format!("{}: what has come is not what was archived", self.artifact.path);
            return Err(CommandFailure::new(Exit::Infrastructure, message));
        }
        here.begun.finish().map_err(failed)
    }

    /// Brings what is not here yet. False: the connection broke.
    async fn go_on(&self, here: &mut Here) -> Result<bool, CommandFailure> {
        let path = format!("/api/v1/runs/{}/artifacts/{}", self.run, encoded(&self.artifact.path));
        let response = match self.client.download(&path, here.bytes).await {
            Ok(response) => response,
            Err(failure) if failure.exit == Exit::Infrastructure => return Ok(false),
            Err(failure) => return Err(failure),
        };
        let failed = |error: std::io::Error| CommandFailure::io("write", self.target, &error);
        if here.bytes > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            // Not the rest, but all of it.
            here.begun.file.set_len(0).and_then(|()| here.begun.file.rewind()).map_err(failed)?;
            (here.digest, here.bytes, here.before) = (Sha256::new(), 0, 0);
        }
        let mut pieces = response.bytes_stream();
        while here.bytes < self.artifact.bytes {
            let Ok(Some(Ok(piece))) = tokio::time::timeout(SILENCE, pieces.next()).await else { return Ok(false) };
            let left = usize::try_from(self.artifact.bytes - here.bytes).unwrap_or(usize::MAX);
            let piece = &piece[..piece.len().min(left)];
            here.begun.file.write_all(piece).map_err(failed)?;
            here.digest.update(piece);
            let steps = here.bytes / STEP;
            here.bytes += piece.len() as u64;
            if self.shows && here.bytes / STEP > steps {
                let Listed { path, bytes, .. } = self.artifact;
                eprint!("\r{path}  {} of {}\x1b[K", size(here.bytes), size(*bytes));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_chosen() {
        let listed = |path: &str| Listed { path: path.into(), bytes: 1, sha256: String::new() };
        let all = ["a", "b/c", "b/d/e", "bb"].map(listed);
        let check = |paths: &[&str], expect: &[&str]| {
            let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            let found = chosen(&all, &paths, 1).unwrap();
            assert_eq!(found.iter().map(|artifact| artifact.path.as_str()).collect::<Vec<_>>(), expect, "{paths:?}");
        };
        check(&[], &["a", "b/c", "b/d/e", "bb"]);
        check(&["b"], &["b/c", "b/d/e"]);
        check(&["b/d/", "a"], &["a", "b/d/e"]);
        for none in ["c", "b/c/d", "b/"] {
            assert_eq!(chosen(&all, &[none.to_owned()], 1).is_err(), none != "b/", "{none}");
        }
    }
}
