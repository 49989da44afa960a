//! What a machine sends into its network, to whom it must not reach and as somebody else: none of it arrives.

use std::collections::BTreeSet;

use super::world::{self, HOST, World};
use super::{Attacked, machine_on, setting};
use crate::microvm;

const PROGRAM: &str = include_str!("network.py");

/// The number that stands before this word.
fn before(said: &str, word: &str) -> u64 {
    let words: Vec<_> = said.split_whitespace().collect();
    let at = words.iter().position(|found| found.trim_end_matches(',') == word);
    at.and_then(|at| words[at - 1].parse().ok()).unwrap_or_else(|| panic!("{word}: {said}"))
}

#[test]
fn microvm_root_of_the_guest_reaches_nothing_through_its_network() {
    // Before the world is another one: all of it comes from Debian's archive.
    if microvm::engine_driver().is_none() {
        return;
    }
    world::in_a_world(async || {
        let Some((host, driver, layer)) = setting().await else { return };
        let world = World::new().await;
        let sandbox = machine_on(world.network(), &driver, vec![microvm::offered(layer)]).await;
        let addresses = world.addresses(host.port());
        let files: &[(&str, &[u8])] = &[("network.json", addresses.as_bytes())];
        let attacked = Attacked::by(&host, sandbox, PROGRAM, "", files).await;
        let said = &attacked.said;
        // Controls: the way that is allowed leads there, before and after.
        for probe in ["allowed", "again"] {
            assert!(said.contains(&format!("probe {probe} {HOST}\n")), "{probe}: {said}");
        }
        assert!(said.contains("probe connects 0 reached of 50 []"), "{said}");
        let (sent, forged, large) = (before(said, "sent"), before(said, "forged"), before(said, "large"));
        let counts = world.counts();
        println!("{counts:?}");
        // Controls: all of it has come out of the guest, and what is refused is counted.
        assert!(sent > 600 && counts.frames >= sent && large == 32 && counts.bytes > 32 * 20_000, "{sent} {counts:?}");
        assert!(forged > 150 && counts.refused >= forged, "{forged} {counts:?}");
        let heard = world.ear.heard();
        assert!(heard.iter().any(|frame| frame.says("honest")), "a control: what is allowed is heard");
        assert!(!heard.iter().any(|frame| frame.says("forged")), "somebody's name was used");
        let senders: BTreeSet<_> = heard.iter().filter_map(|frame| frame.sender()).collect();
        assert!(senders.iter().all(|sender| *sender == HOST), "{senders:?}");
        assert!(heard.iter().all(|frame| frame.is_plain()), "another protocol gets out");
        let heard = world.ear_of_neighbour.heard();
        assert!(!heard.iter().any(|frame| ["honest", "forged", "touched"].iter().any(|word| frame.says(word))));
        assert!(heard.iter().all(|frame| frame.is_plain()), "another protocol gets to a neighbour");
        world.is_untouched();
        attacked.end(host, &driver).await;
        world.end();
    });
}
