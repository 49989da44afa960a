//! Images of the host's store that a machine's Docker Engine gets without pulling them.

use image::{Image, LayerKind, Reference, Store};
use sandbox::{OfferedImage, OfferedLayer, OfferedName};

/// More than a machine has room for.
const MOST: usize = 20;

/// The image of a job, and those of the store whose names the definition mentions. All are held against removal as long as what is
/// returned beside them lives.
///
/// An engine that was offered a layer has no archive of it to send on. Where it is to send what it builds somewhere, and can pull
/// (`can_pull`), it pulls the images that are built upon itself.
pub fn images(store: &Store, own: Option<&Image>, mentions: &str, can_pull: bool) -> (Vec<OfferedImage>, Vec<Image>) {
    let sent_on = can_pull && sends(mentions);
    let is_offered = |reference: &Reference| !(sent_on && is_built_upon(mentions, short(&reference.familiar())));
    let mut held: Vec<Image> = own.filter(|image| is_offered(&image.reference)).cloned().into_iter().collect();
    for summary in store.list().unwrap_or_default() {
        let mentioned = summary.references.iter().find(|reference| {
            let name = reference.familiar();
            is_mentioned(mentions, short(&name)) && is_offered(reference)
        });
        let Some(reference) = mentioned else { continue };
        if held.len() < MOST
            && !held.iter().any(|image| image.digest == summary.digest)
            && let Ok(Some(image)) = store.resolve(reference)
        {
            held.push(image);
        }
    }
    let offered = held.iter().filter_map(|image| offered(store, image)).collect();
    (offered, held)
}

fn short(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}

/// Whether images are pushed to a registry or written to an archive.
fn sends(text: &str) -> bool {
    [
        ".push(",
        "docker push",
        "docker save",
        "docker image push",
        "docker image save",
        "compose push",
        "buildx build --push",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Whether a line `FROM` of a Dockerfile names it.
fn is_built_upon(text: &str, name: &str) -> bool {
    let begins = |line: &str| line.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "));
    text.lines().any(|line| begins(line) && is_mentioned(line, name))
}

/// As a word of its own, not as a part of a longer name.
fn is_mentioned(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(|c| part(c) && c != '@')
    })
}

fn offered(store: &Store, image: &Image) -> Option<OfferedImage> {
    let contents = store.contents(image).inspect_err(|error| tracing::info!(%error, "an image is not offered")).ok()?;
    let layers = contents.layers.iter().map(|content| match &content.layer.kind {
        LayerKind::Erofs(file) => Some(OfferedLayer {
            diff_id: content.layer.diff_id.to_string(),
            file: file.clone(),
            bytes: content.layer.bytes,
            blob: content.blob.map(|blob| blob.to_string()),
            hides_all: content.hides_all,
        }),
        // A folder is no disk.
        LayerKind::Dir(_) => None,
    });
    let layers = layers.collect::<Option<_>>()?;
    let names = contents.names.iter().map(|name| OfferedName {
        repository: format!("{}/{}", name.registry(), name.repository()),
        tag: name.tag().map(str::to_owned),
    });
    let digests = contents.digests.iter().map(ToString::to_string).collect();
    Some(OfferedImage { config: contents.config, names: names.collect(), digests, layers })
}

#[cfg(test)]
mod tests {
    use super::{is_built_upon, is_mentioned, sends};

    #[test]
    fn a_name_is_a_word_of_its_own() {
        assert!(is_mentioned("FROM maven:3\nRUN x", "maven:3"));
        assert!(is_mentioned("agent { docker 'maven:3' }", "maven:3"));
        assert!(is_mentioned("FROM busybox", "busybox") && is_mentioned("FROM maven:3@sha256:a", "maven:3"));
        assert!(!is_mentioned("FROM maven:3.9", "maven:3") && !is_mentioned("FROM x/maven:3", "maven:3"));
        assert!(!is_mentioned("FROM busybox:1", "busybox"));
    }

    #[test]
    fn what_is_built_upon_and_sent_on_is_seen() {
        let dockerfile = "node { docker.image('db:9').inside { } }\nARG A\n  from maven:3 AS build\nFROM --platform=linux/amd64 busybox\n";
        assert!(is_built_upon(dockerfile, "maven:3") && is_built_upon(dockerfile, "busybox"));
        assert!(!is_built_upon(dockerfile, "db:9"));
        for text in ["image.push('latest')", "sh 'docker push app'", "sh 'docker save -o x app'", "docker compose push"]
        {
            assert!(sends(text), "{text}");
        }
        assert!(!sends("docker.build('app'); sh 'git push'; list.add(1)"));
    }
}
