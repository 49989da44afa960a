//! Manifests, indexes and configs as a registry may send them: read or refused, nothing else. The bounded form that always
//! runs is in `crates/image/src/manifest_tests.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for media_type in [None, Some("application/vnd.oci.image.index.v1+json"), Some("application/vnd.docker.distribution.manifest.v2+json")] {
        let _ = image::manifest::Manifest::parse(bytes, media_type, "fuzz");
    }
    let _ = image::ImageConfig::parse(bytes, "fuzz");
});
