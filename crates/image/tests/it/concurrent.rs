//! Many at once: the work is done once.

use futures_util::future::join_all;
use image::{PullEvent, PullOptions};

use crate::children;
use crate::double::Double;
use crate::images::{Home, TestImage, Told, gzip, tar};

#[tokio::test]
async fn pulls_of_one_image_in_one_process() {
    let double = Double::new();
    let image = TestImage::small(1);
    double.offer("a", "1", &image);
    let home = Home::new();
    let (name, options, told) = (double.name("a:1"), PullOptions::default(), Told::default());
    let pulls = (0..50).map(|_| home.store.pull(&name, &options, &told));
    for pulled in join_all(pulls).await {
        assert_eq!(pulled.unwrap().digest, image.digest());
    }
    assert_eq!(double.seen().len(), 4, "manifest, config and two layers, once");
    assert!(told.all().iter().any(|event| matches!(event, PullEvent::Waiting { .. })));
}

#[tokio::test]
async fn images_that_share_layers_in_different_orders() {
    let double = Double::new();
    let layers: Vec<_> = (0..6_u8).map(|i| gzip(&tar(&[("f", &vec![i; 100_000])]))).collect();
    let mut rotated = layers.clone();
    for tag in 0..6 {
        rotated.rotate_left(1);
        double.offer("a", &tag.to_string(), &TestImage::new(rotated.clone()));
    }
    let home = Home::new();
    let options = PullOptions::default();
    let names: Vec<_> = (0..6).map(|tag| double.name(&format!("a:{tag}"))).collect();
    for pulled in join_all(names.iter().map(|name| home.store.pull(name, &options, &()))).await {
        assert_eq!(pulled.unwrap().layers.len(), 6);
    }
    for layer in &layers {
        assert_eq!(double.count(&layer.digest().to_string()), 1);
    }
}

#[test]
fn pulls_of_one_image_in_several_processes() {
    let double = Double::new();
    let image = TestImage::sized(1, 2_000_000);
    double.offer("a", "1", &image);
    let home = Home::new();
    let children: Vec<_> =
        (0..4).map(|_| children::start(home.folder.path(), &double.name("a:1").to_string())).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(&image.digest().to_string()), "{output:?}");
    }
    assert_eq!(double.seen().len(), 3, "manifest, config and one layer, once");
    assert_eq!(home.names("tmp"), Vec::<String>::new());
}

#[tokio::test]
async fn a_failure_is_not_inherited() {
    // The first pull fails for all layers; those who waited try for themselves, and one of them succeeds for the rest.
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let double = Double::with(move |request, reply| {
        let first = request.is_blob() && failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if first { crate::double::Reply::of(404, "gone for a moment") } else { reply }
    });
    double.offer("a", "1", &TestImage::small(1));
    let home = Home::new();
    let (name, options) = (double.name("a:1"), PullOptions::default());
    let results = join_all((0..5).map(|_| home.store.pull(&name, &options, &()))).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_nothing() {
    let double = Double::with(|request, reply| match request.is_blob() && reply.body.len() > 10_000 {
        true => crate::double::Reply { stall_after: Some(5000), ..reply },
        false => reply,
    });
    double.offer("a", "1", &TestImage::sized(1, 100_000));
    let home = Home::new();
    let name = double.name("a:1");
    {
        let options = PullOptions::default();
        let pull = home.store.pull(&name, &options, &());
        let began = async {
            while home.names("tmp").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = pull => panic!("{result:?}"),
            () = began => {}
        }
    }
    // The thread that converts notices the end of its input and cleans up.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !home.names("tmp").is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", home.names("tmp"));
        tokio::task::yield_now().await;
    }
    home.assert_empty();
}
