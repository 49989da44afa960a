//! Stashes and artifacts on their way back from the server: begun where the last try broke off, and believed when their digest is the server's.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use futures_util::StreamExt as _;
use model::ids::RunId;
use model::limits::MAX_STASH_BYTES;
use reqwest::header::{ETAG, IF_NONE_MATCH, IF_RANGE, RANGE};
use reqwest::{RequestBuilder, StatusCode};
use sha2::{Digest as _, Sha256};
use wire::artifact::{LEASE_TOKEN, MAX_PAGE_BYTES, Page, artifact, artifact_of, artifacts, stash};

use super::upload::{Failed, MOST_ANSWER, SILENCE, ServerFiles, Tries, refused, said};
use crate::failure::{Trouble, explain};
use crate::stash::{Kept, unnamed};

/// What is there of a name.
enum Found {
    /// It has come, whole: its digest.
    Came(String),
    /// What is known.
    Same,
    None,
}

/// What has come so far.
struct Here {
    file: File,
    digest: Sha256,
    bytes: u64,
    /// Of the whole, in quotes.
    tag: Option<String>,
}

impl ServerFiles {
    /// Fetches a stash into an unnamed file in that folder, if it is not what is here already (`own`). `None`: the run has none of that name.
    pub(crate) async fn fetch_stash(
        &self,
        name: &str,
        folder: &Path,
        own: Option<Kept>,
    ) -> Result<Option<Kept>, Trouble> {
        self.fetch(&stash(self.lease, name), &format!("stash ‘{name}’"), folder, own).await
    }

    /// Fetches what this run has archived under that path, or another (`of`), into an unnamed file in that folder.
    pub(crate) async fn fetch_artifact(&self, of: Option<RunId>, path: &str, folder: &Path) -> Result<File, Trouble> {
        let what = format!("artifact {path}");
        let from = of.map_or_else(|| artifact(self.lease, path), |run| artifact_of(self.lease, run, path));
        let fetched = self.fetch(&from, &what, folder, None).await?;
        fetched
            .map(|kept| kept.file)
            .ok_or_else(|| Trouble::infrastructure(format!("the server has no {what} any more")))
    }

    /// What this run has archived, or another (`of`), by path: a page of it, behind that path.
    pub(crate) async fn artifacts(&self, of: Option<RunId>, after: &str) -> Result<Page, Trouble> {
        let mut tries = Tries::new();
        loop {
            let reason = match self.try_page(of, after).await {
                Ok(Page { artifacts, next_after: Some(next) }) if artifacts.is_empty() || next == after => {
                    return Err(Trouble::infrastructure("the server's list of artifacts has no end"));
                }
                Ok(page) => return Ok(page),
                Err(Failed::For(trouble)) => return Err(trouble),
                Err(Failed::Passing(reason)) => reason,
            };
            tracing::warn!(reason, "it is asked again what was archived");
            if !tries.wait(false, self.patience).await {
                return Err(Trouble::infrastructure(format!("the server did not say what was archived: {reason}")));
            }
        }
    }

    async fn try_page(&self, of: Option<RunId>, after: &str) -> Result<Page, Failed> {
        let failed = |error: reqwest::Error| Failed::Passing(explain(&error.without_url()));
        let silent = |_| Failed::Passing("the server says nothing".to_owned());
        let request = self.get(&artifacts(self.lease, of, after));
        let response = tokio::time::timeout(SILENCE, request.send()).await.map_err(silent)?.map_err(failed)?;
        let (status, mut text, mut pieces) = (response.status(), Vec::new(), response.bytes_stream());
        while let Some(piece) = tokio::time::timeout(SILENCE, pieces.next()).await.map_err(silent)? {
            text.extend_from_slice(&piece.map_err(failed)?);
            if text.len() > MAX_PAGE_BYTES {
                return Err(Failed::Passing("the list is longer than any".to_owned()));
            }
        }
        match status {
            StatusCode::OK => serde_json::from_slice(&text).map_err(|error| Failed::Passing(error.to_string())),
            // What stands between answers in other words.
            StatusCode::NOT_FOUND if said(&text).is_none() => Err(Failed::Passing(status.to_string())),
            _ => Err(refused(status, &text, "does not say what was archived")),
        }
    }

    /// Fetches a file into an unnamed one in that folder, if it is not what is here already (`own`). `None`: there is none.
    async fn fetch(&self, from: &str, what: &str, folder: &Path, own: Option<Kept>) -> Result<Option<Kept>, Trouble> {
        let mut tries = Tries::new();
        let mut here = Here { file: unnamed(folder)?, digest: Sha256::new(), bytes: 0, tag: None };
        loop {
            let before = here.bytes;
            let known = own.as_ref().map(|own| own.sha256.as_str());
            let reason = match self.try_fetch(from, what, &mut here, known).await {
                Ok(Found::Came(sha256)) => return Ok(Some(Kept { file: here.file, sha256 })),
                Ok(Found::Same) => return Ok(own),
                Ok(Found::None) => return Ok(None),
                Err(Failed::For(trouble)) => return Err(trouble),
                Err(Failed::Passing(reason)) => reason,
            };
            tracing::warn!(what, reason, "a file is fetched again");
            if !tries.wait(here.bytes > before, self.patience).await {
                return Err(Trouble::infrastructure(format!("the server did not give {what}: {reason}")));
            }
        }
    }

    fn get(&self, from: &str) -> RequestBuilder {
        let request = self.uploader.http.get(format!("{}{from}", self.uploader.server));
        request.bearer_auth(&self.uploader.key).header(LEASE_TOKEN, &self.token.0)
    }

    async fn try_fetch(&self, from: &str, what: &str, here: &mut Here, known: Option<&str>) -> Result<Found, Failed> {
        let mut request = self.get(from);
        if let Some(tag) = here.tag.as_ref().filter(|_| here.bytes > 0) {
            request = request.header(RANGE, format!("bytes={}-", here.bytes)).header(IF_RANGE, tag);
        }
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, format!("\"{known}\""));
        }
        let failed = |error: reqwest::Error| Failed::Passing(explain(&error.without_url()));
        let silent = |_| Failed::Passing("the server says nothing".to_owned());
        let response = tokio::time::timeout(SILENCE, request.send()).await.map_err(silent)?.map_err(failed)?;
        let status = response.status();
        let tag = response.headers().get(ETAG).and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        let length = response.content_length();
        let mut pieces = response.bytes_stream();
        let mut next =
            async || tokio::time::timeout(SILENCE, pieces.next()).await.map_err(silent)?.transpose().map_err(failed);
        match status {
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Found::Same),
            StatusCode::PARTIAL_CONTENT if here.tag == tag => {}
            StatusCode::OK => here.begin(tag).map_err(not_kept)?,
            _ => {
                let mut text = Vec::new();
                while let Some(piece) = next().await? {
                    text.extend_from_slice(&piece);
                    if text.len() > MOST_ANSWER {
                        break;
                    }
                }
                match status {
                    // What stands between answers in other words.
                    StatusCode::NOT_FOUND if said(&text).is_some() => return Ok(Found::None),
                    StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => {
                        here.begin(None).map_err(not_kept)?;
                        return Err(Failed::Passing(status.to_string()));
                    }
                    _ => return Err(refused(status, &text, &format!("does not give {what}"))),
                }
            }
        }
        let whole = length.and_then(|length| here.bytes.checked_add(length)).filter(|whole| *whole <= MAX_STASH_BYTES);
        let whole = whole.ok_or_else(|| Failed::Passing("it is longer than any".to_owned()))?;
        while let Some(piece) = next().await? {
            if here.bytes.saturating_add(piece.len() as u64) > whole {
                return Err(Failed::Passing("more has come than was said".to_owned()));
            }
            here.add(&piece).map_err(not_kept)?;
        }
        let digest: String = here.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if here.bytes == whole && here.tag.as_deref() == Some(&format!("\"{digest}\"")) {
            return Ok(Found::Came(digest));
        }
        // Where only its end is missing, it goes on from there.
        if here.bytes == whole {
            here.begin(None).map_err(not_kept)?;
        }
        Err(Failed::Passing("something else has come".to_owned()))
    }
}

/// It has come, and this machine has no room for it.
fn not_kept(error: io::Error) -> Failed {
    Failed::For(Trouble::infrastructure(format!("it cannot be kept here: {error}")))
}

impl Here {
    /// From the beginning.
    fn begin(&mut self, tag: Option<String>) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        (self.digest, self.bytes, self.tag) = (Sha256::new(), 0, tag);
        Ok(())
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.digest.update(piece);
        self.bytes += piece.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use wire::artifact::Listed;

    use super::*;
    use crate::remote::upload::tests::uploads;

    /// A server that gives one answer after another, and closes behind each; what it was asked.
    async fn server(answers: Vec<Vec<u8>>) -> (ServerFiles, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uploads = uploads(format!("http://{}", listener.local_addr().unwrap()));
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                asked.push(String::from_utf8(head).unwrap().to_lowercase());
                stream.write_all(&answer).await.unwrap();
            }
            asked
        });
        (uploads, task)
    }

    fn answer(status: &str, tag: &[u8], length: usize, content: &[u8]) -> Vec<u8> {
        let tag: String = Sha256::digest(tag).iter().map(|byte| format!("{byte:02x}")).collect();
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\netag: \"{tag}\"\r\n\r\n");
        [head.as_bytes(), content].concat()
    }

    async fn fetched(answers: Vec<Vec<u8>>) -> (Result<Option<Vec<u8>>, Trouble>, Vec<String>) {
        let (uploads, server) = server(answers).await;
        let folder = tempfile::tempdir().unwrap();
        let fetched = uploads.fetch_stash("a b", folder.path(), None).await.map(|kept| {
            kept.map(|kept| {
                let mut content = Vec::new();
                crate::stash::reopened(&kept.file).unwrap().read_to_end(&mut content).unwrap();
                content
            })
        });
        (fetched, server.await.unwrap())
    }

    #[tokio::test]
    async fn what_breaks_off_goes_on_from_there() {
        let all: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
        let (fetched, asked) = fetched(vec![
            answer("503 Service Unavailable", b"", 2, b"{}"),
            answer("200 OK", &all, all.len(), &all[..60_000]),
            answer("206 Partial Content", &all, 40_000, &all[60_000..80_000]),
            answer("206 Partial Content", &all, 20_000, &all[80_000..]),
        ])
        .await;
        assert!(fetched.unwrap_or_else(|trouble| panic!("{:?}", trouble.0)) == Some(all));
        assert!(asked[0].starts_with("get /agent/v1/runs/7/stashes/a%20b?epoch=2 http/1.1\r\n"), "{}", asked[0]);
        assert!(asked[0].contains("authorization: bearer cfk_1"), "{}", asked[0]);
        let ranges: Vec<_> = asked.iter().map(|head| head.split("\r\nrange: ").nth(1)?.lines().next()).collect();
        assert_eq!(ranges, [None, None, Some("bytes=60000-"), Some("bytes=80000-")]);
    }

    #[tokio::test]
    async fn what_has_changed_meanwhile_begins_anew() {
        let (fetched, asked) = fetched(vec![
            answer("200 OK", b"the old one", 11, b"the"),
            answer("200 OK", b"a new one", 9, b"a new one"),
        ])
        .await;
        assert!(fetched.is_ok_and(|file| file == Some(b"a new one".to_vec())));
        assert!(asked[1].contains("if-range: \""), "{}", asked[1]);
    }

    /// Another job may have stashed under that name, at another agent.
    #[tokio::test]
    async fn what_is_here_is_held_against_what_is_there() {
        let (uploads, server) =
            server(vec![answer("304 Not Modified", b"mine", 0, b""), answer("200 OK", b"theirs", 6, b"theirs")]).await;
        let folder = tempfile::tempdir().unwrap();
        let sha256: String = Sha256::digest("mine").iter().map(|byte| format!("{byte:02x}")).collect();
        let mut own =
            Some(Kept { file: unnamed(folder.path()).unwrap_or_else(|_| panic!("a file")), sha256: sha256.clone() });
        for expect in [true, false] {
            own = uploads.fetch_stash("a", folder.path(), own).await.unwrap_or_else(|_| panic!("a stash"));
            assert_eq!(own.as_ref().is_some_and(|own| own.sha256 == sha256), expect);
        }
        let mut content = String::new();
        crate::stash::reopened(&own.unwrap().file).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "theirs");
        assert!(server.await.unwrap().iter().all(|head| head.contains(&format!("if-none-match: \"{sha256}\""))));
    }

    #[tokio::test]
    async fn what_is_something_else_is_not_believed() {
        let (fetched, asked) =
            fetched(vec![answer("200 OK", b"this", 4, b"that"), answer("200 OK", b"this", 4, b"this")]).await;
        assert!(fetched.is_ok_and(|file| file == Some(b"this".to_vec())));
        assert!(!asked[1].contains("range: "), "{}", asked[1]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_nothing_and_what_is_refused_is_said() {
        let (fetched, _) = fetched(vec![
            answer("404 Not Found", b"", 4, b"away"),
            answer("404 Not Found", b"", 14, b"{\"error\":\"no\"}"),
        ])
        .await;
        assert!(fetched.is_ok_and(|file| file.is_none()));
        let (uploads, _server) = server(vec![answer("409 Conflict", b"", 14, b"{\"error\":\"no\"}")]).await;
        let folder = tempfile::tempdir().unwrap();
        let failure = uploads.fetch_stash("a", folder.path(), None).await.unwrap_err().0;
        assert_eq!(failure.message, "the server does not give stash ‘a’: no");
    }

    #[tokio::test]
    async fn what_was_archived_is_asked_for_in_pages() {
        let page = |paths: &[&str], next: Option<&str>| {
            let listed = |path: &&str| Listed { path: (*path).to_owned(), bytes: 1, sha256: String::new() };
            let page = Page { artifacts: paths.iter().map(listed).collect(), next_after: next.map(str::to_owned) };
            let text = serde_json::to_vec(&page).unwrap();
            answer("200 OK", b"", text.len(), &text)
        };
        let again = answer("503 Service Unavailable", b"", 2, b"{}");
        let (uploads, asked) = server(vec![page(&["a", "b c"], Some("b c")), again, page(&["d"], None)]).await;
        for (after, paths, next) in [("", &["a", "b c"][..], Some("b c")), ("b c", &["d"], None)] {
            let page = uploads.artifacts(None, after).await.unwrap_or_else(|trouble| panic!("{:?}", trouble.0));
            assert_eq!(page.artifacts.iter().map(|listed| listed.path.as_str()).collect::<Vec<_>>(), paths);
            assert_eq!(page.next_after.as_deref(), next);
        }
        let asked = asked.await.unwrap();
        assert!(asked[0].starts_with("get /agent/v1/runs/7/artifacts?epoch=2&after= http"), "{}", asked[0]);
        assert!(asked[2].starts_with("get /agent/v1/runs/7/artifacts?epoch=2&after=b%20c http"), "{}", asked[2]);
        // A server that goes round in circles is not followed.
        let (uploads, _asked) = server(vec![page(&["a"], Some("a"))]).await;
        assert!(uploads.artifacts(None, "a").await.is_err());
        let (uploads, _asked) = server(vec![page(&[], Some("b"))]).await;
        assert!(uploads.artifacts(None, "a").await.is_err());
        let (uploads, _asked) = server(vec![answer("404 Not Found", b"", 14, b"{\"error\":\"no\"}")]).await;
        let folder = tempfile::tempdir().unwrap();
        let failure = uploads.fetch_artifact(None, "a", folder.path()).await.unwrap_err().0;
        assert_eq!(failure.message, "the server has no artifact a any more");
    }
}
