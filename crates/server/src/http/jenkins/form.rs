//! What tools send a Jenkins: queries and forms.

use serde_json::Value;

/// Parameters as Jenkins' own form sends them: `{"parameter": [{"name": "WHO", "value": "you"}]}`, or one without the list.
pub(super) fn of_form(text: &str) -> Result<Vec<(String, String)>, String> {
    let form: Value = serde_json::from_str(text).map_err(|error| format!("`json` is none: {error}"))?;
    let all = match &form["parameter"] {
        Value::Null => &[][..],
        Value::Array(all) => all,
        one => std::slice::from_ref(one),
    };
    let read = |of: &Value| {
        let name = of["name"].as_str().filter(|name| !name.is_empty())?;
        let value = match &of["value"] {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            _ => return None,
        };
        Some((name.to_owned(), value))
    };
    all.iter().map(|of| read(of).ok_or_else(|| "a parameter in `json` has a `name` and a `value`".to_owned())).collect()
}

/// Of a query or a form.
pub(in crate::http) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let ahead: Vec<u8> = rest.clone().take(2).collect();
        let digits = std::str::from_utf8(&ahead).ok().filter(|digits| digits.len() == 2);
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest.nth(1);
            }
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_parameters() {
        let list = r#"{"parameter":[{"name":"A","value":"b c"},{"name":"C","value":true},{"name":"D","value":7}],"statusCode":"303"}"#;
        let expect = [("A", "b c"), ("C", "true"), ("D", "7")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of_form(list).unwrap(), expect);
        assert_eq!(of_form(r#"{"parameter":{"name":"A","value":"b c"}}"#).unwrap(), expect[..1]);
        assert_eq!(of_form("{}").unwrap(), []);
        for bad in [
            "",
            "x",
            r#"{"parameter":"A"}"#,
            r#"{"parameter":[{"name":"A"}]}"#,
            r#"{"parameter":[{"name":"","value":"x"}]}"#,
        ] {
            assert!(of_form(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let all: Vec<_> = pairs("A=b+c&%44=%C3%A9%zz&E&&F=1=2%4").collect();
        let expect = [("A", "b c"), ("D", "é%zz"), ("E", ""), ("F", "1=2%4")];
        assert_eq!(all, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
