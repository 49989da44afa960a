//! `WWW-Authenticate`: what a registry wants to see. Pure.

/// One challenge of RFC 9110, section 11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from the service at `realm`.
    Bearer {
        /// URL of the token service.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge to answer among those of all header values: a token is better than a password on every request.
    pub(super) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best = None;
        for (scheme, parameters) in headers.flat_map(parse) {
            let parameter = |name: &str| {
                parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Self::Bearer { realm, service: parameter("service") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Self::Basic);
            }
        }
        best
    }
}

type Parsed = (String, Vec<(String, String)>);

/// Splits `Bearer realm="a", service="b", Basic realm="c"` into schemes and their parameters. Ends quietly at nonsense.
fn parse(header: &str) -> Vec<Parsed> {
    let mut challenges: Vec<Parsed> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        if end == 0 {
            return challenges;
        }
        let (word, after) = rest.split_at(end);
        match (after.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = self::value(value);
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A token or a quoted string, and what comes after it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &quoted[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c => out.push(c),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expect: Option<Challenge>) {
        assert_eq!(Challenge::choose(headers.iter().copied()), expect, "{headers:?}");
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn headers() {
        check(
            &[r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push""#],
            bearer("https://auth.docker.io/token", Some("registry.docker.io")),
        );
        check(&[r#"Basic realm="x""#], Some(Challenge::Basic));
        check(&["Basic"], Some(Challenge::Basic));
        check(&[r#"Basic realm="x", bearer Realm="https://r\"q", service=s"#], bearer("https://r\"q", Some("s")));
        check(&["Negotiate", r#"BEARER realm="https://r""#], bearer("https://r", None));
        check(&["Bearer"], None);
        check(&[r#"realm="x""#], None);
        check(&["", "=", "\"", ",,,", r#"Bearer realm="#], bearer("", None));
        check(&[r#"Bearer realm="https://open"#], bearer("https://open", None));
        check(&[], None);
    }
}
