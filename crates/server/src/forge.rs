//! Asking forges. What they are to be asked, and what they answer, `scm` knows.
//!
//! Never: an answer of any size, a redirect that is followed.

use std::time::Duration;

use axum::http::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use scm::{Facts, Forge, Get, MAX_ANSWER_BYTES, Reference, Refs, Refused};
use serde_json::Value;
use wire::agent::Login;

use crate::app::App;
use crate::config::ReportConfig;
use crate::github_app;

/// How long a forge may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a forge has not said it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silent {
    /// There is no such thing there.
    #[error("it knows of no such thing")]
    Missing,
    /// It is busy, or does not let us ask.
    #[error("{0}")]
    Status(StatusCode),
    /// It is away, or speaks of something else.
    #[error("{0}")]
    Away(String),
    /// Its answer is none.
    #[error("{0}")]
    Answer(#[from] Refused),
}

/// Headers of an answer as `scm` wants them.
pub(crate) struct Given<'a>(pub(crate) &'a HeaderMap);

impl scm::Headers for Given<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// To where it was sent and nowhere else: a token goes with it.
pub(crate) fn client() -> reqwest::Result<Client> {
    // Whoever has set one before has set the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).user_agent("cofferdam").build()
}

/// A request with headers of `scm`'s.
pub(crate) fn with(request: RequestBuilder, headers: &[(&'static str, String)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

/// What is answered to a request in JSON, with its headers.
pub(crate) async fn answer(request: RequestBuilder) -> Result<(HeaderMap, Value), Silent> {
    let (headers, body) = body(request).await?;
    let read = serde_json::from_slice(&body).map_err(|error| Silent::Away(format!("no answer in JSON: {error}")))?;
    Ok((headers, read))
}

/// The branches and tags of a repository, by its own word.
///
/// # Errors
/// It has not said it.
pub(crate) async fn refs(app: &App, url: &str, login: Option<&Login>) -> Result<Refs, Silent> {
    let request = app.http.get(scm::refs_url(url));
    let request = login.iter().fold(request, |request, login| request.basic_auth(&login.user, Some(&login.password)));
    Ok(scm::read_refs(&body(request).await?.1)?)
}

async fn body(request: RequestBuilder) -> Result<(HeaderMap, Vec<u8>), Silent> {
    let away = |error: reqwest::Error| Silent::Away(error.without_url().to_string());
    let mut answer = request.send().await.map_err(away)?;
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Silent::Missing),
        status => return Err(Silent::Status(status)),
    }
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(away)? {
        if body.len() + bytes.len() > MAX_ANSWER_BYTES {
            return Err(Silent::Away(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&bytes);
    }
    Ok((answer.headers().clone(), body))
}

/// What a project's forge is asked with.
pub(crate) struct Asker<'a> {
    app: &'a App,
    config: &'a ReportConfig,
    api: &'a str,
}

impl<'a> Asker<'a> {
    /// `None`: its API is not known.
    pub(crate) fn of(app: &'a App, config: &'a ReportConfig) -> Option<Asker<'a>> {
        Some(Asker { app, config, api: config.api()? })
    }

    fn forge(&self) -> Forge {
        self.config.forge
    }

    async fn token(&self) -> Result<Option<String>, Silent> {
        github_app::token(self.app, self.config).await
    }

    async fn get(&self, get: &Get) -> Result<(HeaderMap, Value), Silent> {
        let answered = answer(with(self.app.http.get(&get.url), &get.headers)).await;
        if matches!(answered, Err(Silent::Status(StatusCode::UNAUTHORIZED))) {
            self.app.tokens.forget(self.config);
        }
        answered
    }

    /// A branch's commit now.
    pub(crate) async fn branch(&self, name: &str) -> Result<scm::Branch, Silent> {
        let token = self.token().await?;
        let get = scm::ask_branch(self.forge(), self.api, token.as_deref(), &self.config.repository, name);
        Ok(scm::read_branch(self.forge(), name, &self.get(&get).await?.1)?)
    }

    /// Whether there is no such branch or tag.
    ///
    /// # Errors
    /// It has not said it.
    pub(crate) async fn is_missing(&self, reference: &Reference) -> Result<bool, Silent> {
        let found = match reference {
            Reference::Branch(name) => self.branch(name).await.map(drop),
            Reference::Tag(name) => self.tag(name).await.map(drop),
        };
        match found {
            Ok(()) => Ok(false),
            Err(Silent::Missing) => Ok(true),
            // It has another name now: GitHub leads on from the one that a branch had.
            Err(Silent::Status(status)) if status.is_redirection() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// A pull request as it is now, with its whole commit.
    pub(crate) async fn pull_request(&self, number: u64) -> Result<Facts, Silent> {
        let token = self.token().await?;
        let get = scm::ask_pull_request(self.forge(), self.api, token.as_deref(), &self.config.repository, number);
        let facts = scm::read_pull_request(self.forge(), &self.get(&get).await?.1)?;
        self.whole(facts).await
    }

    /// Bitbucket abbreviates commits.
    async fn whole(&self, mut facts: Facts) -> Result<Facts, Silent> {
        if !scm::is_whole(&facts.request.commit) {
            let commit = &facts.request.commit;
            let token = self.token().await?;
            let get = scm::ask_commit(self.forge(), self.api, token.as_deref(), &self.config.repository, commit);
            facts.request.commit = scm::read_commit(self.forge(), commit, &self.get(&get).await?.1)?;
        }
        Ok(facts)
    }

    /// Those that are open.
    pub(crate) async fn pull_requests(&self) -> Result<Vec<Facts>, Silent> {
        let token = self.token().await?;
        let first = scm::ask_pull_requests(self.forge(), self.api, token.as_deref(), &self.config.repository);
        self.all(first, |answer| scm::read_pull_requests(self.forge(), answer)).await
    }

    /// All branches.
    pub(crate) async fn branches(&self) -> Result<Vec<scm::Branch>, Silent> {
        let token = self.token().await?;
        let first = scm::ask_branches(self.forge(), self.api, token.as_deref(), &self.config.repository);
        self.all(first, |answer| scm::read_branches(self.forge(), answer)).await
    }

    /// All tags.
    pub(crate) async fn tags(&self) -> Result<Vec<scm::Tag>, Silent> {
        let token = self.token().await?;
        let first = scm::ask_tags(self.forge(), self.api, token.as_deref(), &self.config.repository);
        self.all(first, |answer| scm::read_tags(self.forge(), answer)).await
    }

    /// A tag's commit now.
    pub(crate) async fn tag(&self, name: &str) -> Result<String, Silent> {
        let token = self.token().await?;
        let get = scm::ask_tag(self.forge(), self.api, token.as_deref(), &self.config.repository, name);
        match self.get(&get).await {
            Ok((_, answer)) => Ok(scm::read_tag(self.forge(), &answer)?),
            Err(Silent::Status(StatusCode::UNPROCESSABLE_ENTITY)) if self.forge() == Forge::Github => {
                Err(Silent::Missing)
            }
            Err(error) => Err(error),
        }
    }

    async fn all<T>(
        &self,
        first: Get,
        read: impl Fn(&Value) -> Result<scm::Listed<T>, Refused>,
    ) -> Result<Vec<T>, Silent> {
        let (mut all, mut next) = (Vec::new(), Some(first));
        while let Some(get) = next {
            let (headers, answer) = self.get(&get).await?;
            let page = read(&answer)?;
            for refused in &page.refused {
                tracing::warn!(%refused, repository = self.config.repository, "something of a list is not understood");
            }
            all.extend(page.found);
            next = scm::next_page(self.forge(), &get, &Given(&headers), &answer)?;
        }
        Ok(all)
    }
}
