//! `MessageDigest`, `Mac`, hexadecimal and base64.

use std::rc::Rc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Digest as _;

use super::{byte_array, bytes_of, object, set};
use crate::library::{Answer, int, yes};
use crate::machine::{Ctx, Fault};
use crate::value::{Buffer, BufferKind, Class, Java, Object, Str, Value};

/// Bytes that are digested for about the price of an instruction.
const BYTES_AT_ONCE: usize = 64;

/// The digest of bytes; `None`: no such algorithm.
pub(crate) fn of_bytes(algorithm: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match algorithm.to_ascii_uppercase().as_str() {
        "MD5" => md5::Md5::digest(bytes).to_vec(),
        "SHA-1" | "SHA1" | "SHA" => sha1::Sha1::digest(bytes).to_vec(),
        "SHA-224" => sha2::Sha224::digest(bytes).to_vec(),
        "SHA-256" => sha2::Sha256::digest(bytes).to_vec(),
        "SHA-384" => sha2::Sha384::digest(bytes).to_vec(),
        "SHA-512" => sha2::Sha512::digest(bytes).to_vec(),
        _ => return None,
    })
}

fn keyed(algorithm: &str, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    macro_rules! hmac {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(key).ok()?;
            mac.update(bytes);
            mac.finalize().into_bytes().to_vec()
        }};
    }
    Some(match algorithm.to_ascii_uppercase().as_str() {
        "HMACMD5" => hmac!(md5::Md5),
        "HMACSHA1" => hmac!(sha1::Sha1),
        "HMACSHA256" => hmac!(sha2::Sha256),
        "HMACSHA384" => hmac!(sha2::Sha384),
        "HMACSHA512" => hmac!(sha2::Sha512),
        _ => return None,
    })
}

/// Bytes as text with a character each, and back: what a buffer counts as memory.
fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

fn to_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

pub(crate) fn hex_encode(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn no_algorithm(ctx: &Ctx<'_>, what: &str, name: &str) -> Fault {
    let message = format!("{name} {what} not available");
    ctx.fail("java.security.NoSuchAlgorithmException", message)
}

pub(super) fn construct(ctx: &mut Ctx<'_>, args: &[Value]) -> Answer {
    let [bytes, rest @ .., algorithm] = args else { return Ok(None) };
    let all = bytes_of(ctx, bytes)?;
    let part = match rest {
        [from, size] => {
            let range = int(from)
                .zip(int(size))
                .and_then(|(f, s)| Some(usize::try_from(f).ok()?..usize::try_from(f.checked_add(s)?).ok()?));
            range
                .and_then(|r| all.get(r))
                .ok_or_else(|| ctx.world.illegal("Invalid offset/length combination"))?
                .to_vec()
        }
        _ => all,
    };
    let java = Java::Digest {
        algorithm: ctx.str(algorithm)?,
        key: Some(Str::new(to_text(&part))),
        data: Rc::new(Buffer::new(String::new(), BufferKind::Builder)),
    };
    yes(object(ctx, "javax.crypto.spec.SecretKeySpec", java))
}

pub(super) fn statics(ctx: &mut Ctx<'_>, class: &Rc<Class>, name: &str, args: &[Value]) -> Answer {
    let fresh = || Rc::new(Buffer::new(String::new(), BufferKind::Builder));
    match (&*class.name, name, args) {
        ("java.security.MessageDigest", "getInstance", [algorithm, ..]) => {
            let algorithm = ctx.str(algorithm)?;
            if of_bytes(&algorithm, &[]).is_none() {
                return Err(no_algorithm(ctx, "MessageDigest", &algorithm));
            }
            yes(object(ctx, &class.name, Java::Digest { algorithm, key: None, data: fresh() }))
        }
        ("java.security.MessageDigest", "isEqual", [a, b]) => yes(bytes_of(ctx, a)? == bytes_of(ctx, b)?),
        ("javax.crypto.Mac", "getInstance", [algorithm, ..]) => {
            let algorithm = ctx.str(algorithm)?;
            if keyed(&algorithm, b"k", &[]).is_none() {
                return Err(
                    ctx.fail("java.security.NoSuchAlgorithmException", format!("Algorithm {algorithm} not available"))
                );
            }
            yes(object(ctx, &class.name, Java::Digest { algorithm, key: None, data: fresh() }))
        }
        ("java.util.Base64", _, _) => {
            let kind = if name.ends_with("Encoder") { "java.util.Base64$Encoder" } else { "java.util.Base64$Decoder" };
            match name {
                "getEncoder" | "getDecoder" | "getMimeEncoder" | "getMimeDecoder" | "getUrlEncoder"
                | "getUrlDecoder" => {
                    yes(object(ctx, kind, Java::Base64 { url: name.starts_with("getUrl"), padded: true }))
                }
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

pub(super) fn method(ctx: &mut Ctx<'_>, o: &Rc<Object>, java: Java, name: &str, args: &[Value]) -> Answer {
    let Java::Digest { algorithm, key, data } = java else { return Ok(None) };
    let add = |ctx: &mut Ctx<'_>, bytes: &[u8]| -> Result<(), Fault> {
        ctx.room(data.text.borrow().len() + 2 * bytes.len())?;
        ctx.pay(bytes.len() / BYTES_AT_ONCE)?;
        data.text.borrow_mut().push_str(&to_text(bytes));
        data.recount();
        Ok(())
    };
    match (name, args) {
        ("update", [one]) if int(one).is_some() => {
            add(ctx, &[int(one).unwrap_or(0) as u8])?;
            yes(Value::Null)
        }
        ("update", [bytes, rest @ ..]) => {
            let all = bytes_of(ctx, bytes)?;
            let part = match rest {
                [from, size] => {
                    let from = crate::library::convert::count(Some(from)).min(all.len());
                    let size = crate::library::convert::count(Some(size)).min(all.len() - from);
                    &all[from..from + size]
                }
                _ => &all[..],
            };
            add(ctx, part)?;
            yes(Value::Null)
        }
        ("digest" | "doFinal", rest) => {
            if let [bytes] = rest {
                let bytes = bytes_of(ctx, bytes)?;
                add(ctx, &bytes)?;
            }
            let bytes = to_bytes(&std::mem::take(&mut *data.text.borrow_mut()));
            data.recount();
            ctx.pay(bytes.len() / BYTES_AT_ONCE)?;
            let sum = match (&key, name) {
                (Some(key), "doFinal") => keyed(&algorithm, &to_bytes(key), &bytes),
                (None, "doFinal") => return Err(ctx.fail("java.lang.IllegalStateException", "MAC not initialized")),
                _ => of_bytes(&algorithm, &bytes),
            };
            Ok(sum.map(|sum| byte_array(&sum)))
        }
        ("reset", []) => {
            data.text.borrow_mut().clear();
            data.recount();
            yes(Value::Null)
        }
        ("init", [with]) => match super::value_of(with) {
            Some(Java::Digest { key, .. }) => {
                set(o, Java::Digest { algorithm, key, data });
                yes(Value::Null)
            }
            _ => Ok(None),
        },
        ("getAlgorithm", []) => yes(Value::Str(algorithm)),
        ("getDigestLength" | "getMacLength", []) => {
            let size = of_bytes(&algorithm, &[]).or_else(|| keyed(&algorithm, b"k", &[])).map_or(0, |s| s.len());
            yes(Value::Int(size as i32))
        }
        ("getEncoded", []) => yes(byte_array(&key.map(|k| to_bytes(&k)).unwrap_or_default())),
        _ => Ok(None),
    }
}

/// Methods of `Base64.Encoder` and `Base64.Decoder`.
pub(super) fn base64_method(
    ctx: &mut Ctx<'_>,
    o: &Rc<Object>,
    (url, padded): (bool, bool),
    name: &str,
    args: &[Value],
) -> Answer {
    match (name, args) {
        ("withoutPadding", []) => yes(object(ctx, &o.class.name, Java::Base64 { url, padded: false })),
        ("encodeToString" | "encode", [bytes]) => {
            let bytes = bytes_of(ctx, bytes)?;
            ctx.pay(bytes.len() / BYTES_AT_ONCE)?;
            let mut text = crate::library::json::base64_encode(&bytes);
            if url {
                text = text.replace('+', "-").replace('/', "_");
            }
            let text = if padded { text.as_str() } else { text.trim_end_matches('=') };
            if name == "encode" { yes(byte_array(text.as_bytes())) } else { ctx.new_str(text.to_string()).map(Some) }
        }
        ("decode", [text]) => {
            let text = match text {
                Value::List(_) => String::from_utf8_lossy(&bytes_of(ctx, text)?).into_owned(),
                other => ctx.text(other)?,
            };
            ctx.pay(text.len() / BYTES_AT_ONCE)?;
            let plain = if url { text.replace('-', "+").replace('_', "/") } else { text };
            match crate::library::json::base64_decode(&plain) {
                Some(bytes) => {
                    ctx.room_for_items(bytes.len() as u64)?;
                    yes(byte_array(&bytes))
                }
                None => Err(ctx.world.illegal("Illegal base64 character")),
            }
        }
        _ => Ok(None),
    }
}
