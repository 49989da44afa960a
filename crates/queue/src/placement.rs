//! Which driver makes a job's sandbox: the rung that is asked for at least, then what the job needs, then the cheapest that fits.

use std::fmt;

use model::docker_args::{ArgsError, DockerArgs, device_of_host};
use model::request::DockerSpec;
use model::rung::Rung;

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
mod tests {
    use super::*;

    fn offer(driver: &'static str, rung: Rung) -> Offer {
        let engine = if rung == Rung::Microvm { Ok(()) } else { Err("has none".to_owned()) };
        let shares = if driver == "docker" { Err("its containers share no workspace".to_owned()) } else { Ok(()) };
        let all = Ok(());
        let (network, nested, images) = (all.clone(), all.clone(), all);
        let (unusable, refuses, memory_bytes, layers) = (None, None, None, None);
        Offer { driver, rung, engine, shares, network, nested, images, memory_bytes, layers, unusable, refuses }
    }

    fn offers() -> Vec<Offer> {
        vec![
            offer("microvm", Rung::Microvm),
            offer("container", Rung::Container),
            offer("docker", Rung::Container),
            offer("gvisor", Rung::Gvisor),
            offer("process", Rung::Process),
        ]
    }

    fn image(minimum: Rung) -> Need {
        Need {
            image: true,
            minimum: (minimum, "the policy".to_owned()),
            engine: None,
            shares: None,
            network: true,
            nested: false,
            memory_bytes: 2 << 30,
            layers: None,
            device: None,
        }
    }

    #[test]
    fn the_cheapest_rung_that_is_allowed_is_taken() {
        let chosen = |need: &Need| place(need, &offers()).unwrap().driver;
        assert_eq!(chosen(&image(Rung::Process)), "container");
        assert_eq!(chosen(&image(Rung::Container)), "container");
        assert_eq!(chosen(&image(Rung::Gvisor)), "gvisor");
        assert_eq!(chosen(&image(Rung::Microvm)), "microvm");
        assert_eq!(chosen(&Need { image: false, ..image(Rung::Container) }), "process");
    }

    #[test]
    fn an_engine_takes_a_machine_with_and_without_an_image() {
        let need = Need { engine: Some("`docker build` (line 3)".to_owned()), ..image(Rung::Container) };
        let placed = place(&need, &offers()).unwrap();
        assert_eq!(placed.driver, "microvm");
        assert_eq!(
            placed.to_string(),
            "`docker build` (line 3) needs a Docker Engine of the job's own, which takes rung microvm"
        );
        assert_eq!(place(&Need { image: false, ..need }, &offers()).unwrap().driver, "microvm");
    }

    #[test]
    fn what_cannot_connect_or_nest_is_passed_by() {
        let mut offers = offers();
        let lacks = |offer: &mut Offer| {
            offer.network = Err("no network was named".to_owned());
            offer.nested = Err("it nests nothing".to_owned());
        };
        offers.iter_mut().filter(|offer| ["container", "gvisor"].contains(&offer.driver)).for_each(lacks);
        let chosen = |need: &Need| place(need, &offers).unwrap().driver;
        let alone = Need { network: false, ..image(Rung::Container) };
        assert_eq!(chosen(&alone), "container");
        assert_eq!(chosen(&image(Rung::Container)), "docker");
        assert_eq!(chosen(&Need { nested: true, ..alone }), "docker");
        let nested = Need { nested: true, network: false, ..image(Rung::Gvisor) };
        let placed = place(&nested, &offers).unwrap();
        assert!(placed.driver == "microvm" && placed.to_string().contains("it nests nothing"), "{placed}");
    }

    #[test]
    fn what_is_unusable_is_passed_by_upwards_only_and_told() {
        let mut offers = offers();
        offers[3].unusable = Some("runsc is not installed".to_owned());
        let placed = place(&image(Rung::Gvisor), &offers).unwrap();
        assert_eq!((placed.driver, placed.rung), ("microvm", Rung::Microvm));
        let told =
            "the policy asks for rung gvisor; driver gvisor: runsc is not installed; rung microvm is the next above";
        assert_eq!(placed.to_string(), told);
    }

    #[test]
    fn nothing_weaker_is_taken_instead() {
        let mut offers = offers();
        offers[0].unusable = Some("there is no guest".to_owned());
        let refused = place(&image(Rung::Microvm), &offers).unwrap_err();
        assert_eq!(refused.rung, Rung::Microvm);
        assert_eq!(refused.to_string(), "the policy asks for rung microvm; driver microvm: there is no guest");
        let refused = place(&image(Rung::Machine), &offers).unwrap_err();
        assert!(refused.to_string().ends_with("no driver of rung machine or above"), "{refused}");
        // A host without a process driver runs no host's tools elsewhere.
        let refused = place(&Need { image: false, ..image(Rung::Container) }, &offers[..1]);
        assert!(refused.is_err());
    }

    #[test]
    fn leaving_the_image_out_lowers_nothing() {
        for minimum in [Rung::Gvisor, Rung::Microvm] {
            let need = Need { image: false, ..image(minimum) };
            let placed = place(&need, &offers()).unwrap();
            assert_eq!((placed.driver, placed.engine), ("microvm", true));
            let told = "where a job without an image has the tools of a machine's Docker Engine";
            assert!(placed.to_string().contains(told), "{placed}");
            let mut offers = offers();
            offers[0].engine = Err("there is none".to_owned());
            assert!(place(&need, &offers).unwrap_err().to_string().ends_with("driver microvm: there is none"));
        }
    }

    #[test]
    fn a_shared_workspace_takes_an_engine_on_a_machine_and_nowhere_else() {
        let need = |minimum| Need { shares: Some("`inside`".to_owned()), ..image(minimum) };
        let placed = |minimum, offers: &[Offer]| place(&need(minimum), offers).unwrap();
        assert!(!placed(Rung::Container, &offers()).engine && !placed(Rung::Gvisor, &offers()).engine);
        let on_machine = placed(Rung::Microvm, &offers());
        assert!(on_machine.engine && on_machine.to_string().ends_with("containers of the machine's Docker Engine"));
        // Nor where a machine is only the next above.
        let mut offers = offers();
        offers[3].unusable = Some("runsc is not installed".to_owned());
        assert!(placed(Rung::Gvisor, &offers).engine);
    }

    #[test]
    fn a_shared_workspace_keeps_away_from_an_engine_elsewhere() {
        let offers = [offer("docker", Rung::Container), offer("container", Rung::Container)];
        let need = Need { shares: Some("`inside`".to_owned()), ..image(Rung::Container) };
        let placed = place(&need, &offers).unwrap();
        assert_eq!(placed.driver, "container");
        assert!(placed.to_string().contains("driver docker: its containers share no workspace"), "{placed}");
        assert!(place(&need, &offers[..1]).is_err());
    }

    #[test]
    fn images_that_a_driver_cannot_use_are_no_images() {
        let mut offers = offers();
        offers[0].images = Err("layers are folders here".to_owned());
        let refused = place(&image(Rung::Microvm), &offers).unwrap_err().to_string();
        assert!(refused.ends_with("driver microvm: layers are folders here"), "{refused}");
        assert!(place(&Need { image: false, ..image(Rung::Microvm) }, &offers).is_ok());
    }

    #[test]
    fn memory_that_is_not_there_is_not_promised() {
        let mut offers = offers();
        offers[0].memory_bytes = Some(2 << 30);
        assert_eq!(place(&image(Rung::Microvm), &offers).unwrap().driver, "microvm");
        let large = Need { memory_bytes: 4 << 30, ..image(Rung::Microvm) };
        let refused = place(&large, &offers).unwrap_err().to_string();
        let told =
            "driver microvm: the job may use 4096 MiB of memory, and this host has 2048 MiB for one of its sandboxes";
        assert!(refused.ends_with(told), "{refused}");
        // Where it is only a limit, it may be larger than the host.
        assert_eq!(
            place(&Need { memory_bytes: 4 << 30, ..image(Rung::Container) }, &offers).unwrap().driver,
            "container"
        );
    }

    #[test]
    fn an_image_has_no_more_layers_than_there_is_room_for() {
        let mut offers = offers();
        offers[0].layers = Some(Layers { seen: 19, stacked: 18 });
        offers[3].unusable = Some("runsc is not installed".to_owned());
        let need = |minimum, layers| Need { layers: Some(Layers { seen: layers, stacked: layers }), ..image(minimum) };
        let said = |need: &Need| {
            place(need, &offers).map_or_else(|refused| format!("refused: {refused}"), |placed| placed.to_string())
        };
        assert_eq!(said(&need(Rung::Container, 40)), "it names an image");
        assert_eq!(said(&need(Rung::Microvm, 19)), "the policy asks for rung microvm");
        let told = "driver gvisor: runsc is not installed; driver microvm: the image has 20 layers, and one of its sandboxes has room for 19";
        assert_eq!(said(&need(Rung::Gvisor, 20)), format!("refused: the policy asks for rung gvisor; {told}"));
        // What lies in it twice, or hidden, counts for an engine only.
        let hidden = Some(Layers { seen: 1, stacked: 40 });
        assert_eq!(said(&Need { layers: hidden, ..need(Rung::Microvm, 0) }), "the policy asks for rung microvm");
        let engine = |layers| Need { engine: Some("`docker.build`".to_owned()), ..need(Rung::Container, layers) };
        assert!(said(&engine(18)).ends_with("takes rung microvm"));
        assert!(said(&engine(19)).ends_with("gives its Docker Engine 18 at most, so the engine pulls it itself"));
        let alone = said(&Need { network: false, ..engine(19) });
        assert!(alone.starts_with("refused: ") && alone.ends_with("and without a network it pulls none"), "{alone}");
    }

    #[test]
    fn words_for_docker_run_are_read_once_for_all() {
        let docker = |args: &str| DockerSpec { args: args.to_owned(), ..DockerSpec::default() };
        let (need, args) = image(Rung::Container).with_docker(&docker("--memory 512m --network none"));
        assert_eq!((need.memory_bytes, need.network, args.unwrap().memory), (512 << 20, false, Some(512 << 20)));
        let (need, _) = image(Rung::Container).with_docker(&docker("--memory 4g"));
        assert_eq!((need.memory_bytes, need.network), (2 << 30, true), "no limit is raised");
        let (need, args) = image(Rung::Container).with_docker(&docker("--privileged --memory 512m --network none"));
        assert_eq!(need.engine.as_deref(), Some("docker args `--privileged`"));
        // Those are the container's, not its machine's.
        assert_eq!((need.memory_bytes, need.network, args), (2 << 30, true, Ok(DockerArgs::default())));
        assert!(image(Rung::Container).with_docker(&docker("--gpus all")).0.device.unwrap().contains("--gpus"));
        assert!(image(Rung::Container).with_docker(&docker("--memory much")).1.is_err());
    }

    #[test]
    fn a_driver_that_was_asked_for_and_refuses_is_not_passed_by() {
        let mut offers = vec![offer("docker", Rung::Container), offer("container", Rung::Container)];
        offers[0].refuses = Some("it is this machine's".to_owned());
        let need = image(Rung::Container);
        let refused = place(&need, &offers).unwrap_err().to_string();
        assert_eq!(refused, "it names an image; driver docker: it is this machine's");
        let told = ["it is this machine's", "another was asked for, and nothing is taken instead"];
        assert_eq!(others(&need, &offers, None).into_iter().map(|(_, why)| why).collect::<Vec<_>>(), told);
        // Jobs that it is not for have a place as ever.
        let need = Need { shares: Some("`inside`".to_owned()), ..need };
        assert_eq!(place(&need, &offers).unwrap().driver, "container");
    }

    #[test]
    fn a_device_of_a_host_is_refused_before_anything_is_made() {
        let words = Some("docker args `--gpus all`".to_owned());
        let need = Need { engine: words.clone(), device: words, ..image(Rung::Container) };
        let refused = place(&need, &offers()).unwrap_err().to_string();
        let told = "driver microvm: docker args `--gpus all` asks for a device, and it gives none of its host";
        assert!(refused.ends_with(told), "{refused}");
    }

    #[test]
    fn every_other_driver_has_something_against_it() {
        let mut offers = offers();
        offers[3].unusable = Some("runsc is not installed".to_owned());
        let need = image(Rung::Container);
        let placed = place(&need, &offers).unwrap();
        let others = others(&need, &offers, Some(&placed));
        let told = [
            ("microvm", "rung container is enough, and cheaper"),
            ("docker", "another of its rung stands before it"),
            ("gvisor", "runsc is not installed"),
            ("process", "rung process is below container"),
        ];
        assert_eq!(others, told.map(|(driver, why)| (driver, why.to_owned())));
    }

    #[test]
    fn the_first_of_one_rung_is_taken() {
        let offers = vec![offer("docker", Rung::Container), offer("container", Rung::Container)];
        assert_eq!(place(&image(Rung::Container), &offers).unwrap().driver, "docker");
    }
}
