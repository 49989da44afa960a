//! `readManifest`.

use groovy::value::Value;

use super::super::StepCall;
use super::{file_or_text, some_text};
use crate::engine::fault::Fault;
use crate::engine::values;
use crate::steps::objects;

/// `readManifest file: 'MANIFEST.MF'`: an object with `main` and `entries`.
///
/// Source: `ReadManifestStepExecution`, and `java.util.jar.Manifest`.
pub(crate) async fn read_manifest(call: StepCall) -> Result<Value, Fault> {
    if some_text(&call)? == (true, true) {
        return Err(Fault::illegal("Need to specify either file or text to readManifest, can't do both."));
    }
    let name = call.args.opt_text("file")?.unwrap_or_default().to_lowercase();
    if [".jar", ".war", ".ear"].iter().any(|end| name.ends_with(end)) {
        let text = "readManifest of an archive is not supported";
        let fault = Fault::raised("java.lang.UnsupportedOperationException", text);
        return Err(fault.with_hint("`unzip` the file META-INF/MANIFEST.MF first"));
    }
    let (file, text) = file_or_text(&call).await?;
    let (main, entries) =
        parse(&file.or(text).unwrap_or_default()).map_err(|why| Fault::raised("java.io.IOException", why))?;
    let entries = values::map(entries.iter().map(|(name, value)| (name.as_str(), value.clone())));
    objects::of(&call.core, &call.scope, "manifest", vec![main, entries]).await
}

/// The first section, and those that have a name.
fn parse(text: &str) -> Result<(Value, Vec<(String, Value)>), String> {
    let mut sections: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for (at, line) in text.lines().enumerate() {
        let section = sections.last_mut().expect("there is one");
        match (line.strip_prefix(' '), section.last_mut()) {
            _ if line.is_empty() => {
                if !section.is_empty() {
                    sections.push(Vec::new());
                }
            }
            (Some(rest), Some((_, value))) => value.push_str(rest),
            _ => {
                let (name, value) = line
                    .split_once(": ")
                    .or_else(|| Some((line.strip_suffix(':')?, "")))
                    .ok_or_else(|| format!("invalid header field (line {})", at + 1))?;
                section.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let mut sections = sections.into_iter();
    let map = |fields: &[(String, String)]| values::map(fields.iter().map(|(n, v)| (n.as_str(), values::text(v))));
    let main = map(&sections.next().unwrap_or_default());
    let named = sections.filter(|fields| !fields.is_empty()).map(|mut fields| {
        let at =
            fields.iter().position(|(name, _)| name.eq_ignore_ascii_case("Name")).ok_or("invalid manifest format")?;
        let (_, name) = fields.remove(at);
        Ok((name, map(&fields)))
    });
    Ok((main, named.collect::<Result<_, &str>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_long_lines() {
        let (main, entries) = parse("Manifest-Version: 1.0\r\nLong: abc\r\n def\r\n\r\nName: a/b\r\nX: 1\r\n").unwrap();
        assert_eq!(main.to_text(), "[Manifest-Version:1.0, Long:abcdef]");
        assert_eq!((entries[0].0.as_str(), entries[0].1.to_text().as_str()), ("a/b", "[X:1]"));
        assert!(parse("oops").is_err());
    }
}
