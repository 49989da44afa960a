//! `httpRequest`, with a real curl and a server on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use model::outcome::Outcome;
use pipeline::conformance::{Fixture, HeldCredential};
use pipeline::engine::RunFacts;

use crate::engine_world::{Ran, World};

/// Answers whoever asks with what it was asked, and its path says how. Ends with the tests.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length =
                head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = match head.split(' ').nth(1).unwrap_or_default() {
                "/missing" => "404 Not Found",
                "/moved" => "302 Found\r\nLocation: /at-last",
                "/see" => "303 See Other\r\nLocation: /at-last",
                _ => "200 OK",
            };
            let said = format!("{head}{}", String::from_utf8_lossy(&body));
            let said = if head.starts_with("HEAD") { "" } else { &said };
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nX-Of: a\r\nX-Of: b\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
                said.len()
            );
        }
    });
    address
}

/// Runs a script in which `URL` is the server; nothing, where there is no curl.
fn ran(script: &str) -> Option<Ran> {
    if !["/usr/bin/curl", "/bin/curl", "/usr/local/bin/curl"].iter().any(|path| std::path::Path::new(path).exists()) {
        println!("skipped: curl is not installed");
        return None;
    }
    let held = HeldCredential::UsernamePassword {
        username: "bob".to_owned(),
        password: "correct-horse".to_owned(),
        is_username_secret: false,
    };
    let fixture = Fixture { credentials: vec![("login".to_owned(), held)], ..Fixture::default() };
    let script = script.replace("URL", &format!("http://{}", server()));
    Some(World::new(fixture).run(&format!("node {{ {script} }}")).unwrap())
}

#[test]
fn an_answer_has_a_status_a_text_and_headers() {
    let Some(ran) = ran("def a = httpRequest 'URL/moved'\necho \"<${a.status}> ${a.content.readLines()[0]} ${a.headers['X-Of']}\"
        def h = httpRequest(url: 'URL/x', httpMode: 'HEAD', quiet: true); echo \"head <${h.getStatus()}> <${h.getContent()}>\"
        echo httpRequest(url: 'URL/missing', validResponseCodes: '200,404').toString().take(11)") else { return };
    ran.is(Outcome::Success)
        .has("HttpMethod: GET\nURL: http://127.0.0.1:")
        .has("Response Code: HTTP/1.1 200 OK\nSuccess: Status code 200 is in the accepted range: 100:399\n")
        .has("<200> GET /at-last HTTP/1.1 [a, b]")
        .has("head <200> <>")
        .has("Status: 404");
}

#[test]
fn what_is_sent_is_what_was_said() {
    let Some(ran) = ran(r#"def body = "it's \$HOME \"x\"\n\\n%s".toString()
        def a = httpRequest(url: 'URL/p', httpMode: 'POST', requestBody: body, contentType: 'APPLICATION_JSON', acceptType: 'text/csv',
            customHeaders: [[name: 'X-Own', value: "o'k", maskValue: true]], authentication: 'login', consoleLogResponseBody: true, outputFile: 'd.txt')
        echo "same=${a.content.endsWith('\r\n\r\n' + body)}"
        echo "file=${readFile('d.txt') == a.content}"
        def large = httpRequest(url: 'URL/p', httpMode: 'PUT', requestBody: 'x' * 300000, customHeaders: [[name: 'Expect', value: '']])
        echo "large=${large.content.length() > 300000}"
        def plain = httpRequest(url: 'URL/p?filter[name]={a,b}', httpMode: 'POST', requestBody: 'x')
        echo "typed=${plain.content.toLowerCase().contains('content-type')} ${plain.content.readLines()[0]}"
        echo "kept=<${httpRequest(url: 'URL/moved', httpMode: 'POST', requestBody: 'x').status}>"
        echo "seen=<${httpRequest(url: 'URL/see', httpMode: 'DELETE').content.readLines()[0]}>"
        echo "none=<${httpRequest(url: 'URL/x', responseHandle: 'NONE').content}>"
        echo "got=<${httpRequest(url: 'URL/search', httpMode: 'GET', requestBody: '{}').content.replaceAll(/\s+/, ' ')}>"
        echo "usual=<${httpRequest(url: 'URL/moved', requestBody: 'q').content.replaceAll(/\s+/, ' ')}>"
        echo "head=<${httpRequest(url: 'URL/x', httpMode: 'HEAD', requestBody: 'x').status}>""#)
    else {
        return;
    };
    ran.is(Outcome::Success)
        .has("POST /p HTTP/1.1")
        .has("Content-Type: application/json")
        .has("Accept: text/csv")
        .has("X-Own: o'k")
        .has("Authorization: Basic ")
        .has("same=true")
        .has("file=true")
        .has("large=true")
        .has("typed=false POST /p?filter[name]={a,b} HTTP/1.1")
        .has("kept=<302>")
        .has("seen=<GET /at-last HTTP/1.1>")
        .has("none=<>")
        .has("got=<GET /search HTTP/1.1 ")
        .has(" {}>")
        .has("usual=<GET /at-last HTTP/1.1 ")
        .has("head=<200>")
        .lacks("correct-horse");
}

#[test]
fn what_is_not_accepted_fails() {
    let Some(ran) = ran(r#"try { httpRequest 'URL/missing' } catch (e) { echo e.message }
        try { httpRequest(url: 'URL/x', validResponseContent: 'never said') } catch (e) { echo e.message }
        try { httpRequest(url: 'http://127.0.0.1:1/', quiet: true) } catch (e) { echo e.message }
        echo "away=<${httpRequest(url: 'http://127.0.0.1:1/', validResponseCodes: '100:599').status}>"
        writeFile file: 'good', text: 'good'
        try { httpRequest(url: 'URL/missing', outputFile: 'good') } catch (e) { echo "still ${readFile 'good'}" }
        try { httpRequest(url: 'URL/x', uploadFile: 'f') } catch (UnsupportedOperationException e) { echo e.message }
        try { httpRequest(url: 'URL/x', contentType: 'BREAD') } catch (IllegalArgumentException e) { echo e.message }"#)
    else {
        return;
    };
    ran.is(Outcome::Success)
        .has("Fail: the returned code 404 is not in the accepted range: 100:399")
        .has("Fail: Response doesn't contain expected content 'never said'")
        .has("Fail: the returned code 408 is not in the accepted range: 100:399")
        .has("away=<408>")
        .has("still good")
        .has("httpRequest: uploadFile is not supported")
        .has("httpRequest knows no type BREAD");
    let facts = RunFacts { planning: true, ..Fixture::default().facts };
    let planned = "node { httpRequest(url: 'http://127.0.0.1:1', validResponseCodes: '201', validResponseContent: 'x'); echo 'planned' }";
    World::new(Fixture { facts, ..Fixture::default() }).run(planned).unwrap().is(Outcome::Success).has("planned");
    let outside = World::new(Fixture::default()).run("httpRequest 'http://127.0.0.1:1'").unwrap();
    let lost = World::new(Fixture::default()).run("httpRequest url: 'http://127.0.0.1:1', outputFile: 'x'").unwrap();
    lost.is(Outcome::Failure).has("IllegalStateException").has("inside a 'node' block").lacks("Running on");
    outside.is(Outcome::Failure).has("Running on").has("the returned code 408 is not in the accepted range");
}
