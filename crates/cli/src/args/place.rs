//! How sandboxes are made, for whoever runs jobs: `run` and `agent`.

use clap::Args;

use super::parse::{parse_count, parse_duration_ms, parse_factor, parse_size};
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
    /// Expect so many jobs with this image at any time, whatever was asked for lately; may be repeated
    #[arg(long, value_name = "IMAGE=N", value_parser = parse_count)]
    pub warm_image: Vec<(String, u64)>,
}

impl WarmArgs {
    /// # Errors
    /// What would have no effect, in words.
    pub fn check(&self) -> Result<(), String> {
        let expected: u64 = self.warm_image.iter().map(|(_, count)| count).sum();
        match () {
            () if self.warm_image.is_empty() => Ok(()),
            () if self.warm_factor == 0.0 => Err("--warm-image has no effect with --warm-factor 0".to_owned()),
            () if expected > u64::from(self.warm) => {
                Err(format!("--warm-image expects {expected} sandboxes, and --warm keeps {} at most", self.warm))
            }
            () => Ok(()),
        }
    }
}
