//! A guest whose root starts a kernel of its own in the machine: nothing that was there before stands between that and the host.
//!
//! ```text
//!   first kernel:  engine's container ── load, reboot ──▶ second kernel:  a line with its token ── probes ── nonsense for an answer
//! ```

use std::time::Duration;

use sandbox::session::{CloseReason, SessionError};
use sandbox::{Driver as _, EndCause, LayerSource};

use super::traces::{OF_OTHERS, Traces, of_machine};
use super::{END_PATIENCE, PATIENCE, PROBES, Root, machine, setting, stream_of, tap};
use crate::{microvm, place};

const PROGRAM: &str = include_str!("kexec.py");
const SECOND: &[u8] = include_bytes!("second_kernel.sh");
/// 2 MiB to the serial line, and more; the last one takes the devices away.
const PROBED: &str = "serial,serial,serial,serial,serial,serial,serial,serial,beyond,ports,memory";

/// Machines that may have been started in vain: nobody resets devices between two kernels, and what they still write falls on either.
const ATTEMPTS: usize = 3;
/// From the first kernel's end to the second one's first word.
const UP_PATIENCE: Duration = Duration::from_secs(60);

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;

/// The guest's own first file system with these files above it. Format: cpio, "newc", as in `guest::archive`.
fn initrd_with(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = std::fs::read(microvm::guest().unwrap().initrd()).unwrap();
    for (name, mode, content) in files.iter().chain(&[("TRAILER!!!", 0, &[][..])]) {
        let fields = [0, *mode as usize, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        archive.extend(b"070701");
        fields.iter().for_each(|field| archive.extend(format!("{field:08x}").bytes()));
        archive.extend(name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

/// The word after this.
fn after<'a>(said: &'a str, text: &str) -> &'a str {
    said.split_once(text).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default()
}

#[tokio::test]
async fn microvm_with_another_kernel_is_the_same_machine() {
    let Some((host, driver, layer)) = setting().await else { return };
    let Some(LayerSource::Dir(image)) = place::image_dir() else { return };
    let busybox = std::fs::read(image.join("bin/busybox")).unwrap();
    let kernel = std::fs::read(microvm::guest().unwrap().kernel()).unwrap();
    let initrd = initrd_with(&[
        ("bin", FOLDER, b""),
        ("bin/busybox", FILE, &busybox),
        ("probes.py", FILE, PROBES.as_bytes()),
        ("init", FILE, SECOND),
    ]);
    let token = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let token = token.trim();
    // It guards no device's memory from its own root.
    let words = format!("iomem=relaxed token={token} probes={PROBED}");
    let files: &[(&str, &[u8])] = &[("kernel", &kernel), ("initrd", &initrd)];
    let mut attempts = 0;
    let (sandbox, root, mut kept, mut traces, closed) = loop {
        let sandbox = machine(&driver, vec![microvm::offered(layer.clone())]).await;
        let (stream, kept) = tap(stream_of(&sandbox));
        let mut root = Root::new(stream, PROGRAM, &words, files).await;
        root.until_it_says("load done").await;
        let mut traces = Traces::of(&host);
        root.go_on().await;
        let closed = tokio::time::timeout(UP_PATIENCE, traces.until(root.closed())).await;
        if let Ok(closed) = closed {
            break (sandbox, root, kept, traces, closed);
        }
        println!("no second kernel within {} s: {}", UP_PATIENCE.as_secs(), root.said);
        attempts += 1;
        assert!(attempts < ATTEMPTS, "no second kernel in {ATTEMPTS} machines");
        tokio::time::timeout(END_PATIENCE, driver.destroy(sandbox.id)).await.unwrap().unwrap();
    };
    println!("{}", root.said);
    assert!(matches!(closed, SessionError::Closed(CloseReason::Frame(_))), "{closed:?}");
    assert!(!root.said.contains("start refused") && !root.said.contains(token), "{}", root.said);

    let all = kept.wait_for(|kept| kept.contains("second kernel waits for a question"));
    let has_said_all = traces.until(tokio::time::timeout(PATIENCE, all)).await.is_ok_and(|all| all.is_ok());
    let said = kept.borrow().clone();
    println!("{}", &said[said.find("second kernel").unwrap_or(0)..]);
    assert!(has_said_all, "the second kernel has not come so far");
    // A control: it was another kernel, and it was told what only this test knows.
    let boots = ["first kernel ", "second kernel "].map(|text| after(&said, text));
    assert!(boots[0].len() == 36 && boots[1].len() == 36 && boots[0] != boots[1], "{boots:?}");
    assert_eq!(after(&said, &format!("second kernel {} token=", boots[1])), token);
    for probe in ["serial done", "beyond 8 places of 8", "ports done", "memory 2944 words"] {
        assert!(said.contains(&format!("probe {probe}")), "{probe}: {said}");
    }
    host.is_untouched().await;

    let (usage, ended) = traces
        .until(async {
            let usage = tokio::time::timeout(END_PATIENCE, driver.usage(sandbox.id)).await;
            (usage, tokio::time::timeout(END_PATIENCE, sandbox.ended()).await)
        })
        .await;
    assert!(usage.is_ok(), "a kernel that answers otherwise keeps nobody waiting");
    assert_eq!(ended.expect("a machine that talks nonsense ends").cause, EndCause::Lost);
    traces.check_memory(of_machine(), OF_OTHERS);
    traces.check_files();
    traces.check_end();
    let destroyed = tokio::time::timeout(END_PATIENCE, driver.destroy(sandbox.id)).await;
    assert_eq!(destroyed.unwrap().unwrap().cause, EndCause::Lost);
    host.end().await;
}
