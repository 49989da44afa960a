//! The layer converter: hostile archives, honest ones against other tools, walls, failures.

mod archive;
mod failures;
mod fuzz;
mod hostile;
mod reader;
mod reference;
mod unprivileged;
mod walls;

use std::fs::File;
use std::io::{Read, Seek, Write};

use image::unpack::{Converter, Expected, IdMap, LayerReport, UnpackError, UnpackLimits, Unpacked};

/// A converter whose children are the program for that.
fn converter() -> Converter {
    Converter::new(env!("CARGO_BIN_EXE_unpack-child"), [])
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Converts a blob into the bytes of an image.
fn to_image(converter: &Converter, blob: &[u8], expected: &Expected) -> Result<(Unpacked, Vec<u8>), UnpackError> {
    let mut output = tempfile::tempfile().unwrap();
    let done = converter.to_erofs(blob, expected, &output)?;
    let mut bytes = vec![];
    output.rewind().unwrap();
    output.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, done.layer.image_bytes);
    Ok((done, bytes))
}

/// What a layer must become: lines of a listing (see [`reader`]), or a refusal whose message has these words.
type Expect<'a> = Result<&'a [&'a str], &'a str>;

/// Converts an archive both ways, as root; as somebody else only into an image. Both must give the same tree.
fn check(archive: &[u8], expect: Expect<'_>) -> LayerReport {
    check_limited(archive, UnpackLimits::default(), expect)
}

fn check_limited(archive: &[u8], limits: UnpackLimits, expect: Expect<'_>) -> LayerReport {
    let converter = converter().with_limits(limits);
    let image = to_image(&converter, archive, &Expected::default());
    let report = judge(image.map(|(done, bytes)| (done, reader::list_image(&bytes))), expect, "image");
    if is_root() {
        let folder = tempfile::tempdir().unwrap();
        let done = converter.to_folder(archive, &Expected::default(), folder.path(), &IdMap::Host);
        let listing = done.map(|done| (done, reader::list_folder(&folder.path().join("fs"))));
        let of_folder = judge(listing, expect, "folder");
        assert_eq!(of_folder.neutralised, report.neutralised);
        converter.remove_folder(folder.path(), &IdMap::Host).unwrap();
        assert!(!folder.path().exists());
    }
    report
}

fn judge(found: Result<(Unpacked, Vec<String>), UnpackError>, expect: Expect<'_>, form: &str) -> LayerReport {
    match (found, expect) {
        (Ok((done, listing)), Ok(lines)) => {
            assert_eq!(listing, lines, "{form}");
            done.layer
        }
        (Err(UnpackError::Refused(refusal)), Err(words)) => {
            assert!(refusal.to_string().contains(words), "{form}: {refusal} but expected {words}");
            LayerReport::default()
        }
        (found, expect) => panic!("{form}: {found:?} but expected {expect:?}"),
    }
}

/// Whether Debian's checker accepts an image; true where it is not installed.
fn fsck(image: &File) -> bool {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/{}/fd/{}", std::process::id(), image.as_raw_fd());
    match std::process::Command::new("fsck.erofs").arg(path).output() {
        Ok(output) => {
            let is_good = output.status.success();
            if !is_good {
                println!("{}", String::from_utf8_lossy(&output.stderr));
            }
            is_good
        }
        Err(_) => {
            println!("skipped: fsck.erofs is not installed");
            true
        }
    }
}
