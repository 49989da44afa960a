//! Where blobs are, by URL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::client::Connector;
use crate::{BlobError, Blobs};

/// How long a service is waited for, and how often it is asked again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries after the first.
    pub tries: usize,
    /// The first pause before another try; each is twice the one before, and none longer than `longest_pause`.
    pub first_pause: Duration,
    /// See above.
    pub longest_pause: Duration,
    /// A service that says nothing so long does not answer.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            tries: 5,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}

impl Patience {
    fn retry(&self) -> RetryConfig {
        let backoff = BackoffConfig { init_backoff: self.first_pause, max_backoff: self.longest_pause, base: 2.0 };
        // All tries together, each with its silence. Signatures are good for longer.
        let retry_timeout = (self.longest_pause + self.silence) * u32::try_from(self.tries).unwrap_or(u32::MAX);
        RetryConfig { backoff, max_retries: self.tries, retry_timeout: retry_timeout.min(Duration::from_secs(240)) }
    }

    fn client(&self) -> ClientOptions {
        // What is large may take its time, as long as something comes.
        ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(self.silence)
            .with_connect_timeout(self.silence.min(Duration::from_secs(10)))
    }
}

impl Blobs {
    /// Blobs at `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`. Credentials and endpoints of
    /// services come from the usual environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    ///
    /// # Errors
    /// It is no such URL, or the folder cannot be had. Services are not asked yet.
    pub fn open(url: &str) -> Result<Blobs, BlobError> {
        let words = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Blobs::open_with(url, std::env::vars_os().filter_map(words), Patience::default())
    }

    /// The same with other settings than those of the environment.
    ///
    /// # Errors
    /// As [`open`](Blobs::open).
    pub fn open_with(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
        patience: Patience,
    ) -> Result<Blobs, BlobError> {
        let wrong = |reason: String| BlobError::Url { url: url.to_owned(), reason };
        let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if parsed.scheme() == "file" {
            let folder = parsed.to_file_path().map_err(|()| wrong("file:///FOLDER".to_owned()))?;
            return Blobs::folder(&folder);
        }
        let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or_else(|| wrong(format!("{}://BUCKET/PREFIX", parsed.scheme())))?;
        let prefix =
            object_store::path::Path::from_url_path(parsed.path()).map_err(|error| wrong(error.to_string()))?;
        let settings = settings.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        // Whoever has set one before has set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = match parsed.scheme() {
            "s3" => s3(bucket, settings, patience),
            "gs" => gs(bucket, settings, patience),
            "az" => az(bucket, settings, patience),
            other => return Err(wrong(format!("{other}:// is none of file, s3, gs, az"))),
        };
        let made = made.map_err(|error| wrong(error.to_string()))?;
        Ok(Blobs::of(made, prefix))
    }

    /// Blobs in a folder, which is made where there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(folder: &Path) -> Result<Blobs, BlobError> {
        let failed = |source| BlobError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(std::io::Error::other(error)))?;
        // What was acknowledged is not lost with the machine: agents forget it then.
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Blobs { folder: Some(folder.to_owned()), ..Blobs::of(Arc::new(store), object_store::path::Path::default()) })
    }
}

type Made = Result<Arc<dyn ObjectStore>, object_store::Error>;

fn s3(bucket: &str, settings: impl Iterator<Item = (String, String)>, patience: Patience) -> Made {
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Connector::default())
        .with_retry(patience.retry())
        .with_client_options(patience.client())
        .with_bucket_name(bucket);
    for (name, value) in settings.filter(|(name, _)| name.starts_with("aws_")) {
        // Who writes `http://` means it.
        if name.starts_with("aws_endpoint") && value.starts_with("http://") {
            builder = builder.with_allow_http(true);
        }
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Arc::new(builder.with_bucket_name(bucket).build()?))
}

fn gs(bucket: &str, settings: impl Iterator<Item = (String, String)>, patience: Patience) -> Made {
    let mut builder =
        GoogleCloudStorageBuilder::new().with_http_connector(Connector::default()).with_retry(patience.retry());
    let mut client = patience.client();
    for (name, value) in settings.filter(|(name, _)| name.starts_with("google_")) {
        // Who writes `http://` means it.
        if name == "google_base_url" && value.starts_with("http://") {
            client = client.with_allow_http(true);
        }
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Arc::new(builder.with_client_options(client).with_bucket_name(bucket).build()?))
}

fn az(container: &str, settings: impl Iterator<Item = (String, String)>, patience: Patience) -> Made {
    let mut builder =
        MicrosoftAzureBuilder::new().with_http_connector(Connector::default()).with_retry(patience.retry());
    let mut client = patience.client();
    for (name, value) in settings.filter(|(name, _)| name.starts_with("azure_")) {
        if name.ends_with("endpoint") && value.starts_with("http://") {
            client = client.with_allow_http(true);
        }
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Arc::new(builder.with_client_options(client).with_container_name(container).build()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: &str) {
        let error = Blobs::open_with(url, [], Patience::default()).map(|blobs| format!("{blobs:?}")).unwrap_err();
        assert!(error.to_string().contains(expect), "{url}: {error}");
    }

    #[test]
    fn what_is_no_place_is_refused() {
        check("nothing", "relative URL");
        check("ftp://a/b", "none of file, s3, gs, az");
        check("s3:///prefix", "BUCKET");
        check("file://host/folder", "file:///FOLDER");
    }
}
