//! `httpRequest`: asked from the sandbox, with its curl and over its network. The control plane asks nobody for a workload.

use std::rc::Rc;

use groovy::value::Value;
use model::request::{AgentSpec, Reply};

use super::args::Args;
use super::node::Wish;
use super::{StepCall, credentials, node, objects, unexpected};
use crate::engine::body::Body;
use crate::engine::fault::Fault;
use crate::engine::values;

/// What is accepted where nothing is said.
const USUAL_CODES: &str = "100:399";
/// Where the name and password of a request are, for curl.
const USER: &str = "COFFERDAM_HTTP_USER";
/// What the plugin can do and this cannot.
const MISSING: [&str; 5] = ["uploadFile", "formData", "wrapAsMultipart", "useNtlm", "proxyAuthentication"];
/// Names that the plugin has for types of content.
const TYPES: [(&str, &str); 11] = [
    ("TEXT_HTML", "text/html"),
    ("TEXT_PLAIN", "text/plain"),
    ("TEXT_XML", "text/xml"),
    ("APPLICATION_FORM", "application/x-www-form-urlencoded"),
    ("APPLICATION_FORM_DATA", "multipart/form-data"),
    ("APPLICATION_JSON", "application/json"),
    ("APPLICATION_JSON_UTF8", "application/json; charset=UTF-8"),
    ("APPLICATION_XML", "application/xml"),
    ("APPLICATION_TAR", "application/x-tar"),
    ("APPLICATION_ZIP", "application/zip"),
    ("APPLICATION_OCTETSTREAM", "application/octet-stream"),
];

/// `httpRequest 'https://example.org'`, `httpRequest(url: …, httpMode: 'POST', requestBody: …, contentType: 'APPLICATION_JSON')`: an object with
/// `status`, `content` and `headers`.
///
/// Source: `HttpRequestStep` and `HttpRequestExecution` of the http_request plugin.
pub(crate) async fn http_request(call: StepCall) -> Result<Value, Fault> {
    if let Some(name) = MISSING.iter().find(|name| call.args.get(name).is_some_and(Value::truth)) {
        let text = format!("httpRequest: {name} is not supported");
        return Err(Fault::raised("java.lang.UnsupportedOperationException", text).with_hint("`sh` with curl can"));
    }
    call.args.text("url")?;
    if call.scope.node.is_some() {
        return ask(call).await;
    }
    if let Some(file) = call.args.opt_text("outputFile")?.filter(|file| !file.is_empty()) {
        let text = format!(
            "Could not find workspace to save file outputFile: {file}. Make sure to use it inside a 'node' block"
        );
        return Err(Fault::raised("java.lang.IllegalStateException", text));
    }
    // Jenkins' own process asks there. Here it is a sandbox that is made for it.
    let (core, scope) = (Rc::clone(&call.core), call.scope.clone());
    let wish = Wish { agent: AgentSpec::Any, label: None, at: None, shares: None };
    let body = Body::native(move |scope| Box::pin(ask(StepCall { scope, ..call.clone() })));
    node::on_agent(&core, &scope, wish, body).await
}

async fn ask(call: StepCall) -> Result<Value, Fault> {
    let args = &call.args;
    let url = args.text("url")?;
    let mode = args.opt_text("httpMode")?.unwrap_or_else(|| "GET".to_owned());
    let codes = Codes::read(&args.opt_text("validResponseCodes")?.unwrap_or_else(|| USUAL_CODES.to_owned()))?;
    let file = args.opt_text("outputFile")?.filter(|name| !name.is_empty()).map(|name| call.path(&name)).transpose()?;
    let is_quiet = args.flag("quiet", false)?;
    if !is_quiet {
        call.say(&format!("HttpMethod: {mode}\nURL: {url}"));
    }
    let env = match args.opt_text("authentication")?.filter(|id| !id.is_empty()) {
        Some(id) => vec![(USER.to_owned(), credentials::name_and_password(&call, id).await?)],
        None => Vec::new(),
    };
    let keeps = Keeps {
        codes: &codes,
        file: file.as_deref(),
        tells: args.get("responseHandle").is_none_or(|how| how.to_text() != "NONE"),
    };
    let script = script(args, &url, &mode, &keeps, !env.is_empty())?;
    let said = match call.ask(credentials::script(&call.core, &call.scope, &script, env)?).await? {
        Reply::Exited { code: 0, stdout, .. } => stdout.unwrap_or_default(),
        Reply::Exited { code: 127, .. } => {
            return Err(Fault::abort("httpRequest: there is no curl").with_hint("use an image that has it"));
        }
        Reply::Exited { code, .. } => {
            return Err(Fault::abort(format!("httpRequest: {url} was not asked: curl ended with exit code {code}")));
        }
        reply => return Err(unexpected(&reply)),
    };
    // A plan asks nobody: whatever is accepted comes back.
    let planned = format!("HTTP/1.1 {}\n", codes.usual());
    let said = if call.core.facts.planning { format!("{}\n{planned}", planned.len()) } else { said };
    let Answer { line, status, headers, content } = Answer::read(&said);
    if !is_quiet {
        call.say(&format!("Response Code: {line}"));
        if args.flag("consoleLogResponseBody", false)? {
            call.say(&format!("Response: \n{content}"));
        }
    }
    let shown = &codes.text;
    if !codes.accept(status) {
        return Err(Fault::abort(format!("Fail: the returned code {status} is not in the accepted range: {shown}")));
    }
    if !is_quiet {
        call.say(&format!("Success: Status code {status} is in the accepted range: {shown}"));
    }
    let lacks = |wanted: &String| !call.core.facts.planning && !content.contains(wanted.as_str());
    if let Some(wanted) = args.opt_text("validResponseContent")?.filter(lacks) {
        return Err(Fault::abort(format!("Fail: Response doesn't contain expected content '{wanted}'")));
    }
    let headers = headers.into_iter().map(|(name, of)| {
        (Value::from(name.to_owned()), Value::list(of.into_iter().map(|value| Value::from(value.to_owned())).collect()))
    });
    let made = vec![Value::Int(status), values::text(content), Value::map(headers)];
    objects::of(&call.core, &call.scope, "response", made).await
}

/// What becomes of an answer.
struct Keeps<'a> {
    codes: &'a Codes,
    /// It goes there, where it is accepted.
    file: Option<&'a str>,
    /// The script is told it.
    tells: bool,
}

/// What asks: the heads of the answers with their length in front, and then what was answered last.
fn script(args: &Args, url: &str, mode: &str, keeps: &Keeps<'_>, has_user: bool) -> Result<String, Fault> {
    let mut words = vec!["-sSg".to_owned()];
    let body = args.opt_text("requestBody")?.filter(|body| !body.is_empty() && mode != "HEAD");
    // What changes something is not sent to where it was not meant for; a `303` says that the answer is asked for elsewhere.
    let asks = match mode {
        // With a body curl would say POST by itself.
        "GET" if body.is_some() => "-L -X GET".to_owned(),
        "GET" => "-L".to_owned(),
        "HEAD" => "-L --head".to_owned(),
        mode => format!("-X {}", quoted(mode)),
    };
    let elsewhere = if asks.starts_with("-L") { "" } else { "303" };
    for (name, header) in [("contentType", "Content-Type"), ("acceptType", "Accept")] {
        if let Some(kind) = args.opt_text(name)?.filter(|kind| kind != "NOT_SET") {
            words.extend(["-H".to_owned(), quoted(&format!("{header}: {}", type_of(&kind)?))]);
        }
    }
    for header in args.get("customHeaders").and_then(Value::items).unwrap_or_default() {
        let field = |name: &str| header.get(name).map(|value| value.to_text()).unwrap_or_default();
        words.extend(["-H".to_owned(), quoted(&format!("{}: {}", field("name"), field("value")))]);
    }
    if args.flag("ignoreSslErrors", false)? {
        words.push("-k".to_owned());
    }
    if let Some(seconds) = args.opt_int("timeout")?.filter(|seconds| *seconds > 0) {
        words.push(format!("--max-time {seconds}"));
    }
    if let Some(proxy) = args.opt_text("httpProxy")?.filter(|proxy| !proxy.is_empty()) {
        words.extend(["--proxy".to_owned(), quoted(&proxy)]);
    }
    if has_user {
        words.push(format!("--user \"${USER}\""));
    }
    if body.is_some() && !words.iter().any(|word| word.to_lowercase().starts_with("'content-type:")) {
        // Else curl says that it is a form.
        words.push("-H 'Content-Type:'".to_owned());
    }
    let (before, after) = match &body {
        // Not a word of a command: those have a length.
        Some(body) => (format!("printf %s {} | ", quoted(body)), " --data-binary @-"),
        None => (String::new(), ""),
    };
    // Of a `HEAD`, curl takes the headers for what was answered.
    let output = if mode == "HEAD" { "/dev/null" } else { "\"$dir/body\"" };
    let words = words.join(" ");
    let file = keeps.file.map(quoted).unwrap_or_default();
    let ranges = keeps.codes.ranges.iter();
    let accepted: Vec<_> = ranges.map(|(from, to)| format!("[ $1 -ge {from} ] && [ $1 -le {to} ] && return")).collect();
    let (accepted, tells) = (accepted.join("; "), if keeps.tells { "\"$dir/body\"" } else { "" });
    Ok(format!(
        "command -v curl >/dev/null || exit 127\n\
         dir=$(mktemp -d) || exit 1\ntrap 'rm -rf \"$dir\"' EXIT\n: > \"$dir/body\"; : > \"$dir/raw\"\n\
         accepted() {{ {accepted}; return 1; }}\n\
         ask() {{ curl {words} -D \"$dir/raw\" -o {output} -w '%{{http_code}} %{{redirect_url}}' \"$@\"; }}\n\
         said=$({before}ask {asks}{after} -- {})\ncode=$?\n\
         if [ \"${{said%% *}}\" = '{elsewhere}' ] && [ -n \"${{said#* }}\" ]; then said=$(ask -L -- \"${{said#* }}\"); code=$?; fi\n\
         case $code in 0) ;; 6) said=404 ;; 7|28) said=408 ;; *) exit $code ;; esac\n\
         [ $code = 0 ] || {{ printf 'HTTP/1.1 %s curl ended with exit code %s\\n' $said $code > \"$dir/raw\"; : > \"$dir/body\"; }}\n\
         file={file}\n\
         if [ -n \"$file\" ] && accepted ${{said%% *}}; then mkdir -p \"$(dirname \"$file\")\" && cp \"$dir/body\" \"$file\" || exit 1; fi\n\
         tr -cd '\\11\\12\\40-\\176' < \"$dir/raw\" > \"$dir/headers\"\n\
         echo $(wc -c < \"$dir/headers\")\ncat \"$dir/headers\" {tells}\n",
        quoted(url)
    ))
}

/// A word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn type_of(name: &str) -> Result<&str, Fault> {
    let known = TYPES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    known.or_else(|| name.contains('/').then_some(name)).ok_or_else(|| {
        let names = TYPES.map(|(name, _)| name).join(", ");
        Fault::illegal(format!("httpRequest knows no type {name}")).with_hint(format!("one of {names}"))
    })
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
struct Answer<'a> {
    line: &'a str,
    status: i32,
    headers: Vec<(&'a str, Vec<&'a str>)>,
    content: &'a str,
}

impl Answer<'_> {
    /// What the script has printed. What is none has no status, which nobody accepts.
    fn read(said: &str) -> Answer<'_> {
        let parts = said.split_once('\n').and_then(|(length, rest)| rest.split_at_checked(length.trim().parse().ok()?));
        let (heads, content) = parts.unwrap_or_default();
        // Those of answers that only said to ask elsewhere go before, what is told after an answer stands behind.
        let mut blocks = heads.rsplit("\n\n").map(str::trim_start);
        let last = blocks.find(|block| block.starts_with("HTTP/")).unwrap_or_default();
        let mut lines = last.lines();
        let line = lines.next().unwrap_or_default().trim();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, values)) => values.push(value.trim()),
                None => headers.push((name, vec![value.trim()])),
            }
        }
        Answer { line, status, headers, content }
    }
}

/// Codes that are accepted: `200`, `100:399,404`.
struct Codes {
    text: String,
    ranges: Vec<(i32, i32)>,
}

impl Codes {
    fn read(text: &str) -> Result<Codes, Fault> {
        let range = |part: &str| {
            let (from, to) = part.split_once(':').unwrap_or((part, part));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let wrong =
            || Fault::illegal(format!("validResponseCodes: ‘{text}’ is no list of codes")).with_hint("100:399,404");
        Ok(Codes { text: text.to_owned(), ranges: ranges.ok_or_else(wrong)? })
    }

    /// What is accepted, as far as possible a success.
    fn usual(&self) -> i32 {
        if self.accept(200) { 200 } else { self.ranges.first().map_or(200, |(from, _)| *from) }
    }

    fn accept(&self, code: i32) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Codes, quoted};

    #[test]
    fn the_last_answer_counts() {
        let heads = "HTTP/1.1 302 Found\nLocation: /x\n\nHTTP/2 404 \nset-cookie: a=b\nSet-Cookie: c: d\n\n";
        let said = format!("{}\n{heads}{{\"é\": 1}}\n", heads.len());
        let answer = Answer::read(&said);
        assert_eq!((answer.line, answer.status, answer.content), ("HTTP/2 404", 404, "{\"é\": 1}\n"));
        assert_eq!(answer.headers, [("set-cookie", vec!["a=b", "c: d"])]);
        let heads = "HTTP/1.1 100 Continue\n\nHTTP/1.1 201 Created\nX: y\n\nX-Sum: 1\n\n";
        assert_eq!(Answer::read(&format!("{}\n{heads}made", heads.len())).status, 201, "trailers stand behind");
        for odd in ["", "9", "999\nx", "1\n\u{e9}", "no\n"] {
            assert_eq!((Answer::read(odd).status, Answer::read(odd).content), (0, ""), "{odd:?}");
        }
    }

    #[test]
    fn codes() {
        let codes = Codes::read("100:399, 404").unwrap();
        assert_eq!([99, 100, 399, 400, 404].map(|code| codes.accept(code)), [false, true, true, false, true]);
        assert_eq!((codes.usual(), Codes::read("201,204").unwrap().usual()), (200, 201));
        assert!(["", "a", "1:b", "200,"].iter().all(|text| Codes::read(text).is_err()));
    }

    #[test]
    fn a_word_is_one_word() {
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
