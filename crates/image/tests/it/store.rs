//! Listing, removing, collecting, and repairing what is damaged.

use image::{ImageError, LayerForm, LayerKind, PullOptions, Store};

use crate::double::Double;
use crate::images::{Home, TestImage, gzip, noise, options, tar};

async fn pulled(home: &Home, double: &Double, tag: &str, image: &TestImage) -> image::Image {
    double.offer("a", tag, image);
    home.store.pull(&double.name(&format!("a:{tag}")), &PullOptions::default(), &()).await.unwrap()
}

fn sharing(seed: u64) -> TestImage {
    let shared = gzip(&tar(&[("shared", &noise(99, 300_000))]));
    TestImage::new(vec![shared, gzip(&tar(&[("own", &noise(seed, 300_000))]))])
}

#[tokio::test]
async fn shared_layers_live_as_long_as_one_image_needs_them() {
    let (home, double) = (Home::new(), Double::new());
    for (tag, seed) in [("1", 1), ("2", 2)] {
        drop(pulled(&home, &double, tag, &sharing(seed)).await);
    }
    assert_eq!(home.names("layers").len(), 6, "three layers, a record each");
    let report = home.store.remove(&double.name("a:1").to_string()).unwrap();
    assert_eq!((report.removed_layers, report.removed_images.len()), (1, 1));
    assert!(report.freed_bytes >= 300_000);
    let rest = pulled(&home, &double, "2", &sharing(2)).await;
    assert_eq!(rest.layers.len(), 2);
    drop(rest);
    let id = sharing(2).digest().hex();
    let report = home.store.remove(&id[..12]).unwrap();
    assert_eq!(report.kept_bytes, 0);
    home.assert_empty();
    assert_eq!(home.names("locks"), ["making"]);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let (home, double) = (Home::new(), Double::new());
    let image = pulled(&home, &double, "1", &sharing(1)).await;
    assert!(image.is_held());
    assert!(home.store.list().unwrap()[0].in_use);
    let name = double.name("a:1").to_string();
    assert!(matches!(home.store.remove(&name), Err(ImageError::InUse(_))));
    let report = home.store.gc(0).unwrap();
    assert_eq!((report.removed_images.len(), report.in_use), (0, 1));
    // From another handle, too.
    let other = Store::open(home.folder.path(), options()).unwrap();
    assert_eq!(other.gc(0).unwrap().in_use, 1);
    let copy = image.clone();
    drop(image);
    assert!(matches!(home.store.remove(&name), Err(ImageError::InUse(_))), "a copy is a use");
    drop(copy);
    assert_eq!(home.store.gc(0).unwrap().removed_images.len(), 1);
    assert!(home.names("locks").iter().all(|name| name == "making"), "{:?}", home.names("locks"));
    home.assert_empty();
}

#[tokio::test]
async fn a_limit_takes_the_longest_unused_first() {
    let (home, double) = (Home::new(), Double::new());
    let mut digests = Vec::new();
    for seed in 1..=4 {
        let image = TestImage::sized(seed, 500_000);
        digests.push(pulled(&home, &double, &seed.to_string(), &image).await.digest);
    }
    // Used again: the first is now the youngest.
    let touched = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    let record = home.folder.path().join("images").join(format!("{}.json", digests[0].hex()));
    std::fs::File::options().append(true).open(record).unwrap().set_modified(touched).unwrap();
    let each = home.store.used_bytes().unwrap() / 4;
    let report = home.store.gc(each * 2 + each / 2).unwrap();
    assert_eq!(report.removed_images, [digests[1], digests[2]]);
    assert!(report.kept_bytes <= each * 2 + each / 2);
    let left: Vec<_> = home.store.list().unwrap().into_iter().map(|summary| summary.digest).collect();
    assert_eq!(left, [digests[0], digests[3]]);
    assert_eq!(home.store.gc(u64::MAX).unwrap().removed_images, []);
}

#[tokio::test]
async fn names_and_ids() {
    let (home, double) = (Home::new(), Double::new());
    let image = sharing(1);
    drop(pulled(&home, &double, "1", &image).await);
    drop(pulled(&home, &double, "2", &image).await);
    assert_eq!(home.store.list().unwrap()[0].references, [double.name("a:1"), double.name("a:2")]);
    let report = home.store.remove(&double.name("a:1").to_string()).unwrap();
    assert_eq!(report.removed_images, [], "one of two names");
    assert!(home.store.resolve(&double.name("a:2")).unwrap().is_some());
    for unknown in ["maven:3", "0123456789ab", "sha256:0123456789ab"] {
        assert!(matches!(home.store.remove(unknown), Err(ImageError::NotLocal(_))), "{unknown}");
    }
    assert!(matches!(home.store.remove("Not A Name"), Err(ImageError::Reference(_))));
    home.store.remove(&format!("sha256:{}", image.digest().hex())).unwrap();
    home.assert_empty();
}

/// What is done to a store, and how.
type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);

#[tokio::test]
async fn damage_is_repaired_by_the_next_pull() {
    let (home, double) = (Home::new(), Double::new());
    let image = sharing(1);
    let LayerKind::Erofs(layer) = pulled(&home, &double, "1", &image).await.layers[1].kind.clone() else { panic!() };
    let root = home.folder.path();
    let file = |folder: &str, n: usize| root.join(folder).join(&home.names(folder)[n]);
    let name = double.name("a:1");
    let damages: Vec<Damage<'_>> = vec![
        (
            "a layer cut by a power failure",
            Box::new(|| std::fs::File::options().write(true).open(&layer).unwrap().set_len(4096).unwrap()),
        ),
        ("a layer that is gone", Box::new(|| std::fs::remove_file(&layer).unwrap())),
        ("an empty image record", Box::new(|| std::fs::write(file("images", 0), "").unwrap())),
        ("a name that is nonsense", Box::new(|| std::fs::write(file("refs", 0), "{]").unwrap())),
        ("a layer record that is gone", Box::new(|| std::fs::remove_file(layer.with_extension("json")).unwrap())),
    ];
    for (what, damage) in damages {
        damage();
        let store = Store::open(root, options()).unwrap();
        assert!(store.resolve(&name).unwrap().is_none(), "{what}");
        assert!(store.list().unwrap().len() <= 1, "{what}");
        let again = store.pull(&name, &PullOptions::default(), &()).await.unwrap();
        assert_eq!(again.layers.len(), 2, "{what}");
        assert!(layer.metadata().unwrap().len() > 300_000, "{what}");
    }
    std::fs::write(file("images", 0), "").unwrap();
    home.store.gc(u64::MAX).unwrap();
    home.assert_empty();
}

/// What unprivileged users get; as root the owners are those of the archive.
#[tokio::test]
async fn layers_as_folders() {
    let mut as_folders = options();
    as_folders.layer_form = Some(LayerForm::Dir);
    if !rustix::process::geteuid().is_root() && std::fs::metadata("/usr/bin/newuidmap").is_err() {
        println!("skipped: newuidmap is not installed");
        return;
    }
    let (home, double) = (Home::with(as_folders.clone()), Double::new());
    let image = pulled(&home, &double, "1", &TestImage::small(1)).await;
    let LayerKind::Dir(folder) = &image.layers[0].kind else { panic!("{image:?}") };
    assert_eq!(std::fs::read(folder.join("etc/os-release")).unwrap(), b"ID=test\n");
    assert!(image.layers.iter().all(|layer| layer.bytes > 0));
    let again = Store::open(home.folder.path(), as_folders).unwrap();
    assert_eq!(again.resolve(&image.reference).unwrap().unwrap().layers, image.layers);

    // The other form of the same store: made anew, in place of the folders.
    drop((image, again));
    let other = Store::open(home.folder.path(), options()).unwrap();
    let name = double.name("a:1");
    assert!(other.resolve(&name).unwrap().is_none());
    let image = other.pull(&name, &PullOptions::default(), &()).await.unwrap();
    assert!(matches!(image.layers[0].kind, LayerKind::Erofs(_)));
    assert!(home.names("layers").iter().all(|name| !name.ends_with(".dir")));
    drop(image);
    let again = home.store.pull(&name, &PullOptions::default(), &()).await.unwrap();
    assert!(matches!(again.layers[0].kind, LayerKind::Dir(_)));
    drop(again);
    home.store.gc(0).unwrap();
    home.assert_empty();
}

#[test]
fn a_store_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(file.join("store"), options()), Err(ImageError::Io { .. })));
}
