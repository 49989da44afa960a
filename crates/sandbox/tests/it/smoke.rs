//! A sandbox can be made and is gone afterwards.

use sandbox::SandboxSpec;

use crate::place;

#[tokio::test]
async fn smoke() {
    let Some(local) = place::local() else { return };
    for layer in [place::image_dir(), place::image_erofs()].into_iter().flatten() {
        let driver = local.container();
        let started = std::time::Instant::now();
        let sandbox = driver.create(SandboxSpec::image(vec![layer])).await.unwrap();
        println!("made {sandbox:?} in {:?}", started.elapsed());
        println!("{:?}", driver.usage(sandbox.id).await);
        println!("{:?} in {:?}", driver.destroy(sandbox.id).await.unwrap(), started.elapsed());
    }
    let sandbox = local.process().create(SandboxSpec::host_tools()).await.unwrap();
    println!("{:?}", local.process().destroy(sandbox.id).await.unwrap());
    println!("{:?}", local.container().sweep().await.unwrap());
    println!("{:#?}", local.container().probe());
}
