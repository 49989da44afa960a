//! A list of files on its way out of a sandbox: for each a line of numbers, and then its path as it is.

use model::request::FoundFile;

/// Longest path that is believed, in bytes.
const MAX_PATH_BYTES: usize = 8192;
/// Longest line of numbers.
const MAX_HEAD_BYTES: usize = 80;

/// Bytes of a list of so many files at most.
pub fn most_bytes(files: u64) -> u64 {
    files.saturating_mul((MAX_PATH_BYTES + MAX_HEAD_BYTES) as u64)
}

/// One file, for the end of a list.
pub fn entry(path: &[u8], is_folder: bool, bytes: u64, modified_s: i64) -> Vec<u8> {
    let mut entry = format!("{} {bytes} {modified_s} {}\n", u8::from(is_folder), path.len()).into_bytes();
    entry.extend_from_slice(path);
    entry
}

/// All files of a list; `None`: it is none.
pub fn read(mut list: &[u8]) -> Option<Vec<FoundFile>> {
    let mut files = Vec::new();
    while !list.is_empty() {
        files.push(next(&mut list)?);
    }
    Some(files)
}

/// All files of a list in which the content of each, as many bytes as its entry says, follows its path; `None`: it is none.
pub fn read_with_content(mut list: &[u8]) -> Option<Vec<(FoundFile, &[u8])>> {
    let mut files = Vec::new();
    while !list.is_empty() {
        let file = next(&mut list)?;
        let (content, rest) = list.split_at_checked(usize::try_from(file.bytes).ok()?)?;
        files.push((file, content));
        list = rest;
    }
    Some(files)
}

fn next(list: &mut &[u8]) -> Option<FoundFile> {
    let end = list.iter().take(MAX_HEAD_BYTES).position(|byte| *byte == b'\n')?;
    let mut numbers = std::str::from_utf8(&list[..end]).ok()?.split(' ');
    let is_folder = numbers.next()? == "1";
    let bytes = numbers.next()?.parse().ok()?;
    let modified_s = numbers.next()?.parse().ok()?;
    let length: usize = numbers.next()?.parse().ok().filter(|length| *length <= MAX_PATH_BYTES)?;
    let (path, rest) = list.get(end + 1..)?.split_at_checked(length)?;
    *list = rest;
    Some(FoundFile { path: String::from_utf8_lossy(path).into_owned(), is_folder, bytes, modified_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_were_written() {
        let list = [entry(b"a\nb", false, 3, -1), entry(b"d", true, 0, 7)].concat();
        let files = read(&list).unwrap();
        assert_eq!((files[0].path.as_str(), files[0].bytes, files[0].modified_s), ("a\nb", 3, -1));
        assert!(files[1].is_folder && files[1].path == "d");
        assert_eq!(read(b""), Some(Vec::new()));
        for bad in [&list[..list.len() - 1], b"0 1 2\n", b"0 1 2 99999999\nx", b"\xff\xff"] {
            assert_eq!(read(bad), None);
        }
    }

    #[test]
    fn content_follows_each_path() {
        let list = [&entry(b"a", false, 2, 0)[..], b"hi", &entry(b"b", false, 0, 0)].concat();
        let files = read_with_content(&list).unwrap();
        assert_eq!(
            files.iter().map(|(file, content)| (&*file.path, *content)).collect::<Vec<_>>(),
            [("a", &b"hi"[..]), ("b", b"")]
        );
        for bad in [&entry(b"a", false, 2, 0)[..], &entry(b"a", false, u64::MAX, 0)] {
            assert_eq!(read_with_content(bad), None);
        }
    }
}
