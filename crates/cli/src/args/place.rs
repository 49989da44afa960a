//! How sandboxes are made, for whoever runs jobs: `run` and `agent`.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use model::rung::Rung;

use super::parse::{parse_duration_ms, parse_factor, parse_size, parse_warm_image};
use super::{EngineArgs, LimitArgs, MonitorChoice, Network, WallArgs};

/// How sandboxes are made.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// How strong the walls are
    #[command(flatten)]
    pub walls: WallArgs,
    /// Let programs of jobs with an image make user namespaces and mount in them, as buildah and BuildKit do without a daemon: more
    /// of the kernel is then within their reach, which on rung container is the host's
    #[arg(long)]
    pub nested_namespaces: bool,
    /// What runs virtual machines
    #[arg(long, value_enum, default_value_t, value_name = "MONITOR")]
    pub monitor: MonitorChoice,
    /// Network of the sandboxes: the internet without private networks, or nothing
    #[arg(long, value_enum, default_value_t = Network::Internet, value_name = "WHAT")]
    pub network: Network,

    /// Limits of one sandbox
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Engines elsewhere
    #[command(flatten)]
    pub engines: EngineArgs,
}

/// Sandboxes that are made before a job asks for them, of the kinds that were asked for lately. Each is given out once.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sandboxes made ahead")]
pub struct WarmArgs {
    /// Kept ready at most, by each driver; 0 keeps none
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub warm: u32,
    /// Memory that they may take together, by each driver [default: an eighth of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub warm_memory: Option<u64>,
    /// Kept ready for each that is expected to be asked for while one is made
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = parse_factor)]
    pub warm_factor: f64,
    /// What is not asked for again counts half after this time
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = parse_duration_ms)]
    pub warm_half_life: u64,
    /// Not given out any more after this time
    #[arg(long, default_value = "30m", value_name = "TIME", value_parser = parse_duration_ms)]
    pub warm_age: u64,
    /// Keep so many ready for jobs with this image at any time, whatever was asked for lately; `any` for jobs without one. WHERE: on
    /// this rung (container, gvisor, microvm), such as strangers' jobs have, or `engine`: with a Docker Engine of its own [default: the
    /// lowest that --rung allows]. May be repeated
    #[arg(long, value_name = "IMAGE=N[@WHERE]", value_parser = parse_warm_image)]
    pub warm_image: Vec<WarmImage>,
}

/// Sandboxes of one kind that are ready at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmImage {
    /// `None`: for jobs that name none.
    pub image: Option<String>,
    /// So many.
    pub count: u32,
    /// The lowest rung that they may have, where it is not the machine's own.
    pub rung: Option<Rung>,
    /// Each has a Docker Engine.
    pub engine: bool,
}

impl WarmImage {
    fn place(&self) -> Option<&'static str> {
        if self.engine { Some("engine") } else { self.rung.map(Rung::name) }
    }
}

impl fmt::Display for WarmImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.image.as_deref().unwrap_or("any"), self.count)?;
        self.place().map_or(Ok(()), |place| write!(f, "@{place}"))
    }
}

impl WarmArgs {
    /// # Errors
    /// What no driver would have room for, in words.
    pub fn check(&self) -> Result<(), String> {
        // What is on different rungs is kept by different drivers.
        let mut places: BTreeMap<_, u64> = BTreeMap::new();
        for flag in &self.warm_image {
            *places.entry(flag.rung).or_default() += u64::from(flag.count);
        }
        match places.into_values().find(|count| *count > u64::from(self.warm)) {
            Some(count) => Err(format!("--warm-image wants {count} sandboxes, and --warm keeps {} at most", self.warm)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_refused() {
        let check = |warm, flags: &[&str]| {
            let warm_image = flags.iter().map(|text| parse_warm_image(text).unwrap()).collect();
            let (warm_memory, warm_factor, warm_half_life, warm_age) = (None, 0.0, 1, 1);
            WarmArgs { warm, warm_memory, warm_factor, warm_half_life, warm_age, warm_image }.check()
        };
        assert_eq!(check(0, &[]), Ok(()));
        assert_eq!(check(3, &["a=1", "b=2", "a=2@microvm", "any=1@engine"]), Ok(()));
        let refused = |count| Err(format!("--warm-image wants {count} sandboxes, and --warm keeps 2 at most"));
        assert_eq!(check(2, &["a=1", "b=2"]), refused(3));
        assert_eq!(check(2, &["a=2@microvm", "any=2@engine"]), refused(4), "machines are one driver's");
    }
}
