//! `URL` and `URI` as values. What would open a connection is refused (`outside`).

use std::rc::Rc;

use super::{object, value_of};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Class, Java, Object, Str, Value};

const URL: &str = "java.net.URL";
const URI: &str = "java.net.URI";
/// What a URL may begin with.
const PROTOCOLS: &[(&str, i32)] =
    &[("file", -1), ("ftp", 21), ("http", 80), ("https", 443), ("jar", -1), ("mailto", 25)];

/// The parts of an address.
#[derive(Default)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

fn split(text: &str) -> Parts<'_> {
    let (rest, fragment) = text.split_once('#').map_or((text, None), |(r, f)| (r, Some(f)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(r, q)| (r, Some(q)));
    let is_scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, rest),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            (Some(&rest[..end]).filter(|a| !a.is_empty()), &rest[end..])
        }
        None => (None, rest),
    };
    Parts { scheme, authority, path, query, fragment }
}

impl Parts<'_> {
    fn user(&self) -> Option<&str> {
        self.authority?.rsplit_once('@').map(|(user, _)| user)
    }

    fn host_and_port(&self) -> (Option<&str>, Option<i32>) {
        let Some(authority) = self.authority else { return (None, None) };
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        // An address of version 6 has colons of its own, in brackets.
        match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (Some(host), port.parse().ok()),
            _ => (Some(place), None),
        }
    }
}

fn join(
    scheme: Option<&str>,
    authority: Option<&str>,
    path: &str,
    query: Option<&str>,
    fragment: Option<&str>,
) -> String {
    let mut out = String::new();
    if let Some(scheme) = scheme {
        out += &format!("{scheme}:");
    }
    if let Some(authority) = authority {
        out += &format!("//{authority}");
    }
    out += path;
    if let Some(query) = query {
        out += &format!("?{query}");
    }
    if let Some(fragment) = fragment {
        out += &format!("#{fragment}");
    }
    out
}

/// Takes `.` and `..` out of a path.
pub(super) fn normal(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if out.last().is_some_and(|p| *p != "..") => drop(out.pop()),
            ".." if absolute => {}
            part => out.push(part),
        }
    }
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let end = if folder && !out.is_empty() { "/" } else { "" };
    format!("{}{}{end}", if absolute { "/" } else { "" }, out.join("/"))
}

/// An address seen from another.
fn resolve(base: &str, given: &str) -> String {
    let (b, g) = (split(base), split(given));
    if g.scheme.is_some() {
        return given.to_string();
    }
    if g.authority.is_some() {
        return join(b.scheme, g.authority, g.path, g.query, g.fragment);
    }
    if g.path.is_empty() {
        return join(b.scheme, b.authority, b.path, g.query.or(b.query), g.fragment);
    }
    let path = if g.path.starts_with('/') {
        g.path.to_string()
    } else {
        let folder = b.path.rfind('/').map_or("", |at| &b.path[..=at]);
        let start = if folder.is_empty() && b.authority.is_some() { "/" } else { "" };
        normal(&format!("{start}{folder}{}", g.path))
    };
    join(b.scheme, b.authority, &path, g.query, g.fragment)
}

fn url(ctx: &Ctx<'_>, text: &str) -> Result<Value, Fault> {
    let text = text.trim();
    let class = "java.net.MalformedURLException";
    match split(text).scheme.map(str::to_ascii_lowercase) {
        None => Err(ctx.fail(class, format!("no protocol: {text}"))),
        Some(scheme) if !PROTOCOLS.iter().any(|(p, _)| *p == scheme) => {
            Err(ctx.fail(class, format!("unknown protocol: {scheme}")))
        }
        Some(_) => Ok(object(ctx, URL, Java::Address(Str::new(text)))),
    }
}

fn uri(ctx: &Ctx<'_>, text: &str, class: &str) -> Result<Value, Fault> {
    let is_wrong = |c: char| c.is_ascii_control() || " \"<>\\^`{|}".contains(c);
    if let Some(at) = text.find(is_wrong) {
        // A wrong character in a host is told by where the host begins.
        let at_host = split(text).authority.is_some_and(|a| a.contains(is_wrong)).then(|| text.find("//")).flatten();
        let index = text[..at_host.map_or(at, |start| start + 2)].encode_utf16().count();
        let part = match (text.find('?'), text.find('#')) {
            (_, Some(hash)) if at > hash => "fragment",
            (Some(question), _) if at > question => "query",
            _ if split(text).authority.is_some_and(|a| a.contains(is_wrong)) => "authority",
            _ => "path",
        };
        return Err(ctx.fail(class, format!("Illegal character in {part} at index {index}: {text}")));
    }
    Ok(object(ctx, URI, Java::Address(Str::new(text))))
}

/// A part as it stands in an address: what may not stand there is escaped.
fn escaped(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b as char {
            c if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(c) || keep.contains(c) => out.push(c),
            _ if b >= 0x80 => out.push_str(&format!("%{b:02X}")),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let hex = bytes
            .get(i + 1..i + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(b)) => {
                out.push(b);
                i += 3;
            }
            (b, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn construct(ctx: &mut Ctx<'_>, class: &Rc<Class>, args: &[Value]) -> Answer {
    let texts: Vec<Option<String>> =
        args.iter().map(|a| if a.is_null() { Ok(None) } else { ctx.text(a).map(Some) }).collect::<Result<_, _>>()?;
    let part = |i: usize| texts.get(i).cloned().flatten();
    let all = || texts.iter().flatten().map(String::len).sum::<usize>();
    ctx.room(all())?;
    if &*class.name == URL {
        return match args {
            [_] => url(ctx, &part(0).unwrap_or_default()).map(Some),
            [base, _] if matches!(value_of(base), Some(Java::Address(_))) => {
                url(ctx, &resolve(&part(0).unwrap_or_default(), &part(1).unwrap_or_default())).map(Some)
            }
            [_, _] => url(ctx, &part(1).unwrap_or_default()).map(Some),
            [_, _, file] | [_, _, _, file] => {
                let port = args.get(2).filter(|_| args.len() == 4).and_then(int).filter(|p| *p >= 0);
                let port = port.map_or(String::new(), |p| format!(":{p}"));
                let authority = format!("{}{port}", part(1).unwrap_or_default());
                let file = ctx.text(file)?;
                url(ctx, &join(part(0).as_deref(), Some(&authority), &file, None, None)).map(Some)
            }
            _ => Ok(None),
        };
    }
    let path = |i: usize| part(i).map(|p| escaped(&p, "/")).unwrap_or_default();
    let query = |i: usize| part(i).map(|p| escaped(&p, "/?"));
    let text = match args.len() {
        1 => part(0).unwrap_or_default(),
        3 => join(part(0).as_deref(), None, &path(1), None, query(2).as_deref()),
        4 => join(part(0).as_deref(), part(1).as_deref(), &path(2), None, query(3).as_deref()),
        5 => join(part(0).as_deref(), part(1).as_deref(), &path(2), query(3).as_deref(), query(4).as_deref()),
        7 => {
            let user = part(1).map_or(String::new(), |u| format!("{u}@"));
            let port = args.get(3).and_then(int).filter(|p| *p >= 0).map_or(String::new(), |p| format!(":{p}"));
            let authority = part(2).map(|host| format!("{user}{host}{port}"));
            join(part(0).as_deref(), authority.as_deref(), &path(4), query(5).as_deref(), query(6).as_deref())
        }
        _ => return Ok(None),
    };
    uri(ctx, &text, "java.net.URISyntaxException").map(Some)
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    match (&*class.name, name, args) {
        (URI, "create", [text]) => {
            let text = ctx.text(text)?;
            uri(ctx, &text, "java.lang.IllegalArgumentException").map(Some)
        }
        _ => Ok(None),
    }
}

/// A constant of `HttpURLConnection`.
pub(super) fn status(name: &str) -> Option<Value> {
    let code = match name.strip_prefix("HTTP_")? {
        "OK" => 200,
        "CREATED" => 201,
        "ACCEPTED" => 202,
        "NOT_AUTHORITATIVE" => 203,
        "NO_CONTENT" => 204,
        "RESET" => 205,
        "PARTIAL" => 206,
        "MULT_CHOICE" => 300,
        "MOVED_PERM" => 301,
        "MOVED_TEMP" => 302,
        "SEE_OTHER" => 303,
        "NOT_MODIFIED" => 304,
        "USE_PROXY" => 305,
        "BAD_REQUEST" => 400,
        "UNAUTHORIZED" => 401,
        "PAYMENT_REQUIRED" => 402,
        "FORBIDDEN" => 403,
        "NOT_FOUND" => 404,
        "BAD_METHOD" => 405,
        "NOT_ACCEPTABLE" => 406,
        "PROXY_AUTH" => 407,
        "CLIENT_TIMEOUT" => 408,
        "CONFLICT" => 409,
        "GONE" => 410,
        "LENGTH_REQUIRED" => 411,
        "PRECON_FAILED" => 412,
        "ENTITY_TOO_LARGE" => 413,
        "REQ_TOO_LONG" => 414,
        "UNSUPPORTED_TYPE" => 415,
        "SERVER_ERROR" | "INTERNAL_ERROR" => 500,
        "NOT_IMPLEMENTED" => 501,
        "BAD_GATEWAY" => 502,
        "UNAVAILABLE" => 503,
        "GATEWAY_TIMEOUT" => 504,
        "VERSION" => 505,
        _ => return None,
    };
    Some(Value::Int(code))
}

/// `text.toURL()` and `text.toURI()`
pub(crate) fn of_text(ctx: &Ctx<'_>, text: &str, is_url: bool) -> Result<Value, Fault> {
    if is_url { url(ctx, text) } else { uri(ctx, text, "java.net.URISyntaxException") }
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, text: &Str, name: &str, args: &[Value]) -> Answer {
    ctx.pay(text.len() / 256)?;
    let is_url = &*o.class.name == URL;
    let parts = split(text);
    let or_null = |part: Option<&str>| part.map_or(Value::Null, Value::str);
    let (host, port) = parts.host_and_port();
    match (name, args) {
        ("getProtocol" | "getScheme", []) => yes(or_null(parts.scheme)),
        ("getHost", []) if is_url => yes(host.unwrap_or("")),
        ("getHost", []) => yes(or_null(host.filter(|h| !h.is_empty() && !h.contains('_')))),
        ("getPort", []) => yes(Value::Int(port.unwrap_or(-1))),
        ("getDefaultPort", []) => {
            let port = PROTOCOLS.iter().find(|(p, _)| parts.scheme.is_some_and(|s| s.eq_ignore_ascii_case(p)));
            yes(Value::Int(port.map_or(-1, |(_, port)| *port)))
        }
        ("getPath", []) if is_url => yes(parts.path),
        ("getPath", []) if parts.authority.is_none() && parts.scheme.is_some() && !parts.path.starts_with('/') => {
            yes(Value::Null)
        }
        ("getPath", []) => yes(unescaped(parts.path)),
        ("getRawPath", []) => yes(parts.path),
        ("getFile", []) => yes(join(None, None, parts.path, parts.query, None)),
        ("getQuery", []) if is_url => yes(or_null(parts.query)),
        ("getQuery", []) => yes(or_null(parts.query.map(unescaped).as_deref())),
        ("getRawQuery", []) => yes(or_null(parts.query)),
        ("getRef" | "getRawFragment", []) => yes(or_null(parts.fragment)),
        ("getFragment", []) => yes(or_null(parts.fragment.map(unescaped).as_deref())),
        ("getUserInfo" | "getRawUserInfo", []) => yes(or_null(parts.user())),
        ("getAuthority" | "getRawAuthority", []) => yes(or_null(parts.authority)),
        ("getSchemeSpecificPart" | "getRawSchemeSpecificPart", []) => {
            let rest = join(None, parts.authority, parts.path, parts.query, None);
            yes(if name.contains("Raw") { rest } else { unescaped(&rest) })
        }
        ("isAbsolute", []) => yes(parts.scheme.is_some()),
        ("isOpaque", []) => yes(parts.scheme.is_some() && parts.authority.is_none() && !parts.path.starts_with('/')),
        ("toExternalForm" | "toASCIIString", []) => yes(Value::Str(text.clone())),
        ("toURI", []) => uri(ctx, text, "java.net.URISyntaxException").map(Some),
        ("toURL", []) => match parts.scheme {
            None => Err(ctx.world.illegal("URI is not absolute")),
            Some(_) => url(ctx, text).map(Some),
        },
        ("normalize", []) => {
            let path = normal(parts.path);
            let text = join(parts.scheme, parts.authority, &path, parts.query, parts.fragment);
            yes(object(ctx, URI, Java::Address(Str::new(text))))
        }
        ("resolve", [other]) => {
            let other = ctx.text(other)?;
            uri(ctx, &resolve(text, &other), "java.lang.IllegalArgumentException").map(Some)
        }
        ("sameFile", [other]) => {
            let other = ctx.text(other)?;
            yes(other.split('#').next() == text.split('#').next())
        }
        ("hashCode", []) => yes(Value::Int(crate::value::hash::text(text))),
        _ => Ok(None),
    }
}
