//! Which driver makes a job's sandbox: the rung that is asked for at least, then what the job needs, then the cheapest that fits.

use std::fmt;

use model::docker_args::{ArgsError, DockerArgs, device_of_host};
use model::request::DockerSpec;
use model::rung::{Needs, Rung};

/// A driver of a host, as far as a choice needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub driver: &'static str,
    /// How strong its walls are.
    pub rung: Rung,
    /// It can give a job a Docker Engine of its own; or why not.
    pub engine: Result<(), String>,
    /// Its sandboxes can share a workspace, each beside the first; or why not.
    pub shares: Result<(), String>,
    /// It can connect its sandboxes to what a run may reach; or why not.
    pub network: Result<(), String>,
    /// Programs of its sandboxes can have namespaces of their own; or why not.
    pub nested: Result<(), String>,
    /// It can use the images of this host's store as they lie there; or why not.
    pub images: Result<(), String>,
    /// The most memory in bytes that one of its sandboxes can be promised; `None`: it promises none, its limits are only limits.
    pub memory_bytes: Option<u64>,
    /// The most layers that an image may have for it; `None`: any image will do.
    pub layers: Option<Layers>,
    /// Why it makes no sandboxes now, and what would change that.
    pub unusable: Option<String>,
    /// It was asked for by name, and makes none for this reason: a job that fits it is refused, for nothing else is quietly taken instead.
    pub refuses: Option<String>,
}

/// How many layers an image has, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// For a sandbox on the image: different ones that nothing above hides.
    pub seen: usize,
    /// For a Docker Engine, which stacks all of them.
    pub stacked: usize,
}

/// What a job needs of its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// It names an image. A job that does not runs with the host's tools, in the process rung; where more than a container is asked
    /// for, with those of a machine's Docker Engine.
    pub image: bool,
    /// The lowest rung that is allowed, and who says so.
    pub minimum: (Rung, String),
    /// The words of the pipeline that ask for a Docker Engine.
    pub engine: Option<String>,
    /// The words of the pipeline that have further sandboxes share its workspace. Two machines share none; containers of one machine's
    /// engine do.
    pub shares: Option<String>,
    /// It is to have a network.
    pub network: bool,
    /// Its programs are to make namespaces of their own.
    pub nested: bool,
    /// What it may use of memory, in bytes.
    pub memory_bytes: u64,
    /// What its image has of layers, where that is known: an image has to be in the store for it.
    pub layers: Option<Layers>,
    /// The words of the pipeline that ask for a device of a host. No driver gives any.
    pub device: Option<String>,
}

impl Need {
    /// The same for a job with an image, and its words for `docker run`, or why they cannot be honoured. Plans and runs both ask here,
    /// so that they say the same. Words that reach for a host ask for a machine's engine, which then reads all of them.
    pub fn with_docker(mut self, docker: &DockerSpec) -> (Need, Result<DockerArgs, ArgsError>) {
        let args = match DockerArgs::parse(&docker.args) {
            Err(ArgsError::NeedsRung { word, .. }) => {
                self.engine = Some(format!("docker args `{word}`"));
                Ok(DockerArgs::default())
            }
            parsed => parsed,
        };
        self.image = true;
        self.device = device_of_host(&docker.args);
        self.shares = self.shares.or_else(|| docker.workspace_of.map(|_| "the workspace of its node".to_owned()));
        // Words for a container of an engine take nothing from the machine around it, and that is what is placed.
        if let (Ok(args), None, None) = (&args, &self.engine, &self.shares) {
            self.network &= !args.no_network;
            self.memory_bytes = self.memory_bytes.min(args.memory.unwrap_or(u64::MAX));
        }
        (self, args)
    }
}

/// A choice. Prints as the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Index of the offer.
    pub offer: usize,
    /// Its name.
    pub driver: &'static str,
    /// Its rung.
    pub rung: Rung,
    /// It gets a Docker Engine of its own.
    pub engine: bool,
    /// Why this one, a clause each.
    pub because: Vec<String>,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.because.join("; "))
    }
}

/// No driver fits. Prints as what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reasons.join("; "))]
pub struct Refused {
    /// The lowest rung that would do.
    pub rung: Rung,
    /// What every driver of such a rung lacks, a clause each.
    pub reasons: Vec<String>,
}

/// What a host has to have for a job, as far as the job alone says that.
pub fn needs(need: &Need) -> Needs {
    let rung = lowest(need);
    Needs { engine: with_engine(need, rung), ..Needs::of_rung(rung) }
}

/// Chooses. Offers of one rung are taken in their order; a lower rung that is allowed is cheaper than a higher one.
///
/// # Errors
/// No offer fits; nothing weaker is taken instead.
pub fn place(need: &Need, offers: &[Offer]) -> Result<Placed, Refused> {
    let lowest = lowest(need);
    let mut fitting: Vec<_> = offers.iter().enumerate().filter(|(_, offer)| offer.rung >= lowest).collect();
    if lowest == Rung::Process {
        // The host's tools are in this rung only, and nothing asks for another.
        fitting.retain(|(_, offer)| offer.rung == Rung::Process);
    }
    fitting.sort_by_key(|(_, offer)| offer.rung);
    let mut reasons = Vec::new();
    for (index, offer) in fitting {
        match obstacle(need, offer) {
            None => {
                let mut because = because(need, lowest, offer, reasons);
                if let Some(reason) = &offer.refuses {
                    because.push(format!("driver {}: {reason}", offer.driver));
                    return Err(Refused { rung: offer.rung, reasons: because });
                }
                let engine = with_engine(need, offer.rung);
                return Ok(Placed { offer: index, driver: offer.driver, rung: offer.rung, engine, because });
            }
            Some(reason) => reasons.push(format!("driver {}: {reason}", offer.driver)),
        }
    }
    let asked = asked(need, lowest);
    let mut all = vec![match reasons.is_empty() {
        true => format!("{asked}, and this host has no driver of rung {} or above", lowest.name()),
        false => asked,
    }];
    all.extend(reasons);
    Err(Refused { rung: lowest, reasons: all })
}

/// What speaks against each other driver, in the order of the offers.
pub fn others(need: &Need, offers: &[Offer], placed: Option<&Placed>) -> Vec<(&'static str, String)> {
    let lowest = lowest(need);
    let against = |offer: &Offer| match () {
        () if offer.rung < lowest => format!("rung {} is below {}", offer.rung.name(), lowest.name()),
        () if lowest == Rung::Process && offer.rung > lowest => "the job names no image".to_owned(),
        () => obstacle(need, offer).or_else(|| offer.refuses.clone()).unwrap_or_else(|| match placed {
            Some(placed) if placed.rung < offer.rung => format!("rung {} is enough, and cheaper", placed.rung.name()),
            Some(_) => "another of its rung stands before it".to_owned(),
            None => "another was asked for, and nothing is taken instead".to_owned(),
        }),
    };
    let chosen = placed.map(|placed| placed.offer);
    let rest = offers.iter().enumerate().filter(|(index, _)| Some(*index) != chosen);
    rest.map(|(_, offer)| (offer.driver, against(offer))).collect()
}

fn lowest(need: &Need) -> Rung {
    let of_kind = match (need.image, need.minimum.0) {
        (true, minimum) => Rung::Container.max(minimum),
        (false, minimum) if minimum > Rung::Container => Rung::Microvm.max(minimum),
        (false, _) => Rung::Process,
    };
    if need.engine.is_some() { of_kind.max(Rung::Microvm) } else { of_kind }
}

/// Whether it gets an engine on a driver of such a rung.
fn with_engine(need: &Need, rung: Rung) -> bool {
    need.engine.is_some() || rung >= Rung::Microvm && (need.shares.is_some() || !need.image)
}

fn obstacle(need: &Need, offer: &Offer) -> Option<String> {
    let engine = offer.engine.as_ref().err().filter(|_| with_engine(need, offer.rung));
    let shares = || offer.shares.as_ref().err().filter(|_| need.shares.is_some()).cloned();
    let network = || offer.network.as_ref().err().filter(|_| need.network).cloned();
    let nested = || offer.nested.as_ref().err().filter(|_| need.nested && need.image).cloned();
    let images = || offer.images.as_ref().err().filter(|_| need.image).cloned();
    let memory = || {
        let most = offer.memory_bytes.filter(|most| *most < need.memory_bytes)?;
        let [wants, most] = [need.memory_bytes, most].map(|bytes| bytes >> 20);
        Some(format!("the job may use {wants} MiB of memory, and this host has {most} MiB for one of its sandboxes"))
    };
    let layers = || match pulled_inside(need, offer) {
        Some(_) if need.network => None,
        Some(why) => Some(format!("{why}, and without a network it pulls none")),
        None if with_engine(need, offer.rung) => None,
        None => {
            let (has, room) = (need.layers?.seen, offer.layers?.seen);
            (has > room).then(|| format!("the image has {has} layers, and one of its sandboxes has room for {room}"))
        }
    };
    let device =
        || need.device.as_ref().map(|words| format!("{words} asks for a device, and it gives none of its host"));
    let first = offer.unusable.as_ref().or(engine).cloned().or_else(shares).or_else(network).or_else(nested);
    first.or_else(images).or_else(layers).or_else(memory).or_else(device)
}

/// Why an engine is not given the job's image from the host's store, and has to pull it.
fn pulled_inside(need: &Need, offer: &Offer) -> Option<String> {
    let (has, room) = (need.layers?.stacked, offer.layers?.stacked);
    let is_given = !with_engine(need, offer.rung) || has <= room;
    (!is_given).then(|| format!("the image has {has} layers, and a machine gives its Docker Engine {room} at most"))
}

/// What asks for the lowest rung.
fn asked(need: &Need, lowest: Rung) -> String {
    match &need.engine {
        Some(words) => format!("{words} needs a Docker Engine of the job's own, which takes rung {}", lowest.name()),
        None if !need.image && lowest > Rung::Process => {
            let (rung, who) = (need.minimum.0.name(), &need.minimum.1);
            format!(
                "{who} asks for rung {rung}, where a job without an image has the tools of a machine's Docker Engine"
            )
        }
        None if !need.image => "it names no image, so it runs with the host's tools".to_owned(),
        None if need.minimum.0 > Rung::Container => format!("{} asks for rung {}", need.minimum.1, lowest.name()),
        None => "it names an image".to_owned(),
    }
}

fn because(need: &Need, lowest: Rung, offer: &Offer, passed: Vec<String>) -> Vec<String> {
    let mut because = vec![asked(need, lowest)];
    because.extend(passed);
    if offer.rung > lowest {
        because.push(format!("rung {} is the next above", offer.rung.name()));
    }
    if let Some(words) = need.shares.as_ref().filter(|_| need.engine.is_none() && offer.rung >= Rung::Microvm) {
        because.push(format!("{words} shares its workspace, so both are containers of the machine's Docker Engine"));
    }
    because.extend(pulled_inside(need, offer).map(|why| format!("{why}, so the engine pulls it itself")));
    because
}

#[cfg(test)]
mod tests;
