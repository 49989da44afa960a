//! Registries that die, lie, dawdle and talk nonsense. After each, the store holds nothing and says why.

use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Digest, ErrorKind, ImageError, PullOptions};
use serde_json::json;

use crate::double::{Double, Reply, Request};
use crate::images::{Home, TestImage, Told, gzip, tar};

async fn fails(double: &Double, name: &str) -> ImageError {
    let home = Home::new();
    let error = home.store.pull(&double.name(name), &PullOptions::default(), &()).await.unwrap_err();
    for subfolder in ["tmp", "images", "refs"] {
        assert_eq!(home.names(subfolder), Vec::<String>::new(), "{subfolder}");
    }
    // Another layer of the image may be complete, and then stays for the next pull, or until it is collected.
    home.store.gc(u64::MAX).unwrap();
    home.assert_empty();
    error
}

fn is_layer(request: &Request, reply: &Reply) -> bool {
    request.is_blob() && reply.body.first() != Some(&b'{')
}

#[tokio::test]
async fn a_connection_that_dies_is_resumed() {
    let image = TestImage::sized(1, 600_000);
    let attempts = AtomicUsize::new(0);
    let double = Double::with(move |request, reply| match is_layer(request, &reply) {
        true if attempts.fetch_add(1, Ordering::SeqCst) < 3 => Reply { cut_after: Some(150_000), ..reply },
        _ => reply,
    });
    double.offer("a", "1", &image);
    let home = Home::new();
    let told = Told::default();
    home.store.pull(&double.name("a:1"), &PullOptions::default(), &told).await.unwrap();
    let offsets: Vec<_> = double.seen().iter().filter_map(Request::offset).collect();
    assert_eq!(offsets, [150_000, 300_000, 450_000]);
    assert_eq!(told.retries().len(), 3);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again() {
    let image = TestImage::sized(1, 400_000);
    let attempts = AtomicUsize::new(0);
    let whole = image.layers[0].blob.clone();
    let double = Double::with(move |request, reply| match is_layer(request, &reply) {
        true => {
            let cut = (attempts.fetch_add(1, Ordering::SeqCst) < 2).then_some(200_000);
            Reply { cut_after: cut, ..Reply::of(200, whole.clone()) }
        }
        false => reply,
    });
    double.offer("a", "1", &image);
    let home = Home::new();
    home.store.pull(&double.name("a:1"), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(home.names("tmp"), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_keeps_dying_is_given_up() {
    let image = TestImage::sized(1, 400_000);
    let size = image.layers[0].blob.len() as u64;
    let double = Double::with(|request, reply| match is_layer(request, &reply) {
        true => Reply { cut_after: Some(1000), ..reply },
        false => reply,
    });
    double.offer("a", "1", &image);
    match fails(&double, "a:1").await {
        ImageError::Interrupted { received, expected, attempts, .. } => {
            assert_eq!((received, expected, attempts), (4000, size, 4));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn silence_has_an_end() {
    let image = TestImage::sized(1, 400_000);
    for stage in ["/manifests/", "/blobs/"] {
        let double = Double::with(move |request, reply| match request.path.contains(stage) {
            true => Reply { stall_after: Some(10), ..reply },
            false => reply,
        });
        double.offer("a", "1", &image);
        let error = fails(&double, "a:1").await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn lies_name_both_digests() {
    let image = TestImage::small(1);
    // A flipped bit at the end of a layer, in its middle, in the config, and in the manifest asked for by digest.
    let flip = |at: fn(usize) -> usize| {
        move |mut body: Vec<u8>| {
            let at = at(body.len());
            body[at] ^= 1;
            body
        }
    };
    for (what, at) in [("end", (|n| n - 1) as fn(usize) -> usize), ("middle", |n| n / 2), ("start", |_| 0)] {
        let mangle = flip(at);
        let target = image.layers[1].digest().to_string();
        let double = Double::with(move |request, reply| match request.path.ends_with(&target) {
            true => Reply { body: mangle(reply.body.clone()), ..reply },
            false => reply,
        });
        double.offer("a", "1", &image);
        match fails(&double, "a:1").await {
            ImageError::DigestMismatch { expected, got, .. } => {
                assert_eq!(expected, image.layers[1].digest(), "{what}");
                assert_eq!(got, Digest::of(&flip(at)(image.layers[1].blob.clone())), "{what}");
            }
            other => panic!("{what}: {other}"),
        }
    }
    let config = image.config_digest().to_string();
    let double = Double::with(move |request, reply| match request.path.ends_with(&config) {
        true => Reply { body: vec![b' '; reply.body.len()], ..reply },
        false => reply,
    });
    double.offer("a", "1", &image);
    assert!(matches!(fails(&double, "a:1").await, ImageError::DigestMismatch { .. }));

    let double = Double::new();
    double.offer("a", "1", &image);
    double.put(&format!("/v2/a/manifests/{}", image.digest()), image.media_type(), TestImage::small(2).manifest());
    assert!(matches!(fails(&double, &format!("a@{}", image.digest())).await, ImageError::DigestMismatch { .. }));
    let double = Double::with(|_, reply| reply.with("Docker-Content-Digest", Digest::of(b"other").to_string()));
    double.offer("a", "1", &image);
    assert!(matches!(fails(&double, "a:1").await, ImageError::DigestMismatch { .. }), "its own header");
}

#[tokio::test]
async fn a_wrong_diff_id_is_noticed() {
    let mut image = TestImage::small(1);
    let other = Digest::of(b"another layer");
    image.config["rootfs"]["diff_ids"][1] = json!(other);
    let double = Double::new();
    double.offer("a", "1", &image);
    match fails(&double, "a:1").await {
        ImageError::DigestMismatch { what, expected, got } => {
            assert!(what.contains("uncompressed"), "{what}");
            assert_eq!((expected, got), (other, image.layers[1].diff_id));
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn sizes_are_not_believed() {
    let image = TestImage::sized(1, 50_000);
    let blob = image.layers[0].digest().to_string();
    let changed = |change: fn(Vec<u8>) -> Vec<u8>, chunked: bool| {
        let blob = blob.clone();
        let double = Double::with(move |request, reply| match request.path.ends_with(&blob) {
            true if chunked => {
                let body = change(reply.body.clone());
                let framed = [format!("{:x}\r\n", body.len()).into_bytes(), body, b"\r\n0\r\n\r\n".to_vec()].concat();
                Reply { body: framed, ..reply }.with("Transfer-Encoding", "chunked")
            }
            true => Reply { body: change(reply.body.clone()), ..reply },
            false => reply,
        });
        double.offer("a", "1", &image);
        double
    };
    let longer = |body: Vec<u8>| [body, vec![0; 1000]].concat();
    let shorter = |body: Vec<u8>| body[..body.len() - 1].to_vec();
    for chunked in [false, true] {
        let error = fails(&changed(longer, chunked), "a:1").await;
        assert!(matches!(error, ImageError::SizeMismatch { .. }), "longer, chunked {chunked}: {error}");
        let error = fails(&changed(shorter, chunked), "a:1").await;
        let named = matches!(
            error,
            ImageError::SizeMismatch { .. } | ImageError::Interrupted { .. } | ImageError::Protocol { .. }
        );
        assert!(named, "shorter, chunked {chunked}: {error}");
    }
}

#[tokio::test]
async fn a_resumed_download_must_continue_where_it_ended() {
    let image = TestImage::sized(1, 200_000);
    let double = Double::with(|request, reply| match (is_layer(request, &reply), reply.status) {
        (true, 200) => Reply { cut_after: Some(1000), ..reply },
        (true, 206) => reply.with("Content-Range", "bytes 0-9/10"),
        _ => reply,
    });
    double.offer("a", "1", &image);
    let error = fails(&double, "a:1").await;
    assert!(matches!(error, ImageError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn endless_answers_are_cut() {
    let huge = "x".repeat(5 * 1024 * 1024);
    let double = Double::new();
    double.put("/v2/a/manifests/1", "application/json", huge);
    assert!(matches!(fails(&double, "a:1").await, ImageError::TooLarge { .. }));
    let mut image = TestImage::small(1);
    image.manifest = json!({"config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                                       "digest": image.config_digest(), "size": 1_u64 << 40}});
    let double = Double::new();
    double.offer("a", "1", &image);
    assert!(matches!(fails(&double, "a:1").await, ImageError::TooLarge { .. }));
    let mut image = TestImage::small(1);
    image.manifest = json!({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                                        "digest": image.layers[0].digest(), "size": u64::MAX}]});
    let double = Double::new();
    double.offer("a", "1", &image);
    assert!(matches!(fails(&double, "a:1").await, ImageError::TooLarge { .. }));
}

#[tokio::test]
async fn what_we_cannot_run_is_named() {
    let double = Double::new();
    double.put(
        "/v2/a/manifests/old",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        r#"{"schemaVersion":1}"#,
    );
    let error = fails(&double, "a:old").await;
    assert!(matches!(error, ImageError::UnsupportedMediaType { .. }), "{error}");
    assert!(error.to_string().contains("schema 1"), "{error}");
    let mut empty = TestImage::new(Vec::new());
    double.offer("a", "empty", &empty);
    assert!(matches!(fails(&double, "a:empty").await, ImageError::Malformed { .. }));
    empty.manifest = json!({"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                                        "digest": Digest::of(b""), "size": 0}]});
    double.offer("a", "secret", &empty);
    assert!(matches!(fails(&double, "a:secret").await, ImageError::UnsupportedMediaType { .. }));
    double.put("/v2/a/manifests/html", "text/html", "<html>Sign in to the hotel network</html>");
    assert!(matches!(fails(&double, "a:html").await, ImageError::Malformed { .. }));
    let index = |digest: Digest, size: usize| {
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
               "manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": size}]})
        .to_string()
    };
    let mut inner = index(Digest::of(b""), 0);
    for _ in 0..5 {
        double.put(&format!("/v2/a/manifests/{}", Digest::of(inner.as_bytes())), "", inner.clone());
        inner = index(Digest::of(inner.as_bytes()), inner.len());
    }
    double.put("/v2/a/manifests/nested", "application/vnd.oci.image.index.v1+json", inner);
    assert!(fails(&double, "a:nested").await.to_string().contains("nested too deep"));
}

#[tokio::test]
async fn a_hostile_archive_is_refused() {
    let mut archive = tar(&[("fine", b"x")]);
    archive.truncate(512);
    archive[148] ^= 1;
    let image = TestImage::new(vec![gzip(&archive)]);
    let double = Double::new();
    double.offer("a", "1", &image);
    let error = fails(&double, "a:1").await;
    assert!(matches!(error, ImageError::Layer { .. }), "the digests are right, the archive is not: {error}");
}

#[tokio::test]
async fn unknown_images_and_dead_hosts() {
    let double = Double::new();
    let error = fails(&double, "a:1").await;
    assert!(matches!(&error, ImageError::UnknownImage { reference, .. } if reference.ends_with("/a:1")), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
    for internal in ["169.254.169.254/latest/meta-data:1", "[fe80::1]/a:1", "0.0.0.0:5000/a:1"] {
        let error = Home::new().store.pull(&internal.parse().unwrap(), &PullOptions::default(), &()).await.unwrap_err();
        assert!(error.to_string().contains("never asked"), "{error}");
    }
    let gone = Double::new().name("a:1");
    let error = Home::new().store.pull(&gone, &PullOptions::default(), &()).await.unwrap_err();
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again() {
    let image = TestImage::small(1);
    let failures = AtomicUsize::new(0);
    let double = Double::with(move |_, reply| match failures.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Reply::of(503, "try later").with("Retry-After", "1"),
        1 => Reply::of(429, ""),
        _ => reply,
    });
    double.offer("a", "1", &image);
    Home::new().store.pull(&double.name("a:1"), &PullOptions::default(), &()).await.unwrap();

    let broken = Double::with(|_, _| Reply::of(500, "out of order"));
    let error = fails(&broken, "a:1").await;
    assert!(matches!(&error, ImageError::Status { status: 500, message, .. } if message == "out of order"), "{error}");
    assert_eq!(broken.seen().len(), 4);
}

#[tokio::test]
async fn redirects_that_lead_nowhere() {
    for location in ["", "/v2/a/manifests/1", "ftp://127.0.0.1/x", "http://[", "file:///etc/passwd"] {
        let double = Double::with(move |_, _| Reply::of(302, "").with("Location", location));
        let error = fails(&double, "a:1").await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{location}: {error}");
    }
}
