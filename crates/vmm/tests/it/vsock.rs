//! The way to a guest's port, with a stand-in for the monitor's socket.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use vmm::Api;
use vmm::http::HttpError;
use vmm::vsock::{VsockError, connect};

/// Serves connections with `answers`, one each, and then none any more. `None`: closes at once.
fn serve(socket: &Path, answers: &'static [Option<&'static str>]) -> std::thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            heard.push(line(&mut stream));
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).unwrap();
                let mut rest = String::new();
                let _ = stream.read_to_string(&mut rest);
                heard.push(rest);
            }
        }
        heard
    })
}

fn line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn a_port_is_asked_for_until_the_guest_listens() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vsock");
    let server = serve(&socket, &[None, None, Some("OK 1073741824\nhello")]);
    let mut stream = connect(&socket, 1024, Duration::from_secs(10)).await.unwrap();
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    stream.write_all(b"bye").unwrap();
    drop(stream);
    assert_eq!(server.join().unwrap(), ["CONNECT 1024", "CONNECT 1024", "CONNECT 1024", "bye"]);
}

#[tokio::test]
async fn an_answer_that_is_none_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vsock");
    let _server = serve(&socket, &[Some("HTTP/1.1 400 Bad Request\r\n")]);
    let error = connect(&socket, 1, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(&error, VsockError::Answer { answer, .. } if answer == "HTTP/1.1 400 \u{42}"), "{error:?}");
}

#[tokio::test]
async fn silence_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let missing = connect(&folder.path().join("none"), 7, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(missing.to_string(), "nobody answered on port 7 of the guest in time");
    let socket = folder.path().join("vsock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let silent = connect(&socket, 7, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(silent.to_string(), missing.to_string());
}

#[tokio::test]
async fn a_link_that_a_monitor_made_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (elsewhere, socket) = (folder.path().join("elsewhere"), folder.path().join("vsock"));
    let _listener = UnixListener::bind(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &socket).unwrap();
    let port = connect(&socket, 7, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(port, VsockError::Socket { .. }), "{port:?}");
    let api = Api::connect(&socket, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(api, HttpError::Connect { .. }), "{api:?}");
}
