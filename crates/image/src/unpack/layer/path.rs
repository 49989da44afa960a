//! Names of an archive, taken apart.

use crate::unpack::fault::shown;
use crate::unpack::{Refusal, UnpackLimits};

/// Longest name of one file that Linux has.
const MAX_NAME: usize = 255;

/// A checked path: components that are file names, none of them `.` or `..`.
#[derive(Debug)]
pub(super) struct Path<'a> {
    pub(super) components: Vec<&'a [u8]>,
    pub(super) is_absolute: bool,
}

impl<'a> Path<'a> {
    pub(super) fn parse(text: &'a [u8], limits: &UnpackLimits) -> Result<Path<'a>, Refusal> {
        if text.contains(&0) {
            return Err(Refusal::NulInName(shown(text)));
        }
        if text.len() > limits.path_bytes as usize {
            return Err(Refusal::NameTooLong(shown(text)));
        }
        let mut components = vec![];
        for component in text.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(Refusal::ParentInName(shown(text))),
                name if name.len() > MAX_NAME => return Err(Refusal::NameTooLong(shown(text))),
                name => components.push(name),
            }
        }
        if components.len() > limits.depth as usize {
            return Err(Refusal::TooDeep(shown(text)));
        }
        Ok(Path { components, is_absolute: text.starts_with(b"/") })
    }
}

/// What the last component of a name asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// The root of the layer.
    Root,
    /// A file of this name.
    Plain(&'a [u8]),
    /// Hide this name of the layers below.
    Whiteout(&'a [u8]),
    /// Hide everything below the directory.
    Opaque,
    /// A private entry of AUFS, which means nothing to anyone else.
    Aufs,
}

impl<'a> Request<'a> {
    pub(super) fn of(path: &Path<'a>) -> Result<Request<'a>, Refusal> {
        let Some((&last, above)) = path.components.split_last() else { return Ok(Request::Root) };
        let bad = |name: &[u8]| Refusal::BadWhiteout(shown(name));
        for component in above {
            match component.strip_prefix(b".wh.") {
                Some(rest) if rest.starts_with(b".wh.") => return Ok(Request::Aufs),
                Some(_) => return Err(bad(component)),
                None => {}
            }
        }
        match last.strip_prefix(b".wh.") {
            None => Ok(Request::Plain(last)),
            Some(b".wh..opq") => Ok(Request::Opaque),
            Some(rest) if rest.starts_with(b".wh.") => Ok(Request::Aufs),
            Some(b"" | b"." | b"..") => Err(bad(last)),
            Some(name) => Ok(Request::Whiteout(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Request<'_>, &str>) {
        let limits = UnpackLimits::default();
        let found = Path::parse(text.as_bytes(), &limits).and_then(|path| Request::of(&path));
        match expect {
            Ok(request) => assert_eq!(found, Ok(request), "{text}"),
            Err(part) => assert!(found.unwrap_err().to_string().contains(part), "{text}"),
        }
    }

    #[test]
    fn requests() {
        check("", Ok(Request::Root));
        check("./", Ok(Request::Root));
        check("//a//b/", Ok(Request::Plain(b"b")));
        check("a/.wh.b", Ok(Request::Whiteout(b"b")));
        check("a/.wh...b", Ok(Request::Whiteout(b"..b")));
        check("a/.wh..wh..opq", Ok(Request::Opaque));
        check(".wh..wh.plnk", Ok(Request::Aufs));
        check(".wh..wh.plnk/1.2", Ok(Request::Aufs));
        check("a/.wh.", Err("whiteout"));
        check("a/.wh..", Err("whiteout"));
        check("a/.wh...", Err("whiteout"));
        check(".wh.a/b", Err("whiteout"));
        check("a/../b", Err("climbs"));
        check("..", Err("climbs"));
        check("a\0b", Err("NUL"));
        check(&"x".repeat(256), Err("too long"));
        check(&"x/".repeat(2049), Err("too long"));
        check(&"x/".repeat(256), Err("too deep"));
    }
}
