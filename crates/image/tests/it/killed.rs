//! kill -9 at any moment: the next start repairs the store.

use std::time::{Duration, Instant};

use image::{PullOptions, Store};

use crate::children;
use crate::double::{Double, Reply};
use crate::images::{Home, TestImage, gzip, names, options, tar};

/// Opens the store until nothing unfinished is left: a converter that lost its parent takes a moment to notice.
fn reopened(root: &std::path::Path) -> Store {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let store = Store::open(root, options()).unwrap();
        let left = names(&root.join("tmp"));
        if left.is_empty() {
            return store;
        }
        assert!(Instant::now() < deadline, "{left:?} is still there");
    }
}

fn layers() -> Vec<crate::images::TestLayer> {
    (0..3_u64).map(|seed| gzip(&tar(&[("f", &crate::images::noise(seed, 150_000))]))).collect()
}

#[tokio::test]
async fn in_the_middle_of_a_layer() {
    let image = TestImage::new(layers());
    let double = Double::with(|request, reply| match request.is_blob() && reply.body.len() > 10_000 {
        true => Reply { stall_after: Some(100_000), ..reply },
        false => reply,
    });
    double.offer("a", "1", &image);
    let home = Home::new();
    let mut child = children::start(home.folder.path(), &double.name("a:1").to_string());
    double.wait(|seen| seen.iter().filter(|request| request.is_blob()).count() == 4);
    while home.names("tmp").len() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "the child waits for the rest of its layers");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let healthy = Double::new();
    healthy.offer("a", "1", &image);
    let store = reopened(home.folder.path());
    assert!(store.list().unwrap().is_empty());
    let pulled = store.pull(&healthy.name("a:1"), &PullOptions::default(), &()).await.unwrap();
    assert_eq!(pulled.layers.len(), 3);
}

/// Many moments: after each request, and a growing while later.
#[tokio::test]
async fn at_many_moments() {
    let image = TestImage::new(layers());
    let healthy = Double::new();
    healthy.offer("a", "1", &image);
    for moment in 0..24 {
        let double = Double::new();
        double.offer("a", "1", &image);
        let home = Home::new();
        let mut child = children::start(home.folder.path(), &double.name("a:1").to_string());
        let requests = 1 + moment % 5;
        double.wait(|seen| seen.len() >= requests);
        let later = Duration::from_millis(3 * (moment as u64 / 5));
        let until = Instant::now() + later;
        while Instant::now() < until {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let store = reopened(home.folder.path());
        // Whatever is there is complete: a name leads to an image, an image has all its layers.
        for summary in store.list().unwrap() {
            assert_eq!((summary.digest, summary.layers), (image.digest(), 3));
        }
        let pulled = store.pull(&healthy.name("a:1"), &PullOptions::default(), &()).await.unwrap();
        assert_eq!(pulled.digest, image.digest());
        let again = store.resolve(&healthy.name("a:1")).unwrap().unwrap();
        assert_eq!(again.layers, pulled.layers);
        assert_eq!(home.names("tmp"), Vec::<String>::new());
    }
}
