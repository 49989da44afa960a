//! Logs over connections that break, and by servers that are away: each line comes, and comes once.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::place::{Place, Process, wait_until};
use crate::project::{Project, Ran, run};

/// What a server says to a request: the head behind the version, and as much of the body as is sent.
type Answer = (String, &'static str);

/// A server that says one answer after the other, and the last one again and again. Each connection is closed behind its answer.
struct Server {
    url: String,
    /// The paths that it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn that_says(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let paths = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut answers = VecDeque::from(answers);
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let Some(first) = lines.next() else { continue };
                lines.by_ref().find(String::is_empty);
                paths.lock().unwrap().extend(first.split(' ').nth(1).map(str::to_owned));
                let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                say(&stream, &answer.unwrap());
            }
        });
        Server { url, asked }
    }

    fn ask(&self, words: &[&str]) -> Ran {
        run(&[words, &["--server", &self.url, "--token", "any"]].concat())
    }

    /// From which lines on it was asked.
    fn asked_from(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|path| path.split_once("?from=").expect(path).1.to_owned()).collect()
    }
}

fn say(mut stream: &TcpStream, (head, body): &Answer) {
    // Whoever has gone hears nothing.
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").as_bytes());
}

/// Lines of a log, of so many bytes, though fewer may be sent.
fn piece(next: u64, bytes: usize, sent: &'static str) -> Answer {
    (format!("200 OK\r\ncontent-type: text/plain\r\nx-next-line: {next}\r\ncontent-length: {bytes}"), sent)
}

/// Of a body that breaks nothing is shown, and all of it is asked for again.
#[test]
fn a_log_that_breaks_on_its_way_is_whole() {
    let away = ("503 Service Unavailable\r\ncontent-length: 0".to_owned(), "");
    let server = Server::that_says(vec![
        piece(2, 8, "one\ntwo\n"),
        piece(4, 11, "three\nfo"),
        away,
        piece(4, 11, "three\nfour\n"),
        piece(4, 0, ""),
    ]);
    let ran = server.ask(&["logs", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "one\ntwo\nthree\nfour\n"), "{ran:?}");
    assert_eq!(server.asked_from(), ["0", "2", "2", "2", "4"]);
}

#[test]
fn a_log_that_breaks_again_and_again_is_an_error() {
    let server = Server::that_says(vec![piece(1, 4, "one\n"), piece(3, 10, "two\nth")]);
    let ran = server.ask(&["logs", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "one\n"), "{ran:?}");
    assert!(ran.stderr.contains(&server.url), "{ran:?}");
    assert_eq!(server.asked_from(), ["0", "1", "1", "1", "1"]);
}

/// It has begun, though the piece that is asked for has not.
#[test]
fn a_log_outlives_a_server_that_is_away_between_two_pieces() {
    let away = ("503 Service Unavailable\r\ncontent-length: 0".to_owned(), "");
    let server = Server::that_says(vec![piece(2, 8, "one\ntwo\n"), away, piece(3, 6, "three\n"), piece(3, 0, "")]);
    let ran = server.ask(&["logs", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "one\ntwo\nthree\n"), "{ran:?}");
    assert_eq!(server.asked_from(), ["0", "2", "2", "3"]);
}

/// A page to log in, say, or what a proxy has made of an answer: neither a log that is empty, nor one that goes on.
#[test]
fn what_is_no_log_is_an_error() {
    let odd = |headers: &str| (format!("200 OK\r\n{headers}content-length: 4"), "one\n");
    let page = || odd("content-type: text/html; charset=utf-8\r\n");
    for answer in
        [page(), odd("x-next-line: many\r\n"), odd("x-next-line: -1\r\n"), piece(0, 4, "one\n"), piece(1, 0, "")]
    {
        let server = Server::that_says(vec![answer.clone()]);
        let ran = server.ask(&["logs", "1"]);
        assert!(ran.code == 7 && ran.stdout.is_empty() && ran.stderr.contains("is no log"), "{answer:?}: {ran:?}");
        assert_eq!(server.asked_from(), ["0"], "{answer:?}");
    }
    let server = Server::that_says(vec![piece(2, 8, "one\ntwo\n"), piece(1, 4, "two\n")]);
    let ran = server.ask(&["logs", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "one\ntwo\n"), "it does not go back: {ran:?}");

    for (answer, what) in [(page(), "text/html"), (odd(""), "no known type")] {
        let server = Server::that_says(vec![stream("id: 0\ndata: {\"text\":\"one\"}\n\n"), answer]);
        let ran = server.ask(&["logs", "1", "--follow"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (7, "one\n"), "{ran:?}");
        assert!(ran.stderr.contains("no stream of events") && ran.stderr.contains(what), "{ran:?}");
        assert_eq!(server.asked_from(), ["0", "1"]);
    }
}

/// Only what has begun is worth another try.
#[test]
fn a_log_is_not_waited_for_where_nobody_answers() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for words in [&["logs", "1"][..], &["logs", "1", "--follow"]] {
        let ran = run(&[words, &["--server", &url, "--token", "any"]].concat());
        assert!(ran.code == 7 && !ran.stderr.contains("trying again"), "{words:?}: {ran:?}");
    }
}

/// A piece of a stream, which breaks behind it.
fn stream(sent: &'static str) -> Answer {
    ("200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999".to_owned(), sent)
}

/// A line whose number has come, and not the rest, has not come; and what is not about who is there is an answer.
#[test]
fn who_follows_waits_for_a_server_and_for_nothing_else() {
    let none = |status: &str| (format!("{status}\r\ncontent-length: 0"), "");
    let server = Server::that_says(vec![
        stream("id: 0\ndata: {\"text\":\"one\"}\n\n:\n\nid: 1\ndata: {\"te"),
        none("503 Service Unavailable"),
        stream("id: 1\ndata: {\"text\":\"two\"}\n\nid: 2\ndata: {\"text\":\"three\"}\n"),
        stream("id: 2\ndata: {\"text\":\"three\"}\n\nevent: end\ndata: {\"outcome\":\"SUCCESS\"}\n\n"),
    ]);
    let ran = server.ask(&["logs", "1", "--follow"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "one\ntwo\nthree\n"), "{ran:?}");
    assert_eq!(ran.stderr.matches("the server is away; trying again\n").count(), 1, "{ran:?}");
    assert_eq!(server.asked_from(), ["0", "1", "1", "2"]);

    let of_one = || stream("id: 0\ndata: {\"text\":\"one\"}\n\n");
    for (status, code) in [("401 Unauthorized", 4), ("403 Forbidden", 6), ("404 Not Found", 2), ("410 Gone", 2)] {
        let server = Server::that_says(vec![of_one(), none(status), of_one()]);
        let ran = server.ask(&["logs", "1", "--follow"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, "one\n"), "{status}: {ran:?}");
        assert_eq!(server.asked_from(), ["0", "1"], "{status}");
    }
    let server = Server::that_says(vec![none("503 Service Unavailable"), of_one()]);
    let ran = server.ask(&["logs", "1", "--follow"]);
    assert!(ran.code == 7 && server.asked_from() == ["0"], "there was none yet: {ran:?}");
}

/// A stream of which nothing comes.
fn empty() -> Answer {
    ("200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0".to_owned(), "")
}

/// A server that answers has a log that can be read, or soon will have.
#[test]
fn who_follows_tries_a_few_times_where_nothing_has_come() {
    let server = Server::that_says(vec![empty()]);
    let ran = server.ask(&["logs", "1", "--follow"]);
    assert!(ran.code == 7 && ran.stderr.contains("nothing comes of the log"), "{ran:?}");
    assert_eq!(server.asked_from(), ["0"; 4]);

    let away = ("503 Service Unavailable\r\ncontent-length: 0".to_owned(), "");
    let end = stream("id: 0\ndata: {\"text\":\"one\"}\n\nevent: end\ndata: {\"outcome\":\"SUCCESS\"}\n\n");
    let server = Server::that_says(vec![empty(), away, empty(), end]);
    let ran = server.ask(&["logs", "1", "--follow"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "one\n"), "{ran:?}");
    assert_eq!(server.asked_from(), ["0"; 4]);
}

/// What cannot be read now is asked for again, less and less often; what is gone for good is an error.
#[test]
fn who_follows_hears_that_there_is_no_more() {
    let server = Server::that_says(vec![
        stream("id: 0\ndata: {\"text\":\"one\"}\n\n"),
        empty(),
        empty(),
        stream("event: failed\ndata: {\"error\":\"its bytes are gone\"}\n\n"),
    ]);
    let began = Instant::now();
    let ran = server.ask(&["logs", "1", "--follow"]);
    assert!(began.elapsed() > Duration::from_millis(500 + 1000 + 2000), "the pauses grow: {:?}", began.elapsed());
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "one\n"), "{ran:?}");
    assert!(ran.stderr.contains("its bytes are gone"), "{ran:?}");
    assert_eq!(ran.stderr.matches("nothing comes from the server; trying again\n").count(), 1, "{ran:?}");
    assert_eq!(server.asked_from(), ["0", "1", "1", "1"]);
}

#[test]
fn who_follows_outlives_a_restart_of_the_server() {
    let Some(mut place) = Place::with_agent() else { return };
    let project = Project::new(
        "node { sh 'for i in $(seq 100); do echo before-$i; done' }\ninput 'go on?'\n\
         node { sh 'for i in $(seq 100); do echo after-$i; done' }",
    );
    place.put("app", &project);
    let id = place.trigger("app").to_string();
    let mut command = place.command(&["logs", &id, "--follow"]);
    command.stdout(place.log("followed")).stderr(place.log("told"));
    let mut follower = Process(command.spawn().unwrap());
    let text = |place: &Place, name: &str| std::fs::read_to_string(place.folder.path().join(name)).unwrap();
    wait_until("it is followed", || text(&place, "followed").contains("\nbefore-100\n"));
    wait_until("it asks", || place.ask(&["answer", &id]).stdout.contains("go on?"));
    place.kill_server();
    let killed = Instant::now();
    let said = |place: &Place| text(place, "told").contains("the server is away; trying again\n");
    wait_until("nobody has been there for a while", || said(&place) && killed.elapsed() > Duration::from_millis(1500));
    place.start_server();
    wait_until("it is answered", || place.ask(&["answer", &id, "--yes"]).code == 0);
    let ended = place.wait_for_end(id.parse().unwrap());
    assert_eq!(ended["outcome"], "SUCCESS", "{ended}\n{}", place.logs());
    wait_until("who follows has seen the end", || follower.0.try_wait().unwrap().is_some());
    let (followed, told) = (text(&place, "followed"), text(&place, "told"));
    assert_eq!(follower.0.wait().unwrap().code(), Some(0), "{told}\n{followed}");
    assert_eq!(told.matches("trying again").count(), 1, "{told}");
    for word in ["before", "after"] {
        let lines: Vec<_> = followed.lines().filter(|line| line.starts_with(&format!("{word}-"))).collect();
        assert_eq!(lines, (1..=100).map(|number| format!("{word}-{number}")).collect::<Vec<_>>(), "{followed}");
    }
    assert_eq!(place.ask(&["logs", &id]).stdout, followed, "what was followed is what is kept");
}
