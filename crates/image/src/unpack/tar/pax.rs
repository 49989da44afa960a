//! PAX extension records.

use super::{Mtime, Segment};
use crate::unpack::Refusal;

/// The records of one extension header, as far as they mean anything for a layer.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<Mtime>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: PaxSparse,
}

/// The records about a sparse file.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub(super) major: Vec<u8>,
    pub(super) minor: Vec<u8>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    /// The map of the forms 0.0 and 0.1: offset, length, offset, length …
    pub(super) map: Option<Vec<u64>>,
}

/// Which form a sparse file has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SparseForm {
    /// Not sparse.
    None,
    /// The map stands in the records.
    Records(Vec<Segment>),
    /// The map stands before the data.
    Data,
}

impl Pax {
    /// Reads the records of an extension header that starts at `at`.
    pub(super) fn parse(mut bytes: &[u8], at: u64) -> Result<Pax, Refusal> {
        let malformed = |what: &str| Refusal::Malformed { at, what: what.to_owned() };
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let space = bytes.iter().take(12).position(|&byte| byte == b' ');
            let space = space.ok_or_else(|| malformed("an extension record has no length"))?;
            let length = decimal(&bytes[..space]).ok_or_else(|| malformed("an extension record has no length"))?;
            let length = usize::try_from(length).ok().filter(|length| *length > space + 1 && *length <= bytes.len());
            let length = length.ok_or_else(|| malformed("an extension record has a wrong length"))?;
            let (record, rest) = bytes.split_at(length);
            bytes = rest;
            let record = record[space + 1..].strip_suffix(b"\n");
            let record = record.ok_or_else(|| malformed("an extension record does not end with its line"))?;
            let equals = record.iter().position(|&byte| byte == b'=').filter(|equals| *equals > 0);
            let equals = equals.ok_or_else(|| malformed("an extension record has no name"))?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            pax.record(key, value).ok_or_else(|| malformed("an extension record has an invalid value"))?;
        }
        Ok(pax)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.retain(|(known, _)| known != name);
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Some(());
        }
        // An empty value takes an override back.
        let number = |value: &[u8]| if value.is_empty() { Some(None) } else { signed(value).map(Some) };
        let string = |value: &[u8]| if value.is_empty() { None } else { Some(value.to_vec()) };
        match key {
            b"path" => self.path = string(value),
            b"linkpath" => self.link = string(value),
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(time(value)?) },
            b"GNU.sparse.major" => self.sparse.major = value.to_vec(),
            b"GNU.sparse.minor" => self.sparse.minor = value.to_vec(),
            b"GNU.sparse.name" => self.sparse.name = string(value),
            b"GNU.sparse.size" => self.sparse.size = number(value)?,
            b"GNU.sparse.realsize" if self.sparse.size.is_none() => self.sparse.size = number(value)?,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let map = self.sparse.map.get_or_insert_default();
                // Offsets and lengths take turns, beginning with an offset.
                if map.len().is_multiple_of(2) != (key == b"GNU.sparse.offset") {
                    return None;
                }
                map.push(decimal(value)?);
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(decimal);
                self.sparse.map = Some(if value.is_empty() { vec![] } else { numbers.collect::<Option<_>>()? });
            }
            _ => {}
        }
        Some(())
    }
}

impl PaxSparse {
    /// Which form the records describe; `None` if they contradict themselves.
    pub(super) fn form(&self) -> Option<SparseForm> {
        match (self.major.as_slice(), self.minor.as_slice(), &self.map) {
            (b"1", b"0", _) => Some(SparseForm::Data),
            (b"", b"", None) => Some(SparseForm::None),
            (b"" | b"0", b"" | b"0" | b"1", Some(map)) if map.len().is_multiple_of(2) => Some(SparseForm::Records(
                map.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect(),
            )),
            _ => None,
        }
    }
}

/// Decimal digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => decimal(digits).and_then(|value| i64::try_from(value).ok()).map(|value| -value),
        None => i64::try_from(decimal(text)?).ok(),
    }
}

fn time(text: &[u8]) -> Option<Mtime> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let negative = whole.starts_with(b"-");
    let seconds = signed(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    if negative && nanos > 0 {
        return Some(Mtime { seconds: seconds.checked_sub(1)?, nanos: 1_000_000_000 - nanos });
    }
    Some(Mtime { seconds, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expect) in [
            ("1", Some((1, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.123456789999", Some((1, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("1e5", None),
            ("", None),
            ("99999999999999999999", None),
            ("1.x", None),
        ] {
            assert_eq!(time(text.as_bytes()).map(|time| (time.seconds, time.nanos)), expect, "{text}");
        }
    }

    fn record(text: &str) -> String {
        let with = |length: usize| format!("{length} {text}\n");
        (1..).map(with).find(|record| record.split(' ').next() == Some(&record.len().to_string())).unwrap()
    }

    fn parse(texts: &[&str]) -> Result<Pax, Refusal> {
        Pax::parse(texts.iter().map(|text| record(text)).collect::<String>().as_bytes(), 0)
    }

    #[test]
    fn records() {
        let pax = parse(&["path=a=b", "SCHILY.xattr.user.x=a\0b\nc"]).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(pax.xattrs, [(b"user.x".to_vec(), b"a\0b\nc".to_vec())]);
        assert_eq!(parse(&["path=a", "path="]).unwrap().path, None);
        for bad in ["=ab", "abc", "size=1e9", "uid=x", "mtime=never"] {
            assert!(parse(&[bad]).is_err(), "{bad:?}");
        }
        for bad in ["x", "5 a=b\n", "7 a=b\n", "6 a=b.", "99999999999999 a=b\n", "-6 a=b\n"] {
            assert!(Pax::parse(bad.as_bytes(), 0).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sparse_forms() {
        let form = |texts: &[&str]| parse(texts).ok().and_then(|pax| pax.sparse.form());
        assert_eq!(form(&[]), Some(SparseForm::None));
        let pieces = SparseForm::Records(vec![Segment { offset: 1, length: 2 }, Segment { offset: 3, length: 4 }]);
        assert_eq!(form(&["GNU.sparse.map=1,2,3,4"]), Some(pieces));
        let pair = ["GNU.sparse.offset=1", "GNU.sparse.numbytes=2"];
        assert_eq!(form(&pair), Some(SparseForm::Records(vec![Segment { offset: 1, length: 2 }])));
        assert_eq!(form(&["GNU.sparse.map=1,2,3"]), None);
        assert_eq!(form(&["GNU.sparse.major=1", "GNU.sparse.minor=0"]), Some(SparseForm::Data));
        assert_eq!(form(&["GNU.sparse.major=2", "GNU.sparse.minor=0"]), None);
        assert_eq!(form(&["GNU.sparse.numbytes=1"]), None);
    }
}
