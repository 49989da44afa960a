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
/// A server may be away, or have nothing to say of a log, so long from who follows.
const PATIENCE: Duration = Duration::from_secs(300);
/// A stream that says nothing so long is broken: a server says every 15 s that it is there.
const SILENCE: Duration = Duration::from_secs(60);
/// Tries of one answer that breaks on its way, and of a log of which nothing has come yet.
const TRIES: u32 = 4;

/// A server, and who asks.
pub struct Client {
    http: Http,
    server: String,
    asks: Asks,
    /// [`PATIENCE`], which a test has less of.
    patience: Duration,
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
        Ok(Client { http, server: server.trim_end_matches('/').to_owned(), asks, patience: PATIENCE })
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
                    let next = response.headers().get("x-next-line").and_then(|next| next.to_str().ok());
                    let next: Option<u64> = next.and_then(|next| next.parse().ok());
                    // What is no log need not be read.
                    let Some(next) = next.filter(|next| *next >= from) else { return Err(self.no_log()) };
                    match response.text().await {
                        // It would be dropped, or asked for again and again.
                        Ok(lines) if (next == from) != lines.is_empty() => return Err(self.no_log()),
                        Ok(lines) => return Ok((lines, next)),
                        Err(error) => self.away(&error),
                    }
                }
                // It has begun, with this piece or with one before.
                Err(none) if none.is_away && (tries > 1 || from > 0) => none.failure,
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

    /// Something else has answered.
    fn no_log(&self) -> CommandFailure {
        let message = format!("{}: what came is no log: it does not say where its next lines begin", self.server);
        CommandFailure::new(Exit::Infrastructure, message)
    }

    /// Follows a log from its first line on; what each line is given to. The run as it ended.
    ///
    /// A connection that breaks is opened again, behind what has come. Once something has come, the server may be away for a while, or have
    /// nothing more; before that there are a few tries.
    pub async fn follow(&self, run: u64, mut line: impl FnMut(&Value)) -> Result<Value, CommandFailure> {
        let (mut from, mut has_begun, mut tries) = (0, false, 0);
        // Since when nothing has come.
        let mut away: Option<Instant> = None;
        let (mut pause, mut is_told) = (PAUSE, false);
        loop {
            let missed = match self.open(&format!("/api/v1/runs/{run}/log/live?from={from}")).await {
                Ok(response) => match read(response, &mut from, &mut line, self.patience).await {
                    Stopped::End(run) => return Ok(run),
                    Stopped::Failed(reason) => return Err(CommandFailure::new(Exit::Infrastructure, reason)),
                    Stopped::Broken => None,
                    Stopped::Empty { was_there } => {
                        has_begun |= was_there;
                        let message = format!("{}: nothing comes of the log", self.server);
                        // Once tells nothing: a server that ends does the same.
                        let trouble = (pause > PAUSE * 2).then_some("nothing comes from the server");
                        Some((trouble, CommandFailure::new(Exit::Infrastructure, message)))
                    }
                },
                Err(none) if none.is_away && (has_begun || tries > 0) => {
                    Some((Some("the server is away"), none.failure))
                }
                Err(none) => return Err(none.failure),
            };
            if let Some((trouble, failure)) = missed {
                tries += 1;
                let is_over = match has_begun {
                    true => away.get_or_insert_with(Instant::now).elapsed() > self.patience,
                    false => tries == TRIES,
                };
                if is_over {
                    return Err(failure);
                }
                if let Some(trouble) = trouble
                    && !is_told
                {
                    eprintln!("{trouble}; trying again");
                    is_told = true;
                }
            } else {
                (has_begun, away, pause, is_told) = (true, None, PAUSE, false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens a stream of events.
    async fn open(&self, path: &str) -> Result<Response, NoAnswer> {
        let opened = timeout(SILENCE, self.sent(self.http.get(format!("{}{path}", self.server)))).await;
        let none = |what: String, is_away| {
            let failure = CommandFailure::new(Exit::Infrastructure, format!("{}: {what}", self.server));
            NoAnswer { failure, is_away }
        };
        let response = opened.map_err(|_| none(format!("no answer within {} s", SILENCE.as_secs()), true))??;
        let kind =
            response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("no known type");
        // A page to log in, say, of which more would come as often as it is asked for.
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream") {
            return Err(none(format!("what came is no stream of events, but {kind}"), false));
        }
        Ok(response)
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
    /// Nothing had come, or only signs of life before the server itself ended it too soon.
    Empty {
        /// It was open for a while, as far as is known: there was a sign of life, or it was not the server that ended it.
        was_there: bool,
    },
}

/// An event of a stream, as far as it has come.
#[derive(Default)]
struct Event {
    kind: String,
    id: Option<u64>,
    data: String,
}

/// Reads a stream of lines; from which one on it is to be asked for next. What breaks in the middle has not come.
///
/// A server ends a stream itself where it cannot read on, perhaps after it has tried for a while; or one that is longer than `long`.
async fn read(response: Response, from: &mut u64, mut line: impl FnMut(&Value), long: Duration) -> Stopped {
    let (mut stream, began) = (response.bytes_stream(), Instant::now());
    let (mut buffer, mut event) = (Vec::new(), Event::default());
    let (mut has_lines, mut is_alive) = (false, false);
    let is_ended = loop {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(bytes))) => buffer.extend_from_slice(&bytes),
            Ok(ended) => break ended.is_none(),
            Err(_) => break false,
        }
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..=end);
            match text.split_once(':') {
                Some(("event", kind)) => kind.trim().clone_into(&mut event.kind),
                Some(("id", id)) => event.id = id.trim().parse().ok(),
                Some(("data", data)) => data.trim().clone_into(&mut event.data),
                // What only says that it is alive.
                Some(("", _)) => is_alive = true,
                _ if text.is_empty() => {
                    let Event { kind, id, data } = std::mem::take(&mut event);
                    // So ends a sign of life too.
                    if data.is_empty() {
                        continue;
                    }
                    let value: Value = serde_json::from_str(&data).unwrap_or_default();
                    match kind.as_str() {
                        "end" => return Stopped::End(value),
                        "failed" => return Stopped::Failed(value["error"].as_str().unwrap_or("no reason").to_owned()),
                        _ => line(&value),
                    }
                    has_lines = true;
                    *from = id.map_or(*from, |id| id.saturating_add(1));
                }
                _ => {}
            }
        }
    };
    let is_too_soon = is_ended && began.elapsed() < long;
    match has_lines || (is_alive && !is_too_soon) {
        true => Stopped::Broken,
        false => Stopped::Empty { was_there: is_alive || !is_ended },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;

    const LINE: &str = "id: 0\ndata: {\"text\":\"one\"}\n\n";
    const ALIVE: &str = ":\n\n";
    const END: &str = "event: end\ndata: {\"outcome\":\"SUCCESS\"}\n\n";

    /// A server that says one stream after the other, and the last one again and again; it ends each of them itself, and at once.
    fn server(streams: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (number, connection) in listener.incoming().flatten().enumerate() {
                let mut lines = BufReader::new(&connection).lines().map_while(Result::ok);
                lines.find(String::is_empty);
                let body = streams[number.min(streams.len() - 1)];
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                // Whoever has gone hears nothing.
                let _ = (&connection).write_all(answer.as_bytes());
            }
        });
        url
    }

    /// How following ends with so much patience, and how many lines have come.
    async fn follow(streams: &'static [&'static str], patience: Duration) -> (Result<Value, CommandFailure>, usize) {
        let client = Client { patience, ..Client::of(&server(streams), None).unwrap() };
        let mut lines = 0;
        let ended = client.follow(1, |_| lines += 1).await;
        (ended, lines)
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_any_more_is_waited_for_so_long() {
        let all: [&'static [&'static str]; 4] =
            [&[LINE, ""], &[LINE, ALIVE], &[ALIVE], &[LINE, "id: 1\ndata: {\"text\":\"tw"]];
        for streams in all {
            let (ended, lines) = follow(streams, Duration::from_millis(700)).await;
            let failure = ended.unwrap_err();
            assert!(failure.exit == Exit::Infrastructure && failure.message.contains("nothing comes"), "{failure}");
            assert_eq!(lines, usize::from(streams[0] == LINE), "{streams:?}");
        }
    }

    #[tokio::test]
    async fn what_is_quiet_for_long_is_followed_on() {
        // Nothing is too short for who has no patience.
        let (ended, lines) = follow(&[ALIVE, ALIVE, LINE, END], Duration::ZERO).await;
        assert_eq!((ended.unwrap()["outcome"].as_str(), lines), (Some("SUCCESS"), 1));
    }
}
