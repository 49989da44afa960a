//! `cofferdam image`: the image store of this machine.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use image::{ErrorKind, GcReport, ImageError, PullEvent, PullOptions, Reference, Store};

use crate::args::{ImageCommand, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;
use crate::show::duration;

impl From<ImageError> for CommandFailure {
    fn from(error: ImageError) -> Self {
        let exit = match error.kind() {
            ErrorKind::Input => Exit::Usage,
            ErrorKind::NotFound => Exit::Failed,
            ErrorKind::Auth => Exit::Auth,
            ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Local => Exit::Infrastructure,
        };
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            message.push_str(&format!(": {next}"));
            cause = next.source();
        }
        CommandFailure { exit, message, hint: error.hint() }
    }
}

/// Performs one of the sub-commands.
pub async fn run(command: &ImageCommand, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let store = place::store(home)?;
    match command {
        ImageCommand::Pull { images, output } => pull(&store, images, *output).await,
        ImageCommand::Ls { quiet, output } => list(&store, *quiet, *output),
        ImageCommand::Rm { images } => {
            for name in images {
                report(&store.remove(name)?);
            }
            Ok(Exit::Success)
        }
        ImageCommand::Gc { limit } => {
            report(&store.gc(*limit)?);
            Ok(Exit::Success)
        }
        ImageCommand::Import { path, name } => import(&store, path, name.as_deref()).await,
    }
}

async fn pull(store: &Store, images: &[String], output: OutputFormat) -> Result<Exit, CommandFailure> {
    let references =
        images.iter().map(|name| name.parse::<Reference>()).collect::<Result<Vec<_>, _>>().map_err(ImageError::from)?;
    for reference in references {
        let started = Instant::now();
        let progress = Progress::new();
        let options = PullOptions { always_pull: true, ..PullOptions::default() };
        let result = store.pull(&reference, &options, &progress).await;
        progress.end();
        let image = result?;
        match output {
            OutputFormat::Text => println!(
                "{reference}\n  {} ({} layers, {})",
                image.digest,
                image.layers.len(),
                duration(started.elapsed())
            ),
            OutputFormat::Json => println!(
                "{}",
                serde_json::json!({
                    "reference": reference.to_string(),
                    "digest": image.digest.to_string(),
                    "layers": image.layers.len(),
                    "bytes": image.layers.iter().map(|l| l.bytes).sum::<u64>(),
                    "took_ms": started.elapsed().as_millis() as u64,
                })
            ),
        }
    }
    Ok(Exit::Success)
}

fn list(store: &Store, quiet: bool, output: OutputFormat) -> Result<Exit, CommandFailure> {
    let images = store.list()?;
    let mut out = std::io::stdout().lock();
    if output == OutputFormat::Text && !quiet {
        let _ = writeln!(out, "{:<52} {:<14} {:>10}  {:<8} USED", "IMAGE", "DIGEST", "SIZE", "LAYERS");
    }
    for image in images {
        let digest = image.digest.to_string();
        let names: Vec<String> = image.references.iter().map(ToString::to_string).collect();
        if output == OutputFormat::Json {
            let line = serde_json::json!({
                "digest": digest, "references": names, "platform": image.platform.to_string(), "bytes": image.bytes,
                "layers": image.layers, "last_used": image.last_used, "in_use": image.in_use,
            });
            let _ = writeln!(out, "{line}");
            continue;
        }
        let names = if names.is_empty() { vec!["<none>".to_owned()] } else { names };
        for name in names {
            if quiet {
                let _ = writeln!(out, "{name}");
            } else {
                let short: String = digest.trim_start_matches("sha256:").chars().take(12).collect();
                let used = if image.in_use { "now".to_owned() } else { ago(image.last_used) };
                let _ = writeln!(out, "{name:<52} {short:<14} {:>10}  {:<8} {used}", size(image.bytes), image.layers);
            }
        }
    }
    Ok(Exit::Success)
}

async fn import(store: &Store, path: &Path, name: Option<&str>) -> Result<Exit, CommandFailure> {
    let name = name.map(str::parse::<Reference>).transpose().map_err(ImageError::from)?;
    let progress = Progress::new();
    let result = store.import(path, name.as_ref(), &progress).await;
    progress.end();
    for image in result? {
        println!("{}\n  {}", image.reference, image.digest);
    }
    Ok(Exit::Success)
}

fn report(report: &GcReport) {
    for digest in &report.removed_images {
        println!("removed {digest}");
    }
    println!(
        "{} layers removed, {} freed, {} kept",
        report.removed_layers,
        size(report.freed_bytes),
        size(report.kept_bytes)
    );
    if report.in_use > 0 {
        println!("{} images are in use and stay", report.in_use);
    }
}

/// Progress on standard error: one line that is redrawn on a terminal, lines elsewhere.
struct Progress {
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    received: u64,
    total: u64,
    layers: std::collections::HashMap<String, u64>,
    drawn: Option<Instant>,
}

impl Progress {
    fn new() -> Progress {
        let state = State { received: 0, total: 0, layers: std::collections::HashMap::new(), drawn: None };
        Progress { terminal: std::io::stderr().is_terminal(), state: Mutex::new(state) }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            eprint!("\r\u{1b}[K");
        }
        eprintln!("{text}");
    }

    fn end(&self) {
        if self.terminal {
            eprint!("\r\u{1b}[K");
        }
    }
}

impl image::Progress for Progress {
    fn event(&self, event: &PullEvent) {
        let Ok(mut state) = self.state.lock() else { return };
        match event {
            PullEvent::Resolved { reference, from, layers, bytes, .. } => {
                state.total += bytes;
                self.line(&format!("{reference}: {layers} layers, {} from {from}", size(*bytes)));
            }
            PullEvent::Waiting { what } => self.line(&format!("waiting: another process fetches {what}")),
            PullEvent::Retrying { what, reason } => self.line(&format!("again: {what}: {reason}")),
            PullEvent::LayerProgress { diff_id, received, .. } => {
                let before = state.layers.insert(diff_id.to_string(), *received).unwrap_or(0);
                state.received += received.saturating_sub(before);
                let due = state.drawn.is_none_or(|at| at.elapsed() > Duration::from_millis(100));
                if self.terminal && due {
                    state.drawn = Some(Instant::now());
                    eprint!("\r\u{1b}[K{} of {}", size(state.received), size(state.total));
                }
            }
            PullEvent::Present { .. }
            | PullEvent::LayerPresent { .. }
            | PullEvent::LayerStarted { .. }
            | PullEvent::LayerDone { .. } => {}
        }
    }
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

fn ago(seconds: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_secs(seconds);
    match SystemTime::now().duration_since(then).map_or(0, |d| d.as_secs()) {
        s @ 0..120 => format!("{s} s ago"),
        s @ 120..7200 => format!("{} min ago", s / 60),
        s @ 7200..172_800 => format!("{} h ago", s / 3600),
        s => format!("{} days ago", s / 86_400),
    }
}
