//! The cases. Each takes a place with nothing in it.

use blob::{BlobError, Blobs, Kept, Key};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

/// A blob is sent in parts of so many bytes.
const PART: usize = 5 << 20;
/// More than any case has.
const MOST: u64 = 1 << 30;

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// In pieces as they may come.
pub fn content(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let pieces: Vec<_> = bytes.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

/// Bytes that differ from place to place.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut state = count as u64 | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn kept(bytes: &[u8]) -> Kept {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Kept { bytes: bytes.len() as u64, sha256 }
}

async fn read(blobs: &Blobs, name: &str, range: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, BlobError> {
    let got = blobs.get(&key(name), range).await?;
    let length = got.range.end - got.range.start;
    let bytes: Vec<Bytes> = got.stream.try_collect().await?;
    assert_eq!(bytes.iter().map(Bytes::len).sum::<usize>() as u64, length);
    Ok(bytes.concat())
}

async fn names(blobs: &Blobs, prefix: &str) -> Vec<String> {
    let mut names: Vec<_> =
        blobs.list(prefix, 1000).await.unwrap().into_iter().map(|listed| listed.key.to_string()).collect();
    names.sort();
    names
}

pub async fn what_is_put_is_got(blobs: &Blobs) {
    blobs.check().await.unwrap();
    for count in [0, 1, 100_000, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 12_345] {
        let (name, bytes) = (format!("a/{count}"), bytes(count));
        assert_eq!(blobs.put(&key(&name), content(&bytes), count as u64).await.unwrap(), kept(&bytes), "{count}");
        assert!(read(blobs, &name, None).await.unwrap() == bytes, "{count}");
        let listed = blobs.list(&name, 9).await.unwrap();
        // A service may take what has this very name for no beginning.
        assert!(listed.iter().all(|listed| listed.bytes == count as u64));
    }
    assert_eq!(blobs.list("a", 100).await.unwrap().len(), 8);
    assert_eq!(blobs.list("a", 3).await.unwrap().len(), 3);
}

/// What a line does to a large one, to a small one, and to what asks for them.
pub async fn large_and_small(blobs: &Blobs) {
    for count in [10, 2 * PART + 1] {
        let bytes = bytes(count);
        assert_eq!(blobs.put(&key("x"), content(&bytes), MOST).await.unwrap(), kept(&bytes));
        assert!(read(blobs, "x", None).await.unwrap() == bytes);
    }
    assert_eq!(names(blobs, "").await, ["x"]);
    blobs.delete(&key("x")).await.unwrap();
}

pub async fn parts_are_got(blobs: &Blobs) {
    let all = bytes(700_000);
    blobs.put(&key("a"), content(&all), MOST).await.unwrap();
    for (start, end) in [(0, 1), (0, 700_000), (1, 300_001), (699_999, 700_000)] {
        let part = read(blobs, "a", Some(start..end)).await.unwrap();
        assert!(part == all[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()], "{start}..{end}");
    }
    let got = blobs.get(&key("a"), Some(699_000..9_999_999)).await.unwrap();
    assert_eq!((got.bytes, got.range), (700_000, 699_000..700_000), "no more than there is");
    assert!(blobs.get(&key("a"), Some(700_000..700_001)).await.is_err());
}

pub async fn what_is_put_again_is_replaced(blobs: &Blobs) {
    let (first, second) = (bytes(PART + 1), bytes(1000));
    blobs.put(&key("a"), content(&first), MOST).await.unwrap();
    blobs.put(&key("a"), content(&second), MOST).await.unwrap();
    assert!(read(blobs, "a", None).await.unwrap() == second);
    // And stays as it was where the next one does not come to its end.
    assert!(blobs.put(&key("a"), content(&first), 10).await.is_err());
    assert!(read(blobs, "a", None).await.unwrap() == second);
}

pub async fn what_is_gone_is_gone(blobs: &Blobs) {
    blobs.put(&key("a/b"), content(b"x"), MOST).await.unwrap();
    blobs.delete(&key("a/b")).await.unwrap();
    blobs.delete(&key("a/b")).await.unwrap();
    blobs.delete(&key("never")).await.unwrap();
    let missing = read(blobs, "a/b", None).await;
    assert!(matches!(&missing, Err(BlobError::Missing { key }) if key == "a/b"), "{missing:?}");
    assert!(read(blobs, "a/b", Some(0..1)).await.is_err());
    assert_eq!(names(blobs, "").await, Vec::<String>::new());
}

pub async fn what_is_too_large_leaves_nothing(blobs: &Blobs) {
    for (count, most) in [(1, 0), (1001, 1000), (3 * PART, 2 * PART + 1)] {
        let result = blobs.put(&key("a"), content(&bytes(count)), most as u64).await;
        assert!(matches!(result, Err(BlobError::TooLarge { most: said }) if said == most as u64), "{result:?}");
    }
    assert_eq!(names(blobs, "").await, Vec::<String>::new());
}

pub async fn what_breaks_off_leaves_nothing(blobs: &Blobs) {
    for count in [0, 1000, PART, 2 * PART + 1] {
        let broken = || stream::iter([Err(std::io::Error::other("the line is cut"))]);
        let result = blobs.put(&key("a"), futures_util::StreamExt::chain(content(&bytes(count)), broken()), MOST).await;
        assert!(matches!(result, Err(BlobError::Content(_))), "{count}: {result:?}");
    }
    assert_eq!(names(blobs, "").await, Vec::<String>::new());
}

pub async fn names_begin_with_whole_parts(blobs: &Blobs) {
    for name in ["runs/1/1", "runs/1/2", "runs/12/1", "other"] {
        blobs.put(&key(name), content(b"x"), MOST).await.unwrap();
    }
    assert_eq!(names(blobs, "runs/1").await, ["runs/1/1", "runs/1/2"]);
    assert_eq!(names(blobs, "runs").await.len(), 3);
    assert_eq!(names(blobs, "").await.len(), 4);
    assert_eq!(names(blobs, "none").await.len(), 0);
}

pub async fn many_at_once(blobs: &Blobs) {
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let blobs = blobs.clone();
            tokio::spawn(async move {
                let (name, bytes) = (format!("m/{number}"), bytes(100_000 * number + 1));
                assert_eq!(blobs.put(&key(&name), content(&bytes), MOST).await.unwrap(), kept(&bytes));
                assert!(read(&blobs, &name, None).await.unwrap() == bytes);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(names(blobs, "m").await.len(), 16);
}
