//! What can go wrong around the archive: the source, the digests, the disk, the children themselves.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};

use image::unpack::{Compression, Converter, Expected, Refusal, Sha256Digest, UnpackError, UnpackLimits};

use super::archive::Archive;
use super::{converter, gzip, is_root, to_image};

fn some_layer() -> Vec<u8> {
    // Does not compress, and is more than all pipes hold.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let data: Vec<u8> = (0..6 << 20).map(|_| next()).collect();
    Archive::new().entry(b'0', "data", "", &data).end()
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    use sha2::Digest as _;
    Sha256Digest(sha2::Sha256::digest(bytes).into())
}

#[test]
fn digests_of_both_sides_in_all_compressions() {
    let tar = some_layer();
    for (compression, blob) in [
        (Compression::Plain, tar.clone()),
        (Compression::Gzip, gzip(&tar)),
        (Compression::Zstd, zstd::encode_all(&tar[..], 1).unwrap()),
    ] {
        let expected = Expected {
            compression: Some(compression),
            blob: Some(sha256(&blob)),
            blob_bytes: Some(blob.len() as u64),
            diff_id: Some(sha256(&tar)),
        };
        let (done, _) = to_image(&converter(), &blob, &expected).unwrap();
        assert_eq!((done.blob, done.diff_id, done.compression), (sha256(&blob), sha256(&tar), compression));
        assert_eq!((done.blob_bytes, done.tar_bytes), (blob.len() as u64, tar.len() as u64));

        let wrong = Some(sha256(b"something else"));
        let error = to_image(&converter(), &blob, &Expected { diff_id: wrong, ..expected }).unwrap_err();
        assert!(matches!(error, UnpackError::DiffId { found, .. } if found == sha256(&tar)), "{error}");
        let error = to_image(&converter(), &blob, &Expected { blob: wrong, ..expected }).unwrap_err();
        assert!(matches!(error, UnpackError::BlobDigest { found, .. } if found == sha256(&blob)), "{error}");
        for promised in [blob.len() as u64 - 1, blob.len() as u64 + 1] {
            let error = to_image(&converter(), &blob, &Expected { blob_bytes: Some(promised), ..expected });
            assert!(matches!(error, Err(UnpackError::BlobSize { expected, .. }) if expected == promised));
        }
    }
}

#[test]
fn a_damaged_blob_is_called_so_rather_than_what_it_leads_to() {
    let blob = gzip(&some_layer());
    let mut damaged = blob.clone();
    damaged[100_000] ^= 1;
    let expected = Expected { blob: Some(sha256(&blob)), ..Expected::default() };
    let error = to_image(&converter(), &damaged, &expected).unwrap_err();
    assert!(matches!(error, UnpackError::BlobDigest { .. }), "{error}");
    // With nothing promised it is the damage itself.
    let error = to_image(&converter(), &damaged, &Expected::default()).unwrap_err();
    assert!(matches!(error, UnpackError::Refused(_)), "{error}");
    let error = to_image(&converter(), &blob[..blob.len() / 2], &Expected::default()).unwrap_err();
    assert!(matches!(error, UnpackError::Refused(Refusal::Compressed(_))), "{error}");
}

#[test]
fn the_media_type_must_be_right() {
    let blob = gzip(&Archive::new().end());
    let expected = Expected { compression: Some(Compression::Zstd), ..Expected::default() };
    let error = to_image(&converter(), &blob, &expected).unwrap_err();
    assert!(matches!(
        error,
        UnpackError::CompressionMismatch { promised: Compression::Zstd, found: Compression::Gzip }
    ));
    assert!(matches!(to_image(&converter(), b"", &Expected::default()), Err(UnpackError::Empty)));
}

#[test]
fn bombs_are_stopped_early() {
    let zeros = Archive::new().entry(b'0', "zeros", "", &vec![0; 16 << 20]).end();
    let limits = UnpackLimits { ratio: 100, ratio_free_bytes: 4 << 20, ..UnpackLimits::default() };
    for blob in [gzip(&zeros), zstd::encode_all(&zeros[..], 1).unwrap()] {
        let error = to_image(&converter().with_limits(limits), &blob, &Expected::default()).unwrap_err();
        assert!(matches!(error, UnpackError::Ratio { limit: 100 }), "{error}");
        let limits = UnpackLimits { tar_bytes: 8 << 20, ..UnpackLimits::default() };
        let error = to_image(&converter().with_limits(limits), &blob, &Expected::default()).unwrap_err();
        assert!(matches!(error, UnpackError::TarTooLarge { .. }), "{error}");
        // A layer of that kind is no bomb by itself.
        to_image(&converter(), &blob, &Expected::default()).unwrap();
    }
}

struct Breaks<'a>(&'a [u8]);

impl Read for Breaks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the registry hung up")),
            other => other,
        }
    }
}

#[test]
fn a_source_that_breaks() {
    let blob = gzip(&some_layer());
    for blob in [&blob[..1000], &blob[..], &blob[..0]] {
        let output = tempfile::tempfile().unwrap();
        let error = converter().to_erofs(Breaks(blob), &Expected::default(), &output).unwrap_err();
        assert!(matches!(error, UnpackError::Source(_)), "{error}");
    }
}

#[test]
fn a_full_disk() {
    let Ok(full) = File::options().read(true).write(true).open("/dev/full") else {
        println!("skipped: no /dev/full");
        return;
    };
    for blob in [some_layer(), gzip(&some_layer())] {
        let error = converter().to_erofs(&blob[..], &Expected::default(), &full).unwrap_err();
        assert!(matches!(&error, UnpackError::Output(message) if message.contains("No space left")), "{error}");
    }
}

#[test]
fn children_that_die() {
    let as_child = |script: &str| Converter::new("/bin/sh", ["-c", script].map(OsString::from));
    let run = |script: &str| to_image(&as_child(script), &some_layer(), &Expected::default()).unwrap_err();
    assert!(matches!(run("kill -KILL $$"), UnpackError::ChildKilled { signal: 9, .. }));
    assert!(matches!(run("kill -SEGV $$"), UnpackError::ChildKilled { signal: 11, .. }));
    let failed = run("echo words >&2; exit 7");
    assert!(matches!(&failed, UnpackError::ChildFailed { status: 7, message, .. } if message == "words"), "{failed}");
    // One that ends well but reports nothing is not believed.
    assert!(matches!(run("exit 0"), UnpackError::ChildFailed { status: 0, .. }));
    // One that never stops talking neither blocks nor fills memory.
    assert!(matches!(run("head -c 3000000 /dev/zero >&2; exit 9"), UnpackError::ChildFailed { status: 9, .. }));
    let missing = Converter::new("/nonexistent/program", []);
    assert!(matches!(to_image(&missing, &some_layer(), &Expected::default()), Err(UnpackError::Spawn { .. })));
}

#[test]
fn a_child_over_its_memory() {
    let mut archive = Archive::new();
    let target = "x".repeat(99);
    for number in 0..200_000 {
        archive = archive.symlink(&format!("a-rather-long-name-to-fill-memory-with-{number}"), &target);
    }
    let limits = UnpackLimits { memory_bytes: 64 << 20, ..UnpackLimits::default() };
    let error = to_image(&converter().with_limits(limits), &archive.clone().end(), &Expected::default()).unwrap_err();
    assert!(matches!(error, UnpackError::ChildMemory { limit, .. } if limit == 64 << 20), "{error}");
    to_image(&converter(), &archive.end(), &Expected::default()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("fs")).unwrap();
    let ids = image::unpack::IdMap::Host;
    let error = converter().to_folder(&some_layer()[..], &Expected::default(), folder.path(), &ids).unwrap_err();
    assert!(matches!(&error, UnpackError::Output(message) if message.contains("exists")), "{error}");
    let gone = folder.path().join("gone");
    let error = converter().to_folder(&some_layer()[..], &Expected::default(), &gone, &ids).unwrap_err();
    assert!(matches!(&error, UnpackError::Output(_)), "{error}");
    converter().remove_folder(&gone, &ids).unwrap();
    converter().remove_folder(folder.path(), &ids).unwrap();
}
