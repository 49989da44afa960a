//! What the host keeps of what a guest says: next to nothing, however much it is.

use sandbox::session::{CloseReason, SessionError};
use sandbox::{Driver as _, EndCause};

use super::traces::{OF_OTHERS, Traces};
use super::{END_PATIENCE, Root, machine, setting, stream_of};
use crate::microvm;

const FLOOD: &str = include_str!("flood.py");
const MIB: u64 = 1 << 20;
/// To the serial line: a monitor that translates takes some 700 KiB of it in a second, and the host keeps the last 4 KiB.
const SERIAL: u64 = 12 * MIB;
/// To each of the two ports, if somebody takes it.
const PORTS: u64 = 64 * MIB;

#[tokio::test]
async fn microvm_that_floods_the_host_leaves_nothing_there() {
    let Some((host, driver, layer)) = setting().await else { return };
    let sandbox = machine(&driver, vec![microvm::offered(layer)]).await;
    let words = format!("{SERIAL} {PORTS}");
    let mut root = Root::new(stream_of(&sandbox), FLOOD, &words, &[]).await;
    root.until_it_says("ready for the serial line").await;
    let mut traces = Traces::of(&host);
    let before = traces.written();
    root.go_on().await;
    traces.until(root.until_it_says("ready for the ports")).await;
    // A control: all of it has come out of the machine.
    let written = traces.written() - before;
    assert!(written >= SERIAL && root.said.contains(&format!("said {SERIAL} bytes")), "{written}: {}", root.said);
    traces.check_memory(SERIAL * 3 / 4, OF_OTHERS);
    traces.check_files();

    root.go_on().await;
    let (closed, usage, ended) = traces
        .until(async {
            let closed = root.closed().await;
            let usage = tokio::time::timeout(END_PATIENCE, driver.usage(sandbox.id)).await;
            (closed, usage, tokio::time::timeout(END_PATIENCE, sandbox.ended()).await)
        })
        .await;
    println!("{}", root.said);
    assert!(matches!(closed, SessionError::Closed(CloseReason::Frame(_))), "{closed:?}");
    assert!(usage.is_ok(), "a guest that does not answer keeps nobody waiting");
    assert_eq!(ended.expect("a machine that talks nonsense ends").cause, EndCause::Lost);
    traces.check_memory(PORTS, OF_OTHERS);
    traces.check_files();
    traces.check_end();
    let destroyed = tokio::time::timeout(END_PATIENCE, driver.destroy(sandbox.id)).await;
    assert_eq!(destroyed.unwrap().unwrap().cause, EndCause::Lost);
    host.end().await;
}
