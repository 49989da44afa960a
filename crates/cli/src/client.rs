//! Speaking to a server.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Client as Http, Method, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use wire::artifact::encoded;

use crate::args::server::ClientArgs;
use crate::failure::{CommandFailure, Exit};

/// Before a connection that has broken is opened again; twice as long each time that this is of no use.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest of these pauses, of who follows.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A server may be away so long from who follows.
const PATIENCE: Duration = Duration::from_secs(300);
/// A stream that says nothing so long is broken: a server says every 15 s that it is there.
const SILENCE: Duration = Duration::from_secs(60);
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
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut answer = self.ask(Method::GET, &format!("{path}{after}"), None).await?;
            if let Value::Array(page) = answer[of].take() {
                all.extend(page);
            }
            match answer["next_after"].as_str() {
                Some(next) => after = format!("{sign}after={}", encoded(next)),
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

    /// Follows a log from its first line on; what each line is given to. The run as it ended.
    ///
    /// A connection that breaks is opened again, behind what has come. Once there was one, the server may be away for a while.
    pub async fn follow(&self, run: u64, mut line: impl FnMut(&Value)) -> Result<Value, CommandFailure> {
        let (mut from, mut has_begun) = (0, false);
        // Since when there is no server.
        let mut away: Option<Instant> = None;
        let (mut pause, mut is_told) = (PAUSE, false);
        loop {
            let trouble = match self.open(&format!("/api/v1/runs/{run}/log/live?from={from}")).await {
                Ok(response) => {
                    (has_begun, away) = (true, None);
                    match read(response, &mut from, &mut line).await {
                        Stopped::End(run) => return Ok(run),
                        Stopped::Failed(reason) => return Err(CommandFailure::new(Exit::Infrastructure, reason)),
                        Stopped::Broken => {
                            (pause, is_told) = (PAUSE, false);
                            None
                        }
                        // Once tells nothing: a server that ends does the same.
                        Stopped::Empty => (pause > PAUSE * 2).then_some("nothing comes from the server"),
                    }
                }
                Err(none) if none.is_away && has_begun => {
                    if away.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(none.failure);
                    }
                    Some("the server is away")
                }
                Err(none) => return Err(none.failure),
            };
            if let Some(trouble) = trouble
                && !is_told
            {
                eprintln!("{trouble}; trying again");
                is_told = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens a stream.
    async fn open(&self, path: &str) -> Result<Response, NoAnswer> {
        let opened = timeout(SILENCE, self.sent(self.http.get(format!("{}{path}", self.server)))).await;
        opened.unwrap_or_else(|_| {
            let message = format!("{}: no answer within {} s", self.server, SILENCE.as_secs());
            Err(NoAnswer { failure: CommandFailure::new(Exit::Infrastructure, message), is_away: true })
        })
    }
}

/// How a stream has stopped.
enum Stopped {
    /// The run has ended like this.
    End(Value),
    /// The rest cannot be had, for this reason.
    Failed(String),
    /// After something had come.
    Broken,
    /// Nothing had come.
    Empty,
}

/// An event of a stream, as far as it has come.
#[derive(Default)]
struct Event {
    kind: String,
    id: Option<u64>,
    data: String,
}

/// Reads a stream of lines; from which one on it is to be asked for next. What breaks in the middle has not come.
async fn read(response: Response, from: &mut u64, mut line: impl FnMut(&Value)) -> Stopped {
    let mut stream = response.bytes_stream();
    let (mut buffer, mut event, mut is_empty) = (Vec::new(), Event::default(), true);
    while let Ok(Some(Ok(bytes))) = timeout(SILENCE, stream.next()).await {
        is_empty = false;
        buffer.extend_from_slice(&bytes);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..=end);
            match text.split_once(':') {
                Some(("event", kind)) => kind.trim().clone_into(&mut event.kind),
                Some(("id", id)) => event.id = id.trim().parse().ok(),
                Some(("data", data)) => data.trim().clone_into(&mut event.data),
                _ if text.is_empty() => {
                    let Event { kind, id, data } = std::mem::take(&mut event);
                    // What only says that it is alive has none.
                    if data.is_empty() {
                        continue;
                    }
                    let value: Value = serde_json::from_str(&data).unwrap_or_default();
                    match kind.as_str() {
                        "end" => return Stopped::End(value),
                        "failed" => return Stopped::Failed(value["error"].as_str().unwrap_or("no reason").to_owned()),
                        _ => line(&value),
                    }
                    *from = id.map_or(*from, |id| id.saturating_add(1));
                }
                _ => {}
            }
        }
    }
    if is_empty { Stopped::Empty } else { Stopped::Broken }
}
