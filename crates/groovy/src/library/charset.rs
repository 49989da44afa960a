//! Character sets in scripts: `getBytes('UTF-16')`, `new String(bytes, 'ISO-8859-1')`.

use charset::Charset;

use super::int;
use crate::machine::{Ctx, Fault};
use crate::value::Value;

/// The set that an argument names; without one it is UTF-8, as Jenkins' machines have it.
pub(crate) fn of(ctx: &Ctx<'_>, name: Option<&Value>) -> Result<Charset, Fault> {
    let Some(name) = name else { return Ok(Charset::UTF_8) };
    if name.is_null() {
        return Err(ctx.world.null_pointer("charset"));
    }
    let name = ctx.text(name)?;
    Charset::named(&name).ok_or_else(|| ctx.fail("java.io.UnsupportedEncodingException", name))
}

/// The text of bytes: `new String(bytes)`, `(bytes, charset)`, `(bytes, from, count)`, `(bytes, from, count, charset)`.
pub(crate) fn text(ctx: &mut Ctx<'_>, bytes: &[u8], rest: &[Value]) -> Result<String, Fault> {
    let (part, charset) = match rest {
        [from, count, charset @ ..] => (Some((int(from), int(count))), charset.first()),
        [charset] => (None, Some(charset)),
        [] => (None, None),
    };
    let charset = of(ctx, charset)?;
    let bytes = match part {
        None => bytes,
        Some((from, count)) => {
            let (from, count) = (from.unwrap_or(-1), count.unwrap_or(-1));
            let range = usize::try_from(from).ok().zip(usize::try_from(count).ok());
            let part = range.and_then(|(from, count)| bytes.get(from..from.checked_add(count)?));
            part.ok_or_else(|| {
                let message = format!("offset {from}, count {count}, length {}", bytes.len());
                ctx.fail("java.lang.StringIndexOutOfBoundsException", message)
            })?
        }
    };
    ctx.room(bytes.len().saturating_mul(3))?;
    Ok(charset.decode(bytes))
}
