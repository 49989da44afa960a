//! Manifests as they come, and as nobody should send them.

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn descriptor(media_type: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{DIGEST}","size":7{more}}}"#)
}

fn image_text(layer_type: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor("application/vnd.docker.container.image.v1+json", ""),
        descriptor(layer_type, "")
    )
}

fn index_text(platforms: &[&str]) -> String {
    let entries: Vec<String> = platforms
        .iter()
        .map(|platform| match platform.split('/').collect::<Vec<_>>()[..] {
            [os, arch] => descriptor(OCI_MANIFEST, &format!(r#","platform":{{"os":"{os}","architecture":"{arch}"}}"#)),
            [os, arch, variant] => descriptor(
                OCI_MANIFEST,
                &format!(r#","platform":{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}"#),
            ),
            _ => descriptor(OCI_MANIFEST, ""),
        })
        .collect();
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","))
}

fn parse(text: &str) -> Result<Manifest, ImageError> {
    Manifest::parse(text.as_bytes(), None, "manifest")
}

#[test]
fn compressions() {
    for (media_type, expect) in [
        ("application/vnd.oci.image.layer.v1.tar", Compression::Plain),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip),
    ] {
        match parse(&image_text(media_type)) {
            Ok(Manifest::Image(image)) => {
                assert_eq!(image.layers[0].compression, expect);
                assert_eq!(image.layers[0].blob.size, 7);
            }
            other => panic!("{other:?}"),
        }
    }
    for bad in
        ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "application/vnd.wasm.content.layer.v1+wasm", ""]
    {
        assert!(matches!(parse(&image_text(bad)), Err(ImageError::UnsupportedMediaType { .. })), "{bad}");
    }
}

#[test]
fn kinds_must_agree() {
    let image = image_text("application/vnd.oci.image.layer.v1.tar");
    let typed = |header| Manifest::parse(image.as_bytes(), Some(header), "manifest");
    assert!(typed(DOCKER_MANIFEST).is_ok());
    assert!(typed("application/vnd.oci.image.manifest.v1+json; charset=utf-8").is_ok());
    assert!(typed("text/plain").is_ok(), "a careless static file server");
    assert!(matches!(typed(OCI_INDEX), Err(ImageError::Malformed { .. })));
    assert!(matches!(typed(&format!("{SCHEMA_1}+prettyjws")), Err(ImageError::UnsupportedMediaType { .. })));
    let both = image.replace(r#""layers""#, r#""manifests":[],"layers""#);
    assert!(matches!(parse(&both), Err(ImageError::Malformed { .. })));
    let lying = image.replace(DOCKER_MANIFEST, OCI_INDEX);
    assert!(matches!(parse(&lying), Err(ImageError::Malformed { .. })));
    let foreign = image.replace(DOCKER_MANIFEST, "application/x-other");
    assert!(matches!(parse(&foreign), Err(ImageError::UnsupportedMediaType { .. })));
    let chart =
        image.replace("application/vnd.docker.container.image.v1+json", "application/vnd.cncf.helm.config.v1+json");
    assert!(matches!(parse(&chart), Err(ImageError::UnsupportedMediaType { .. })));
}

#[test]
fn old_schema_is_named() {
    for text in [r#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#, r#"{"schemaVersion":2,"fsLayers":[]}"#] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("schema 1"), "{error}");
    }
}

#[test]
fn malformed() {
    let image = image_text("application/vnd.oci.image.layer.v1.tar");
    for bad in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"schemaVersion":2}"#.to_owned(),
        r#"{"schemaVersion":3,"layers":[]}"#.to_owned(),
        image.replace("sha256:", "sha1:"),
        image.replace(r#""size":7"#, r#""size":-7"#),
        image.replace(r#""size":7"#, r#""size":1e30"#),
        image.replace(r#""size":7"#, r#""size":99999999999999"#),
        image.replace(r#""config""#, r#""conf""#),
        format!("{}{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000)),
    ] {
        assert!(parse(&bad).is_err(), "{}", &bad[..bad.len().min(200)]);
    }
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar", "");
    let many = image.replace(&layer, &vec![layer.as_str(); MAX_LAYERS + 1].join(","));
    assert!(matches!(parse(&many), Err(ImageError::TooLarge { unit: "layers", .. })));
}

#[test]
fn selection() {
    let reference: Reference = "maven:3".parse().unwrap();
    let select = |platforms: &[&str], wanted: &str| match parse(&index_text(platforms)).unwrap() {
        Manifest::Index(index) => {
            let entry = index.select(&wanted.parse().unwrap(), &reference).cloned();
            entry.map(|entry| entry.platform.map(|p| p.to_string())).map_err(|error| error.to_string())
        }
        Manifest::Image(_) => panic!("not an index"),
    };
    let all = ["linux/arm64/v8", "linux/amd64/v3", "linux/amd64", "unknown/unknown"];
    assert_eq!(select(&all, "linux/amd64"), Ok(Some("linux/amd64".to_owned())));
    assert_eq!(select(&all, "linux/arm64"), Ok(Some("linux/arm64/v8".to_owned())));
    assert_eq!(select(&[""], "linux/amd64"), Ok(None));
    assert_eq!(
        select(&all, "linux/s390x"),
        Err("docker.io/library/maven:3 has no image for linux/s390x; available: linux/amd64, linux/amd64/v3, \
             linux/arm64/v8"
            .to_owned())
    );
    assert!(select(&[], "linux/amd64").unwrap_err().ends_with("available: none"));
    assert!(select(&["", ""], "linux/amd64").is_err());
}

/// Bounded, deterministic mutation: whatever comes, parsing ends with a value or an error.
#[test]
fn mutations_never_panic() {
    let seeds =
        [image_text("application/vnd.oci.image.layer.v1.tar+gzip"), index_text(&["linux/amd64", "linux/arm64/v8", ""])];
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["A=b"],"User":"1:2","WorkingDir":"/x","Volumes":{{"/v":{{}}}}}},"rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}}}"#
    );
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let interesting: [&[u8]; 10] =
        [b"null", b"-1", b"18446744073709551616", b"\"\"", b"[]", b"{}", b"\xff", b"1e999", b"\\u0000", b"[[[["];
    for round in 0..20_000 {
        let seed = if round % 3 == 2 { config.as_bytes() } else { seeds[round % 3].as_bytes() };
        let mut bytes = seed.to_vec();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.splice(at..at, interesting[random(interesting.len())].iter().copied())),
                3 => drop(bytes.drain(at..(at + random(16)).min(bytes.len()))),
                _ => {
                    let piece = bytes[at..(at + random(64)).min(bytes.len())].to_vec();
                    let to = random(bytes.len());
                    drop(bytes.splice(to..to, piece));
                }
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        if let Ok(Manifest::Index(index)) = Manifest::parse(&bytes, Some(OCI_INDEX), "mutated") {
            let _ = index.select(&Platform::host(), &"a".parse().unwrap());
        }
        if let Ok(config) = crate::ImageConfig::parse(&bytes, "mutated") {
            assert!(config.working_dir.starts_with('/') && !config.working_dir.contains("/../"));
        }
    }
}
