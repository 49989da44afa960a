//! `${urlEncoder:a b}` and its like in values of properties.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a reference with a prefix makes of its text; none, where the prefix is none of these. `date` is not among them: a value that is
/// computed has no clock.
///
/// Source: `SAFE_PREFIX_INTERPOLATOR_LOOKUPS` of `ReadPropertiesStepExecution`, and the lookups of commons-text.
pub(super) fn lookup(reference: &str) -> Result<Option<String>, String> {
    let Some((prefix, text)) = reference.split_once(':') else { return Ok(None) };
    Ok(Some(match prefix {
        // Bytes are characters here, as in ISO-8859-1.
        "base64Encoder" => STANDARD.encode(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<_>>()),
        "base64Decoder" => {
            let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
            bytes.into_iter().map(char::from).collect()
        }
        "urlEncoder" => url_encoded(text),
        "urlDecoder" => url_decoded(text)?,
        _ => return Ok(None),
    }))
}

/// As `java.net.URLEncoder` does: for forms.
fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'.' | b'-' | b'*' | b'_' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn url_decoded(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
                let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
                let number = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
                out.push(number.ok_or_else(|| format!("‘{text}’ is not encoded as an address"))?);
                rest = &after[2..];
            }
            byte => out.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_with_a_prefix() {
        let check = |reference: &str, expect: Option<&str>| {
            assert_eq!(lookup(reference), Ok(expect.map(str::to_owned)), "{reference}");
        };
        check("base64Encoder:hié→", Some("aGnpPw=="));
        check("base64Decoder:aGnp", Some("hié"));
        check("urlEncoder:a b/ü*~", Some("a+b%2F%C3%BC*%7E"));
        check("urlDecoder:a+b%2f%C3%BC", Some("a b/ü"));
        check("env:HOME", None);
        check("file:UTF-8:/etc/passwd", None);
        check("name", None);
        assert!(
            ["base64Decoder:!", "urlDecoder:%", "urlDecoder:%2", "urlDecoder:%+1"].iter().all(|r| lookup(r).is_err())
        );
    }
}
