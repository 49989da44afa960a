//! Images of the host's store for a machine's Docker Engine: their layers are disks of the machine, and the engine finds them in its
//! own store, as if it had pulled them.
//!
//! Source of the formats: moby v20.10, `layer/filestore.go`, `image/fs.go`, `reference/store.go`, `distribution/metadata` and
//! `daemon/graphdriver/overlay2`; tried on Docker Engine 20.10.24. No file ends with a line break.

use std::collections::BTreeMap;
use std::path::PathBuf;

use launcher::guest::{EngineFile, Offer};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{CreateError, OfferedImage};

use super::machine;

/// Where layers are mounted in the engine's root; outside of its own folder, for it would take them for its own and unmount them.
const MOUNTS: &str = "/layers";
const DATA: &str = "/var/lib/docker";
/// A message to the guest may be a little larger.
const MOST_BYTES: usize = 200 * 1024;

/// What the guest is told, and the files of the disks behind `first_disk`. What has no room (`room` disks) is left out.
pub(super) fn offer(
    images: &[OfferedImage],
    first_disk: usize,
    room: usize,
) -> Result<(Offer, Vec<PathBuf>), CreateError> {
    let mut all = Writer { room, first_disk, ..Writer::default() };
    for image in images {
        all.add(image);
    }
    all.finish()
}

#[derive(Default)]
struct Writer {
    room: usize,
    first_disk: usize,
    disks: Vec<PathBuf>,
    /// By chain id: what lies in it by the name of the overlay driver, and everything below that.
    lower: BTreeMap<String, String>,
    files: BTreeMap<String, EngineFile>,
    links: BTreeMap<String, String>,
    mounts: Vec<(PathBuf, String)>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    sources: BTreeMap<String, Vec<serde_json::Value>>,
    bytes: usize,
}

fn hex(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A short name of a chain: letters and digits that base 32 has, 26 of them.
fn short(chain: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(chain);
    let bit = |index: usize| digest.get(index / 8).map_or(0, |byte| byte >> (7 - index % 8) & 1);
    (0..26)
        .map(|letter| (0..5).fold(0, |five, i| five << 1 | bit(letter * 5 + i)))
        .map(|five| char::from(ALPHABET[usize::from(five)]))
        .collect()
}

/// `docker.io/library/maven` is `maven` to people, and to the engine's list of names.
fn familiar(repository: &str) -> &str {
    match repository.strip_prefix("docker.io/") {
        Some(rest) => rest.strip_prefix("library/").unwrap_or(rest),
        None => repository,
    }
}

impl Writer {
    fn add(&mut self, image: &OfferedImage) {
        let mut chain = String::new();
        let mut chains = Vec::new();
        for layer in &image.layers {
            chain = match chain.is_empty() {
                true => layer.diff_id.clone(),
                false => format!("sha256:{}", hex(format!("{chain} {}", layer.diff_id).as_bytes())),
            };
            chains.push(chain.clone());
        }
        let fresh = chains.iter().filter(|chain| !self.lower.contains_key(*chain)).count();
        let bytes = image.config.len() + chains.len() * 1024;
        // An image without one of its layers is none.
        if self.disks.len() + fresh > self.room || self.bytes + bytes > MOST_BYTES {
            return;
        }
        self.bytes += bytes;
        let mut parent: Option<String> = None;
        for (layer, chain) in image.layers.iter().zip(&chains) {
            if !self.lower.contains_key(chain) {
                self.layer(layer, chain, parent.as_deref());
            }
            parent = Some(chain.clone());
        }
        let id = hex(image.config.as_bytes());
        self.file(format!("image/overlay2/imagedb/content/sha256/{id}"), 0o600, image.config.clone());
        for name in &image.names {
            let entries = self.repositories.entry(familiar(&name.repository).to_owned()).or_default();
            let mut point = |name: String| drop(entries.insert(name, format!("sha256:{id}")));
            let familiar = familiar(&name.repository);
            if let Some(tag) = &name.tag {
                point(format!("{familiar}:{tag}"));
            }
            image.digests.iter().for_each(|digest| point(format!("{familiar}@{digest}")));
            for layer in &image.layers {
                let Some(blob) = &layer.blob else { continue };
                let source = json!({"Digest": blob, "SourceRepository": name.repository, "HMAC": ""});
                let known = self.sources.entry(layer.diff_id.clone()).or_default();
                if !known.contains(&source) {
                    known.push(source);
                }
            }
        }
    }

    fn layer(&mut self, layer: &crate::OfferedLayer, chain: &str, parent: Option<&str>) {
        let id = chain.trim_start_matches("sha256:").to_owned();
        let link = short(chain);
        let below = parent.and_then(|parent| self.lower.get(parent)).cloned().filter(|_| !layer.hides_all);
        let driver = format!("overlay2/{id}");
        self.file(format!("{driver}/link"), 0o644, link.clone());
        if let Some(below) = &below {
            self.file(format!("{driver}/lower"), 0o644, below.clone());
        }
        // Else the engine would take it for a layer that was being made.
        self.file(format!("{driver}/committed"), 0o600, String::new());
        self.links.insert(format!("{DATA}/{driver}/diff"), format!("{MOUNTS}/{id}"));
        self.links.insert(format!("{DATA}/overlay2/l/{link}"), format!("../{id}/diff"));
        let record = format!("image/overlay2/layerdb/sha256/{id}");
        self.file(format!("{record}/diff"), 0o644, layer.diff_id.clone());
        if let Some(parent) = parent {
            self.file(format!("{record}/parent"), 0o644, parent.to_owned());
        }
        self.file(format!("{record}/size"), 0o644, layer.bytes.to_string());
        self.file(format!("{record}/cache-id"), 0o644, id.clone());
        if let Some(blob) = &layer.blob {
            let name = blob.trim_start_matches("sha256:");
            let path = format!("image/overlay2/distribution/diffid-by-digest/sha256/{name}");
            self.file(path, 0o644, layer.diff_id.clone());
        }
        // A disk for each, also where two have the same content: the kernel stacks nothing on itself.
        self.mounts.push((machine::disk(self.first_disk + self.disks.len()), format!("{MOUNTS}/{id}")));
        self.disks.push(layer.file.clone());
        let all = below.map_or_else(|| format!("l/{link}"), |below| format!("l/{link}:{below}"));
        self.lower.insert(chain.to_owned(), all);
    }

    fn file(&mut self, path: String, mode: u32, content: String) {
        let path = format!("{DATA}/{path}");
        self.files.insert(path.clone(), EngineFile { path, mode, content });
    }

    fn finish(mut self) -> Result<(Offer, Vec<PathBuf>), CreateError> {
        for (diff_id, sources) in std::mem::take(&mut self.sources) {
            let name = diff_id.trim_start_matches("sha256:").to_owned();
            let path = format!("image/overlay2/distribution/v2metadata-by-diffid/sha256/{name}");
            self.file(path, 0o644, json!(sources).to_string());
        }
        let repositories = json!({"Repositories": self.repositories}).to_string();
        self.file("image/overlay2/repositories.json".to_owned(), 0o600, repositories);
        let offer = Offer {
            files: self.files.into_values().collect(),
            links: self.links.into_iter().collect(),
            mounts: self.mounts,
        };
        Ok((offer, self.disks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OfferedLayer, OfferedName};

    fn image(name: &str, layers: &[&str]) -> OfferedImage {
        let layer = |text: &&str| OfferedLayer {
            diff_id: format!("sha256:{}", hex(text.as_bytes())),
            file: format!("/store/{text}").into(),
            bytes: 7,
            blob: Some(format!("sha256:{}", hex(format!("{text}.gz").as_bytes()))),
            hides_all: text.ends_with("hides"),
        };
        OfferedImage {
            config: format!("{{\"{name}\":1}}"),
            names: vec![OfferedName { repository: name.to_owned(), tag: Some("1".to_owned()) }],
            digests: vec!["sha256:aa".to_owned()],
            layers: layers.iter().map(layer).collect(),
        }
    }

    fn content<'a>(offer: &'a Offer, end: &str) -> Vec<&'a str> {
        offer.files.iter().filter(|file| file.path.ends_with(end)).map(|file| &*file.content).collect()
    }

    #[test]
    fn images_share_what_they_have_in_common() {
        let images = [image("docker.io/library/a", &["base", "x"]), image("ghcr.io/o/b", &["base", "y"])];
        let (offer, disks) = offer(&images, 2, 10).unwrap();
        assert_eq!(disks, ["/store/base", "/store/x", "/store/y"].map(PathBuf::from));
        assert_eq!(offer.mounts[0].0, PathBuf::from("/dev/vdc"));
        assert_eq!(content(&offer, "/cache-id").len(), 3);
        let names = content(&offer, "repositories.json")[0];
        let id = hex(b"{\"docker.io/library/a\":1}");
        assert!(names.contains(&format!("\"a:1\":\"sha256:{id}\"")) && names.contains("\"ghcr.io/o/b@sha256:aa\""));
        let parents = content(&offer, "/parent");
        let base = format!("sha256:{}", hex(b"base"));
        assert!(parents.len() == 2 && parents.iter().all(|parent| *parent == base), "{parents:?}");
    }

    #[test]
    fn a_layer_that_hides_all_has_nothing_below() {
        let (offer, _) = offer(&[image("a", &["base", "hides", "top"])], 2, 10).unwrap();
        let lower = content(&offer, "/lower");
        assert_eq!(lower.len(), 1, "only the top has something below: {lower:?}");
        assert_eq!(lower[0].split(':').count(), 1);
        assert_eq!(content(&offer, "/parent").len(), 2, "the record names all of them");
    }

    #[test]
    fn an_image_without_room_is_left_out_whole() {
        let images = [image("a", &["1", "2", "3"]), image("b", &["1"]), image("c", &["4"])];
        let (offer, disks) = offer(&images, 2, 2).unwrap();
        assert_eq!(disks.len(), 2);
        let names = content(&offer, "repositories.json")[0];
        assert!(!names.contains("\"a:1\"") && names.contains("\"b:1\"") && names.contains("\"c:1\""), "{names}");
    }
}
