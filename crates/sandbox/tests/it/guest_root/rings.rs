//! What a machine's devices are told, all of them and by hand: a monitor stands, or ends alone.

use std::time::Duration;

use sandbox::{Driver as _, EndCause};

use super::traces::{OF_OTHERS, Traces, of_machine};
use super::world::{self, HOST, World};
use super::{END_PATIENCE, Root, machine_on, setting, stream_of, tap};
use crate::microvm;

const PROGRAM: &str = include_str!("rings.py");
/// For each device: rings that a guest survives whatever its devices make of them, and rings of any kind.
const ROUNDS: u32 = 150;
const WILD_ROUNDS: u32 = 75;
/// A host that is busy translates them slowly. A machine that has ended is noticed at once.
const RINGS_PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn microvm_devices_stand_whatever_their_rings_hold() {
    // Before the world is another one: all of it comes from Debian's archive.
    if microvm::engine_driver().is_none() {
        return;
    }
    world::in_a_world(async || {
        let Some((host, driver, layer)) = setting().await else { return };
        let world = World::new().await;
        let before = std::fs::read(&layer).unwrap();
        let sandbox = machine_on(world.network(), &driver, vec![microvm::offered(layer.clone())]).await;
        println!("the machine is made");
        let (stream, mut kept) = tap(stream_of(&sandbox));
        let (addresses, words) = (world.addresses(host.port()), format!("{ROUNDS} {WILD_ROUNDS}"));
        let mut root = Root::new(stream, PROGRAM, &words, &[("network.json", addresses.as_bytes())]).await;
        // A control: its network leads out.
        root.until_it_says(&format!("ready for the rings {HOST}\n")).await;
        let mut traces = Traces::of(&host);
        let feed = world.feed();
        root.go_on().await;
        println!("it goes on");
        let told = tokio::time::timeout(RINGS_PATIENCE, kept.wait_for(|kept| kept.contains("probe rings")));
        // Its ports are fed too, as long as somebody listens there.
        let more = async {
            while root.input.send(b"more\n").await.is_ok() {}
            std::future::pending().await
        };
        let both = async {
            tokio::select! {
                told = told => told.is_ok_and(|told| told.is_ok()),
                never = more => never,
            }
        };
        let has_said_all = traces.until(both).await;
        let said = kept.borrow().clone();
        let report = &said[said.find("ring ").unwrap_or(said.len())..];
        println!("{report}");
        assert!(has_said_all, "not all of it was done");
        let devices: Vec<_> = report.lines().filter(|line| line.starts_with("ring ")).collect();
        // Before, a control: each was spoken to as it wants to be. And after.
        assert!(devices.iter().all(|line| line.ends_with(" True True")), "{devices:?}");
        let of_kind = |name: &str| devices.iter().filter(|line| line.contains(name)).count();
        // Scratch, an engine's programs, a layer.
        assert_eq!(["net", "random", "console", "disk"].map(of_kind), [1, 1, 1, 3], "{devices:?}");
        host.is_untouched().await;
        world.is_untouched();
        traces.check_memory(of_machine(), OF_OTHERS);

        // Now anything may come of it, but for the host.
        let all = tokio::time::timeout(END_PATIENCE, kept.wait_for(|kept| kept.contains("probe wild")));
        println!("all of it: {}", traces.until(all).await.is_ok_and(|all| all.is_ok()));
        drop(feed);
        traces.check_others(OF_OTHERS);
        traces.check_files();
        let ended = tokio::time::timeout(END_PATIENCE, driver.destroy(sandbox.id)).await.unwrap().unwrap();
        assert!(matches!(ended.cause, EndCause::Destroyed | EndCause::Lost), "{ended:?}");
        traces.check_end();
        let heard = world.ear.heard();
        let by_hand: Vec<_> = heard.iter().filter(|frame| frame.says("by hand")).collect();
        assert!(by_hand.len() >= 2 && by_hand.iter().all(|frame| frame.sender() == Some(HOST)), "{}", by_hand.len());
        assert!(heard.iter().all(|frame| frame.is_plain()), "another protocol gets out");
        assert!(std::fs::read(layer).unwrap() == before, "a layer of the store has changed");
        host.end().await;
        world.end();
    });
}
