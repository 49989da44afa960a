//! Speaking to a server.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Client as Http, Method, Response};
use serde_json::Value;

use crate::args::server::ClientArgs;
use crate::failure::{CommandFailure, Exit};

/// Before a connection that has broken is opened again; twice as long each time that this is of no use.
const PAUSE: Duration = Duration::from_millis(500);
/// Tries of one answer that breaks on its way.
const TRIES: u32 = 4;

/// A server, and who asks.
pub struct Client {
    http: Http,
    server: String,
    asks: Asks,
}

/// Why there is no answer that is good.
struct NoAnswer {
    failure: CommandFailure,
    /// There is no server, or it cannot answer now: another try may do.
    is_away: bool,
}

/// Who asks.
enum Asks {
    Nobody,
    /// Whose token this is.
    Token(String),
    /// Their name and password.
    Somebody(String, String),
}

impl Client {
    /// For the server and the token of the command line.
    pub fn new(args: &ClientArgs) -> Result<Client, CommandFailure> {
        Client::of(&args.server, args.token.as_deref())
    }

    /// For a server and a token.
    pub fn of(server: &str, token: Option<&str>) -> Result<Client, CommandFailure> {
        // Whoever has set one before has set the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A server is spoken to by who knows it, not through a proxy for strangers.
        let http = Http::builder().no_proxy().build();
        let http = http.map_err(|error| CommandFailure::new(Exit::Infrastructure, agent::explain(&error)))?;
        let asks = token.map_or(Asks::Nobody, |token| Asks::Token(token.to_owned()));
        Ok(Client { http, server: server.trim_end_matches('/').to_owned(), asks })
    }

    /// For somebody who has no token.
    pub fn as_somebody(server: &str, name: &str, password: &str) -> Result<Client, CommandFailure> {
        Ok(Client { asks: Asks::Somebody(name.to_owned(), password.to_owned()), ..Client::of(server, None)? })
    }

    /// An answer in JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CommandFailure> {
        let response = self.send(method, path, body).await?;
        response.json().await.map_err(|error| self.away(&error))
    }

    /// All of a list, page by page.
    pub async fn all(&self, path: &str, of: &str) -> Result<Vec<Value>, CommandFailure> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut answer = self.ask(Method::GET, &format!("{path}{after}"), None).await?;
            if let Value::Array(page) = answer[of].take() {
                all.extend(page);
            }
            match answer["next_after"].as_str() {
                Some(next) => after = format!("?after={}", next.replace('/', "%2F").replace('+', "%2B")),
                None => return Ok(all),
            }
        }
    }

    /// An answer as it comes.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, CommandFailure> {
        let request = self.http.request(method, format!("{}{path}", self.server));
        self.sent(match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        })
        .await
        .map_err(|none| none.failure)
    }

    /// A file, from that byte on.
    pub async fn download(&self, path: &str, from: u64) -> Result<Response, CommandFailure> {
        let request = self.http.get(format!("{}{path}", self.server));
        let request = if from > 0 { request.header("range", format!("bytes={from}-")) } else { request };
        self.sent(request).await.map_err(|none| none.failure)
    }

    /// Lines of a log from that one on, and where the next begin. What breaks on its way is asked for again, so they are whole.
    pub async fn log(&self, run: u64, from: u64) -> Result<(String, u64), CommandFailure> {
        let url = format!("{}/api/v1/runs/{run}/log?from={from}", self.server);
        let (mut tries, mut pause) = (1, PAUSE);
        loop {
            let broken = match self.sent(self.http.get(&url)).await {
                Ok(response) => {
                    let next = response.headers().get("x-next-line").and_then(|next| next.to_str().ok()?.parse().ok());
                    match response.text().await {
                        Ok(lines) => return Ok((lines, next.unwrap_or(from))),
                        Err(error) => self.away(&error),
                    }
                }
                Err(none) if none.is_away && tries > 1 => none.failure,
                Err(none) => return Err(none.failure),
            };
            if tries == TRIES {
                return Err(broken);
            }
            tokio::time::sleep(pause).await;
            (tries, pause) = (tries + 1, pause * 2);
        }
    }

    async fn sent(&self, mut request: reqwest::RequestBuilder) -> Result<Response, NoAnswer> {
        request = match &self.asks {
            Asks::Nobody => request,
            Asks::Token(token) => request.bearer_auth(token),
            Asks::Somebody(name, password) => request.basic_auth(name, Some(password)),
        };
        let gone = |error: reqwest::Error| NoAnswer { failure: self.away(&error), is_away: error.is_request() };
        let response = request.send().await.map_err(gone)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let said = response.json::<Value>().await.ok();
        let reason = said.as_ref().and_then(|said| said["error"].as_str()).unwrap_or("no reason").to_owned();
        let failure = match status.as_u16() {
            401 => CommandFailure::new(Exit::Auth, reason)
                .with_hint("--token or COFFERDAM_TOKEN; a new server writes its first one to admin-token in its data"),
            403 => CommandFailure::new(Exit::Policy, reason),
            400..=499 => CommandFailure::usage(reason),
            _ => CommandFailure::new(Exit::Infrastructure, format!("{status}: {reason}")),
        };
        Err(NoAnswer { failure, is_away: (502..=504).contains(&status.as_u16()) })
    }

    fn away(&self, error: &reqwest::Error) -> CommandFailure {
        CommandFailure::new(Exit::Infrastructure, format!("{}: {}", self.server, agent::explain(error)))
    }

    /// Follows a log from line `from` on; what each line is given to. The run as it ended.
    pub async fn follow(&self, run: u64, mut line: impl FnMut(&Value)) -> Result<Value, CommandFailure> {
        let mut from = 0;
        loop {
            let response = self.send(Method::GET, &format!("/api/v1/runs/{run}/log/live?from={from}"), None).await?;
            let mut stream = response.bytes_stream();
            let (mut buffer, mut kind) = (Vec::new(), String::new());
            // A connection that breaks is opened again, behind what has come.
            while let Some(Ok(bytes)) = stream.next().await {
                buffer.extend_from_slice(&bytes);
                while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
                    buffer.drain(..=end);
                    match text.split_once(':') {
                        Some(("event", name)) => kind = name.trim().to_owned(),
                        Some(("id", id)) => from = id.trim().parse::<u64>().map_or(from, |id| id + 1),
                        Some(("data", data)) => {
                            let value = serde_json::from_str(data.trim()).unwrap_or_default();
                            if kind == "end" {
                                return Ok(value);
                            }
                            line(&value);
                        }
                        _ if text.is_empty() => kind.clear(),
                        _ => {}
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
