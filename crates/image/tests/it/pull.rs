//! Pulls that should work.

use image::registry::Mirror;
use image::unpack::Compression;
use image::{Digest, ErrorKind, ImageError, LayerKind, PullEvent, PullOptions};
use serde_json::json;

use crate::double::{Double, Reply};
use crate::images::{Home, TestImage, Told, gzip, options, plain, tar, zstd};

#[tokio::test]
async fn every_compression_and_both_kinds_of_manifest() {
    let double = Double::new();
    let home = Home::new();
    let layers = vec![
        plain(&tar(&[("a", b"plain")])),
        gzip(&tar(&[("b", b"gzip")])),
        zstd(&tar(&[("c", b"zstd")])),
        gzip(&tar(&[("b", b"gzip")])),
    ];
    let mut image = TestImage::new(layers);
    double.offer("a/oci", "1", &image);
    image.docker = true;
    for layer in &mut image.layers {
        layer.media_type = match Compression::of_magic(&layer.blob) {
            Compression::Plain => "application/vnd.docker.image.rootfs.diff.tar",
            Compression::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Compression::Zstd => "application/vnd.docker.image.rootfs.diff.tar.zstd",
        };
    }
    double.offer("a/docker", "1", &image);
    let oci = home.store.pull(&double.name("a/oci:1"), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(oci.layers.len(), 4);
    assert_eq!(oci.layers[1], oci.layers[3], "a repeated layer is one layer");
    assert_eq!(oci.config.working_dir, "/work");
    assert_eq!(oci.config.user.as_ref().unwrap().to_string(), "1000:1000");
    for layer in &oci.layers {
        let LayerKind::Erofs(path) = &layer.kind else { panic!("{layer:?}") };
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes[1024..1028], 0xe0f5_e1e2_u32.to_le_bytes(), "the magic of EROFS");
    }
    let before = double.count("/blobs/");
    let docker = home.store.pull(&double.name("a/docker:1"), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(docker.layers, oci.layers);
    assert_eq!(double.count("/blobs/") - before, 1, "the config; all layers were there");
    assert_eq!(home.names("tmp"), Vec::<String>::new());
}

#[tokio::test]
async fn a_local_name_asks_nobody() {
    let double = Double::new();
    let home = Home::new();
    double.offer("a", "1", &TestImage::small(1));
    let name = double.name("a:1");
    let first = home.store.pull(&name, &PullOptions::default(), &()).await.unwrap();
    let requests = double.seen().len();
    let told = Told::default();
    let again = home.store.pull(&name, &PullOptions::default(), &told).await.unwrap();
    assert_eq!((again.digest, &again.layers), (first.digest, &first.layers));
    assert_eq!(double.seen().len(), requests);
    assert_eq!(told.all(), [PullEvent::Present { reference: name.clone(), digest: first.digest }]);

    let newer = TestImage::small(2);
    double.offer("a", "1", &newer);
    assert_eq!(home.store.resolve(&name).unwrap().unwrap().digest, first.digest);
    let always = PullOptions { always_pull: true, ..PullOptions::default() };
    assert_eq!(home.store.pull(&name, &always, &()).await.unwrap().digest, newer.digest());
    assert_eq!(home.store.resolve(&name).unwrap().unwrap().digest, newer.digest());
}

#[tokio::test]
async fn an_index_gives_the_image_for_this_machine() {
    let double = Double::new();
    let home = Home::new();
    let (mine, other) = (TestImage::small(1), TestImage::small(2));
    double.offer("a", "mine", &mine);
    double.offer("a", "other", &other);
    let host = image::Platform::host();
    let entry = |image: &TestImage, os: &str, architecture: &str| {
        json!({"mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest().len(),
               "platform": {"os": os, "architecture": architecture}})
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry(&other, "windows", "amd64"), entry(&other, "linux", "s390x"),
                      entry(&other, "unknown", "unknown"), entry(&mine, &host.os, &host.architecture)],
    })
    .to_string();
    let digest = Digest::of(index.as_bytes());
    for tag in ["1".to_owned(), digest.to_string()] {
        double.put(&format!("/v2/a/manifests/{tag}"), "application/vnd.oci.image.index.v1+json", index.clone());
    }
    let name = double.name("a:1");
    assert_eq!(home.store.pull(&name, &PullOptions::default(), &()).await.unwrap().digest, mine.digest());

    // The digest of the index and that of the image are known now, in this repository.
    for digest in [digest, mine.digest()] {
        assert!(home.store.resolve(&name.with_digest(digest)).unwrap().is_some());
        let elsewhere = double.name("b:1").with_digest(digest);
        assert!(home.store.resolve(&elsewhere).unwrap().is_none(), "knowing a digest is no permission");
    }
    let wanted = |platform: &str| PullOptions { platform: Some(platform.parse().unwrap()), always_pull: false };
    let error = home.store.pull(&name, &wanted("linux/riscv64"), &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("linux/riscv64") && text.contains("linux/s390x") && text.contains("windows/amd64"), "{text}");
    let foreign = home.store.pull(&name, &wanted("linux/s390x"), &()).await.unwrap();
    assert_eq!(foreign.digest, other.digest(), "another platform can be asked for");
}

#[tokio::test]
async fn an_image_for_another_machine_is_refused() {
    let double = Double::new();
    let mut image = TestImage::small(1);
    image.config["architecture"] = json!("s390x");
    double.offer("a", "1", &image);
    let error = Home::new().store.pull(&double.name("a:1"), &PullOptions::default(), &()).await.unwrap_err();
    assert!(
        matches!(&error, ImageError::NoMatchingPlatform { available, .. } if available == "linux/s390x"),
        "{error}"
    );
}

#[tokio::test]
async fn by_digest() {
    let double = Double::new();
    let home = Home::new();
    let image = TestImage::small(1);
    double.offer("a", "1", &image);
    let name = double.name(&format!("a@{}", image.digest()));
    assert_eq!(home.store.pull(&name, &PullOptions::default(), &()).await.unwrap().digest, image.digest());
    let listed = home.store.list().unwrap();
    assert_eq!(listed[0].references, [name]);
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_the_registry_after_it() {
    let image = TestImage::small(1);
    let mirror = Double::new();
    mirror.offer("library/maven", "3", &image);
    let mut with_mirror = options();
    with_mirror.registry.mirrors = vec![Mirror::parse(&format!("docker.io=http://{}", mirror.host())).unwrap()];
    let home = Home::with(with_mirror);
    let told = Told::default();
    let pulled = home.store.pull(&"maven:3".parse().unwrap(), &PullOptions::default(), &told).await.unwrap();
    assert_eq!(pulled.reference.to_string(), "docker.io/library/maven:3");
    assert!(told.all().iter().any(|event| matches!(event, PullEvent::Resolved { from, .. } if *from == mirror.host())));

    // A mirror without the image, one that is dead, and one that lies: the registry itself still serves.
    let origin = Double::new();
    origin.offer("a", "1", &image);
    let liar = Double::with(|request, reply| match request.is_blob() {
        true => Reply { body: reply.body.iter().map(|byte| byte ^ 1).collect(), ..reply },
        false => reply,
    });
    liar.offer("a", "1", &image);
    let dead = Double::new().host();
    for bad in [Double::new().host(), dead, liar.host()] {
        let mut with_mirror = options();
        with_mirror.registry.mirrors = vec![Mirror { registry: origin.host(), url: format!("http://{bad}") }];
        let home = Home::with(with_mirror);
        let told = Told::default();
        let pulled = home.store.pull(&origin.name("a:1"), &PullOptions::default(), &told).await.unwrap();
        assert_eq!(pulled.digest, image.digest());
        assert!(!told.retries().is_empty(), "the change of hosts is told");
    }
}

#[tokio::test]
async fn redirects_are_followed_without_credentials() {
    let storage = Double::new();
    let image = TestImage::small(1);
    for layer in &image.layers {
        storage.put(&format!("/bucket/{}", layer.digest()), "application/octet-stream", layer.blob.clone());
    }
    let to = storage.host();
    let double = Double::with(move |request, reply| match (request.is_blob(), request.path.rsplit('/').next()) {
        (true, Some(digest)) if reply.status == 200 && reply.body.first() != Some(&b'{') => {
            Reply::of(307, "").with("Location", format!("http://{to}/bucket/{digest}?signature=x"))
        }
        _ => reply,
    });
    double.offer("a", "1", &image);
    let home = Home::new();
    home.store.pull(&double.name("a:1"), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(storage.seen().len(), 2);
    assert!(storage.seen().iter().all(|request| !request.headers.contains_key("authorization")));
}
