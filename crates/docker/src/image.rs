//! Images by digest.

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use sandbox::{CreateError, LayerSource, RootSpec, SandboxSpec};

use crate::engine::{Engine, failed, is_missing};

/// The image of a specification: `NAME@sha256:…`. Its layers lie at the engine; those of this host are the caller's business, who
/// keeps them for as long as he refers to them.
pub(crate) fn reference(spec: &SandboxSpec, driver: &str) -> Result<String, CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let RootSpec::Image(layers) = &spec.root else { return refuse(format!("the {driver} driver needs an image")) };
    for layer in layers {
        let (LayerSource::Erofs(path) | LayerSource::Dir(path)) = layer;
        std::fs::metadata(path).map_err(|source| CreateError::Layer { path: path.clone(), source })?;
    }
    let Some(image) = &spec.image else {
        return refuse(format!("the {driver} driver needs the name and digest of the image"));
    };
    match split(image) {
        Some(_) => Ok(image.clone()),
        None => refuse(format!("{image:?} is no image by digest (`NAME@sha256:…`)")),
    }
}

/// Name and digest. A tag before the digest says nothing, and an engine could take it for the name.
fn split(image: &str) -> Option<(&str, &str)> {
    let (name, digest) = image.split_once('@')?;
    let hex = digest.strip_prefix("sha256:")?;
    let is_digest = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let last = name.rsplit('/').next().unwrap_or_default();
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"./-_:".contains(&b));
    (is_digest && plain && !last.is_empty() && !last.contains(':')).then_some((name, digest))
}

/// Has the engine pull an image that it lacks; its id there.
pub(crate) async fn ensure(engine: &Engine, image: &str) -> Result<String, CreateError> {
    if let Some(id) = find(engine, image).await? {
        return Ok(id);
    }
    let (name, digest) = split(image).unwrap_or((image, ""));
    let options = CreateImageOptionsBuilder::default().from_image(name).tag(digest).build();
    let mut progress = std::pin::pin!(engine.client.create_image(Some(options), None, None));
    while let Some(step) = progress.next().await {
        step.map_err(failed(format!("have the engine pull {image}")))?;
    }
    find(engine, image)
        .await?
        .ok_or_else(|| CreateError::Unsupported { reason: format!("the engine pulled {image}, and does not have it") })
}

async fn find(engine: &Engine, image: &str) -> Result<Option<String>, CreateError> {
    match engine.client.inspect_image(image).await {
        Ok(found) => Ok(found.id),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(failed(format!("look for image {image}"))(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_digest_and_nothing_else() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let check = |image: String, expect: bool| assert_eq!(split(&image).is_some(), expect, "{image}");
        check(format!("registry.example:5000/a/b@{digest}"), true);
        check(format!("maven@{digest}"), true);
        check(format!("maven:3@{digest}"), false);
        check("maven:3".into(), false);
        check("maven@sha256:0a".into(), false);
        check(format!("@{digest}"), false);
        check(format!("a b@{digest}"), false);
    }
}
