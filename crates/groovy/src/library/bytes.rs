//! What arrays of bytes have, and the order that chance gives a list.

use super::{Answer, yes};
use crate::machine::Ctx;
use crate::value::{List, Value};

pub(crate) fn method(ctx: &mut Ctx<'_>, l: &List, name: &str, args: &[Value]) -> Answer {
    match (name, args) {
        ("encodeHex" | "encodeBase64" | "md5" | "sha256" | "digest", _) => {
            let whole = l.items().iter().all(|b| matches!(b, Value::Byte(_) | Value::Int(_)));
            if !whole {
                return Ok(None);
            }
            let bytes: Vec<u8> = l.items().iter().filter_map(Value::as_i64).map(|n| n as u8).collect();
            ctx.room(bytes.len().saturating_mul(2))?;
            match name {
                "encodeHex" => yes(super::java::hex_encode(&bytes)),
                "encodeBase64" if matches!(args, [Value::Bool(true)]) => {
                    // Lines of 57 bytes; a shorter last one ends as a line where it has more than whole triples.
                    let ends = |line: &[u8]| line.len() == 57 || line.len() > 3 && !line.len().is_multiple_of(3);
                    let end = |line: &[u8]| if ends(line) { "\r\n" } else { "" };
                    let lines = bytes.chunks(57).map(|line| super::json::base64_encode(line) + end(line));
                    yes(lines.collect::<String>())
                }
                "encodeBase64" => yes(super::json::base64_encode(&bytes)),
                _ => super::text::digest(ctx, &bytes, name, args),
            }
        }
        ("shuffle" | "shuffled", rest) if rest.len() <= 1 => {
            let mut items = l.snapshot();
            super::java::shuffle(ctx, &mut items, rest.first())?;
            if name == "shuffled" {
                return yes(Value::list(items));
            }
            l.change(|old| old.clone_from_slice(&items));
            yes(Value::Null)
        }
        _ => Ok(None),
    }
}
