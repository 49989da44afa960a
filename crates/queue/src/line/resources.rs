//! What runs use of an agent beside its places.

pub use model::resources::Resources;

/// More of something than that has. What nobody has said anything of is no less than anything.
pub(super) fn exceeds(wants: Resources, all: Resources) -> bool {
    let more = |wants: u64, has: u64| has > 0 && wants > has;
    more(wants.memory_mib, all.memory_mib) || more(wants.cpu_millis, all.cpu_millis)
}

/// What of one thing is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// By those who said how much.
    said: u64,
    /// How many have said nothing: each has as much as a place has, all of it divided by the places.
    shares: u64,
}

impl Taken {
    fn fits(self, wants: u64, all: u64, places: u32) -> bool {
        let share = all / u64::from(places.max(1));
        let wants = if wants == 0 { share } else { wants };
        all == 0 || self.said.saturating_add(self.shares.saturating_mul(share)).saturating_add(wants) <= all
    }

    fn add(&mut self, wants: u64) {
        match wants {
            0 => self.shares += 1,
            _ => self.said = self.said.saturating_add(wants),
        }
    }

    fn remove(&mut self, wants: u64) {
        match wants {
            0 => self.shares = self.shares.saturating_sub(1),
            _ => self.said = self.said.saturating_sub(wants),
        }
    }
}

/// What an agent has for more runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Free {
    /// Places.
    pub(super) places: u32,
    /// Of how many, taken or not.
    pub(super) of_places: u32,
    /// All that it has, for all of them.
    pub(super) all: Resources,
    memory: Taken,
    cpu: Taken,
}

impl Free {
    /// The places that are free for a run that wants this much: none where it does not fit.
    pub(super) fn room_for(&self, wants: Resources) -> u32 {
        let fits = self.memory.fits(wants.memory_mib, self.all.memory_mib, self.of_places)
            && self.cpu.fits(wants.cpu_millis, self.all.cpu_millis, self.of_places);
        if fits { self.places } else { 0 }
    }

    pub(super) fn take(&mut self, wants: Resources) {
        self.memory.add(wants.memory_mib);
        self.cpu.add(wants.cpu_millis);
    }

    pub(super) fn leave(&mut self, wants: Resources) {
        self.memory.remove(wants.memory_mib);
        self.cpu.remove(wants.cpu_millis);
    }
}
