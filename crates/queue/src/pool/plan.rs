//! Which shape gets how much of the room that all share.
//!
//! Three rounds: first what the floors ask, then what is wanted, then what is there beyond that and may stay. In a
//! round the shape with the highest demand comes first, so what has to go is of the one with the lowest.

/// What is there counts for so much more than what would have to be made in its place: two shapes of like demand would
/// else push each other out with every claim.
const HELD: f64 = 2.0;

/// What a shape has, and what it would like to have. All counts are of members ready and in the making together, and
/// none is above the shape's ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bid {
    /// Demand, by which shapes are ordered.
    pub(super) weight: f64,
    pub(super) cost_bytes: u64,
    /// In the making; cannot be taken back.
    pub(super) making: u32,
    pub(super) have: u32,
    pub(super) floor: u32,
    /// At least the floor.
    pub(super) wanted: u32,
    /// Where one has more than wanted, so many may stay; at least `wanted`.
    pub(super) kept: u32,
    /// How many may be begun.
    pub(super) may_begin: u32,
}

/// Room for the members of all shapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) members: u32,
    pub(super) bytes: u64,
    /// How many may be begun.
    pub(super) begin: u32,
}

/// A wish for having `upto` members, of the bid with that index.
struct Ask {
    round: u8,
    weight: f64,
    index: usize,
    upto: u32,
}

impl Bid {
    fn asks(&self, index: usize) -> [Ask; 4] {
        let held = self.weight * HELD;
        [
            Ask { round: 0, weight: self.weight, index, upto: self.floor },
            Ask { round: 1, weight: held, index, upto: self.wanted.min(self.have) },
            Ask { round: 1, weight: self.weight, index, upto: self.wanted },
            Ask { round: 2, weight: self.weight, index, upto: self.kept.min(self.have) },
        ]
    }
}

impl Room {
    /// Takes room for one more, where there is some.
    fn take(&mut self, cost_bytes: u64, begun: bool) -> bool {
        if self.members == 0 || self.bytes < cost_bytes || (begun && self.begin == 0) {
            return false;
        }
        self.members -= 1;
        self.bytes -= cost_bytes;
        self.begin -= u32::from(begun);
        true
    }
}

/// How many members each bid shall have, in the order of the bids. More than it has: begin the difference. Fewer:
/// destroy it; the bid has so many that are ready.
pub(super) fn share(bids: &[Bid], mut room: Room) -> Vec<u32> {
    let mut granted: Vec<u32> = bids.iter().map(|bid| bid.making).collect();
    for bid in bids {
        room.members = room.members.saturating_sub(bid.making);
        room.bytes = room.bytes.saturating_sub(bid.cost_bytes.saturating_mul(bid.making.into()));
    }
    let mut asks: Vec<Ask> = bids.iter().enumerate().flat_map(|(index, bid)| bid.asks(index)).collect();
    // Stable: equals stay in the order of the bids, and what is held before what would be made.
    asks.sort_by(|a, b| a.round.cmp(&b.round).then(b.weight.total_cmp(&a.weight)));
    for ask in asks {
        let (bid, granted) = (&bids[ask.index], &mut granted[ask.index]);
        while *granted < ask.upto {
            let begun = *granted >= bid.have;
            let allowed = !begun || *granted - bid.have < bid.may_begin;
            if !allowed || !room.take(bid.cost_bytes, begun) {
                break;
            }
            *granted += 1;
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { members: 10, bytes: 100, begin: 10 };

    /// A bid that has so many ready and wants so many.
    fn bid(weight: f64, have: u32, wanted: u32) -> Bid {
        Bid { weight, have, wanted, kept: wanted, may_begin: u32::MAX, cost_bytes: 1, ..Bid::default() }
    }

    fn check(bids: &[Bid], room: Room, expect: &[u32]) {
        assert_eq!(share(bids, room), expect);
    }

    #[test]
    fn everybody_gets_what_is_wanted_where_there_is_room() {
        check(&[bid(3.0, 0, 4), bid(1.0, 5, 2)], ROOM, &[4, 2]);
    }

    #[test]
    fn the_lowest_demand_gets_what_is_left() {
        check(&[bid(1.0, 0, 6), bid(3.0, 0, 6)], ROOM, &[4, 6]);
        check(&[bid(1.0, 6, 6), bid(3.0, 0, 8)], ROOM, &[2, 8]);
    }

    #[test]
    fn floors_come_before_any_demand() {
        check(&[Bid { floor: 3, ..bid(0.0, 0, 3) }, bid(9.0, 10, 10)], ROOM, &[3, 7]);
    }

    #[test]
    fn what_is_there_yields_only_to_clearly_more_demand() {
        check(&[bid(1.0, 10, 10), bid(1.9, 0, 10)], ROOM, &[10, 0]);
        check(&[bid(1.0, 10, 10), bid(2.1, 0, 10)], ROOM, &[0, 10]);
    }

    #[test]
    fn a_surplus_stays_only_where_nobody_else_wants_the_room() {
        let surplus = Bid { kept: 5, ..bid(9.0, 6, 2) };
        check(&[surplus, bid(1.0, 0, 3)], ROOM, &[5, 3]);
        check(&[surplus, bid(1.0, 0, 7)], ROOM, &[3, 7]);
    }

    #[test]
    fn bytes_bound_as_members_do_and_small_ones_fit_beside_large_ones() {
        let large = Bid { cost_bytes: 60, ..bid(9.0, 0, 5) };
        check(&[large, Bid { cost_bytes: 20, ..bid(1.0, 0, 5) }], ROOM, &[1, 2]);
        check(&[Bid { cost_bytes: u64::MAX, making: 2, have: 2, ..bid(1.0, 0, 2) }, bid(1.0, 0, 1)], ROOM, &[2, 0]);
    }

    #[test]
    fn what_is_in_the_making_has_its_room_already() {
        let making = Bid { making: 8, ..bid(0.0, 8, 0) };
        check(&[bid(9.0, 0, 10), making], ROOM, &[2, 8]);
    }

    #[test]
    fn what_cannot_be_begun_takes_no_room() {
        check(&[Bid { may_begin: 0, ..bid(9.0, 1, 10) }, bid(1.0, 9, 9)], ROOM, &[1, 9]);
        check(&[Bid { may_begin: 1, ..bid(9.0, 1, 10) }, bid(1.0, 9, 9)], ROOM, &[2, 8]);
        check(&[bid(9.0, 0, 10), bid(1.0, 9, 9)], Room { begin: 2, ..ROOM }, &[2, 8]);
    }
}
