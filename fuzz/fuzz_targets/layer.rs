//! Arbitrary bytes as a layer: the converter neither panics nor runs away, whatever it is fed.
//! `cargo +nightly fuzz run layer`. The bounded form that always runs is in `crates/image/tests/it/unpack/fuzz.rs`.

#![no_main]

use image::unpack::{UnpackLimits, convert};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = UnpackLimits { content_bytes: 1 << 20, metadata_bytes: 16 << 20, ..UnpackLimits::default() };
    if let Ok(output) = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(scratch()) {
        // A refusal is as good as an image.
        let _ = convert(&limits, bytes, &output);
    }
});

fn scratch() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("fuzz-layer-{}", std::process::id()))
}
