//! Images from files.

use std::path::Path;
use std::process::{Command, Stdio};

use image::{Digest, ImageError};
use serde_json::json;

use crate::images::{Home, TestImage, TestLayer, gzip, options, plain, tar};

fn tar_folder(folder: &Path, to: &Path) {
    let mut builder = tar::Builder::new(std::fs::File::create(to).unwrap());
    builder.append_dir_all(".", folder).unwrap();
    builder.finish().unwrap();
}

#[tokio::test]
async fn oci_layouts_as_folder_and_as_tar() {
    let folder = tempfile::tempdir().unwrap();
    let image = TestImage::small(1);
    let layout = folder.path().join("layout");
    image.write_layout(&layout, Some("registry.example/team/a:1"));
    let archive = folder.path().join("layout.tar");
    tar_folder(&layout, &archive);
    for path in [&layout, &archive] {
        let home = Home::new();
        let images = home.store.import(path, None, &()).await.unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(
            (images[0].digest, images[0].reference.to_string().as_str()),
            (image.digest(), "registry.example/team/a:1")
        );
        assert_eq!(images[0].layers.len(), 2);
        let name = "elsewhere:2".parse().unwrap();
        let renamed = home.store.import(path, Some(&name), &()).await.unwrap();
        assert_eq!(renamed[0].reference, name);
        assert_eq!(home.store.list().unwrap()[0].references.len(), 2);
    }
}

#[tokio::test]
async fn a_layout_without_a_name_wants_one() {
    let folder = tempfile::tempdir().unwrap();
    TestImage::small(1).write_layout(folder.path(), Some("1.0"));
    let home = Home::new();
    let error = home.store.import(folder.path(), None, &()).await.unwrap_err();
    assert!(error.to_string().contains("say what to call it"), "{error}");
    home.assert_empty();
    home.store.import(folder.path(), Some(&"a:1".parse().unwrap()), &()).await.unwrap();
}

/// A `docker save` archive in the old form, the second layer being a link to the first.
fn saved(image: &TestImage, repeated: bool) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    let config = format!("{}.json", image.config_digest().hex());
    add(&config, &image.config());
    let mut layers = Vec::new();
    for (i, layer) in image.layers.iter().enumerate() {
        layers.push(format!("layer{i}/layer.tar"));
        if !repeated || i == 0 {
            add(&layers[i], &layer.blob);
        }
    }
    let entry = json!([{"Config": config, "RepoTags": ["maven:3", "registry.example/m:x"], "Layers": layers}]);
    add("manifest.json", entry.to_string().as_bytes());
    if repeated {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "layer1/layer.tar", "../layer0/layer.tar").unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn docker_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.tar");
    let first = tar(&[("a", b"1")]);
    let packed = TestImage::new(vec![plain(&first), gzip(&tar(&[("b", b"2")]))]);
    let linked = TestImage::new(vec![plain(&first), plain(&first)]);
    for (image, repeated) in [(&packed, false), (&linked, true)] {
        std::fs::write(&path, saved(image, repeated)).unwrap();
        let home = Home::new();
        let images = home.store.import(&path, None, &()).await.unwrap();
        let names: Vec<String> = images.iter().map(|image| image.reference.familiar()).collect();
        assert_eq!(names, ["maven:3", "registry.example/m:x"]);
        assert_eq!(images[0].digest, images[1].digest);
        assert_eq!(images[0].layers.len(), 2);
        let again = home.store.import(&path, None, &()).await.unwrap();
        assert_eq!(again[0].digest, images[0].digest, "the same archive, the same digest");
    }
}

/// What is done to a good layout, and how.
type Damage = (&'static str, Box<dyn Fn(&Path)>);

#[tokio::test]
async fn an_image_for_another_machine_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut image = TestImage::small(1);
    image.config["architecture"] = json!("s390x");
    let archive = folder.path().join("saved.tar");
    std::fs::write(&archive, saved(&image, false)).unwrap();
    let home = Home::new();
    let error = home.store.import(&archive, None, &()).await.unwrap_err();
    assert!(error.to_string().contains("available: linux/s390x"), "{error}");
    assert_eq!(home.names("images"), Vec::<String>::new());
}

#[tokio::test]
async fn lying_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = TestImage::small(1);
    let broken: Vec<Damage> = vec![
        ("a changed layer", {
            let (hex, mut bytes) = (good.layers[0].digest().hex(), good.layers[0].blob.clone());
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            Box::new(move |layout| std::fs::write(layout.join("blobs/sha256").join(&hex), &bytes).unwrap())
        }),
        ("a changed config", {
            let (hex, length) = (good.config_digest().hex(), good.config().len());
            Box::new(move |layout| std::fs::write(layout.join("blobs/sha256").join(&hex), vec![b' '; length]).unwrap())
        }),
        ("a missing layer", {
            let hex = good.layers[1].digest().hex();
            Box::new(move |layout| std::fs::remove_file(layout.join("blobs/sha256").join(&hex)).unwrap())
        }),
        ("a layer that is a link out", {
            let hex = good.layers[1].digest().hex();
            Box::new(move |layout| {
                let path = layout.join("blobs/sha256").join(&hex);
                std::fs::remove_file(&path).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
            })
        }),
        (
            "another version",
            Box::new(|layout| std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"9.0"}"#).unwrap()),
        ),
        ("no index", Box::new(|layout| std::fs::remove_file(layout.join("index.json")).unwrap())),
        ("a broken index", Box::new(|layout| std::fs::write(layout.join("index.json"), "{").unwrap())),
    ];
    for (what, break_it) in broken {
        let layout = folder.path().join(what.replace(' ', "-"));
        good.write_layout(&layout, Some("a.io/a:1"));
        break_it(&layout);
        let home = Home::new();
        assert!(home.store.import(&layout, None, &()).await.is_err(), "{what}");
        assert_eq!((home.names("images"), home.names("tmp")), (Vec::new(), Vec::new()), "{what}");
    }
}

#[tokio::test]
async fn names_in_archives_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.tar");
    let image = TestImage::new(vec![plain(&tar(&[("a", b"1")]))]);
    for layer in ["../../../../etc/passwd", "/etc/passwd", "layer0", "manifest.json/..", ""] {
        let mut builder = tar::Builder::new(Vec::new());
        let config = format!("{}.json", image.config_digest().hex());
        let entry = json!([{"Config": config, "RepoTags": ["a:1"], "Layers": [layer]}]).to_string();
        for (name, bytes) in [(config.as_str(), image.config()), ("manifest.json", entry.into_bytes())] {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        let error = Home::new().store.import(&path, None, &()).await.unwrap_err();
        assert!(matches!(error, ImageError::Malformed { .. }), "{layer}: {error}");
    }
}

#[tokio::test]
async fn other_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let home = Home::with(options());
    for (bytes, expect) in [
        (b"hello".repeat(1000), "no tar archive"),
        (gzip(&tar(&[("a", b"1")])).blob, "no tar archive"),
        (tar(&[("a", b"1")]), "neither an OCI layout"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = home.store.import(&path, None, &()).await.unwrap_err().to_string();
        assert!(error.contains(expect) || error.contains("gunzip"), "{error}");
    }
    assert!(matches!(home.store.import(&folder.path().join("missing"), None, &()).await, Err(ImageError::Io { .. })));
    assert!(home.store.import(Path::new("/dev/zero"), None, &()).await.is_err());
}

/// What skopeo writes, if it is here.
#[tokio::test]
async fn archives_written_by_skopeo() {
    if Command::new("skopeo").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: skopeo is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = TestImage::new(vec![gzip(&tar(&[("etc/a", b"1")])), gzip(&tar(&[("etc/b", b"2")]))]);
    let layout = folder.path().join("layout");
    image.write_layout(&layout, Some("x"));
    let digests: Vec<Digest> = image.layers.iter().map(|layer: &TestLayer| layer.diff_id).collect();
    for kind in ["docker-archive", "oci-archive"] {
        let archive = folder.path().join(kind);
        let status = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q"])
            .arg(format!("oci:{}:x", layout.display()))
            .arg(format!("{kind}:{}:docker.io/library/saved:1", archive.display()))
            .status()
            .unwrap();
        assert!(status.success());
        let images = Home::new().store.import(&archive, None, &()).await.unwrap();
        assert_eq!(images[0].reference.familiar(), "saved:1");
        assert_eq!(images[0].layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(), digests);
    }
}
