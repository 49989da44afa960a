//! The confined side: what the hidden subcommand does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::process::exit;

use confine::{Enclosure, raise, set_limits};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Said};
use super::layer::Layer;
use super::tar::TarReader;
use super::{Compression, LayerReport, UnpackLimits, Walls, decompress, erofs, folder, probe};

/// Address space of the decompressor: its window and buffers many times over.
pub(super) const DECOMPRESSOR_BYTES: u64 = 512 << 20;
/// Open files of a child while it raises its walls; then it has its standard streams only.
pub(super) const OPEN_FILES: u64 = 8;
/// What a child between two streams may ask the kernel for.
pub(super) const STREAM_CALLS: &str = include_str!("../../data/unpack-stream.calls");
/// Exit status of a child that said why it failed.
pub(super) const SAID_WHY: i32 = 1;

/// What the parent asks for: the first argument, as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Standard input to standard output.
    Decompress { compression: Compression, limits: UnpackLimits },
    /// The archive on standard input into the image on standard output.
    Erofs { limits: UnpackLimits },
    /// The archive on standard input into the folder that the second argument names.
    Folder { limits: UnpackLimits, mapped: bool },
    /// Removes the folder that the second argument names.
    Remove { limits: UnpackLimits, mapped: bool },
    /// Tries what it must not be able to do.
    Probe { deed: probe::Deed, walls: probe::Standing },
}

/// Runs one order of a [`Converter`](super::Converter) and exits. `args` are the arguments behind those that the
/// converter was made with. Must be called first thing in `main`, before any thread is started.
pub fn child_main(args: impl IntoIterator<Item = OsString>) -> ! {
    let mut args = args.into_iter();
    let order = args.next().and_then(|order| serde_json::from_slice(order.as_encoded_bytes()).ok());
    let said = match order {
        Some(Order::Decompress { compression, limits }) => streams(DECOMPRESSOR_BYTES, 0, &limits, |input, output| {
            decompress::decompress(compression, input, output)?;
            Ok(LayerReport::default())
        }),
        Some(Order::Erofs { limits }) => {
            // Data and metadata, each file's last block filled up.
            let largest = limits.content_bytes.saturating_add(limits.entries.saturating_mul(3 * 4096));
            let largest = largest.saturating_add(limits.metadata_bytes.saturating_mul(2));
            streams(limits.memory_bytes, largest, &limits, |input, output| to_erofs(&limits, input, output))
        }
        Some(Order::Folder { limits, mapped }) => folder::child::write(args.next(), &limits, mapped),
        Some(Order::Remove { limits, mapped }) => folder::child::remove(args.next(), &limits, mapped),
        Some(Order::Probe { deed, walls }) => probe::run(deed, walls),
        None => {
            // A person typed the hidden subcommand.
            eprintln!("this subcommand is for the program itself");
            exit(2)
        }
    };
    finish(&said)
}

fn finish(said: &Said) -> ! {
    let text = serde_json::to_string(said).unwrap_or_default();
    // Nobody is there to hear of a failure.
    let _ = writeln!(io::stderr(), "{text}");
    exit(if matches!(said, Said::Done(_)) { 0 } else { SAID_WHY })
}

fn streams(
    memory: u64,
    file_bytes: u64,
    limits: &UnpackLimits,
    work: impl FnOnce(File, &File) -> Result<LayerReport, Fault>,
) -> Said {
    // Standard input and output as plain files: no buffer of the standard library in between.
    // SAFETY: both are open, and nothing else in this process uses them.
    let (input, output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
    let walls = set_limits(memory, limits.cpu_seconds, file_bytes, OPEN_FILES)
        .and_then(|()| raise(Enclosure::Streams, STREAM_CALLS));
    match walls {
        Err(message) => Said::Confine(message),
        Ok(walls) => said(work(input, &output), walls),
    }
}

pub(super) fn said(result: Result<LayerReport, Fault>, walls: Walls) -> Said {
    match result {
        Ok(report) => Said::Done(LayerReport { walls, ..report }),
        Err(fault) => fault.into(),
    }
}

fn to_erofs(limits: &UnpackLimits, input: impl Read, output: &File) -> Result<LayerReport, Fault> {
    convert(limits, input, output)
}

/// Writes the archive as an EROFS image into the empty file `output`. The work of the second child, without its walls:
/// only for input that is trusted, or for a process that is confined otherwise.
///
/// # Errors
/// Refuses hostile archives; fails where the input or the output does.
pub fn convert(limits: &UnpackLimits, input: impl Read, output: &File) -> Result<LayerReport, Fault> {
    let mut reader = TarReader::new(input);
    let mut layer = Layer::new(*limits);
    let mut data = erofs::DataArea::new(output);
    while let Some(entry) = reader.next_entry()? {
        if let Some(id) = layer.add(&entry)? {
            let place = data.store(entry.size, &mut reader)?;
            layer.set_place(id, place)?;
        }
    }
    layer.neutralised.trailing_bytes = reader.drain()?;
    let (image_bytes, inodes) = erofs::write_metadata(&layer, &data, output)?;
    Ok(report(layer, image_bytes, inodes))
}

pub(super) fn report(layer: Layer, image_bytes: u64, inodes: u64) -> LayerReport {
    LayerReport {
        entries: layer.entries,
        inodes,
        image_bytes,
        root_opaque: layer.root_opaque,
        neutralised: layer.neutralised,
        walls: Walls::default(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_lists_compile_and_give_a_reason_for_every_call() {
        for list in [super::STREAM_CALLS, super::folder::child::FOLDER_CALLS] {
            confine::check(list).unwrap();
        }
    }
}
