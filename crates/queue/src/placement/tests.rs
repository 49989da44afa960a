//! Which driver a job gets, and why.

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
    let told = "the policy asks for rung gvisor; driver gvisor: runsc is not installed; rung microvm is the next above";
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
    assert_eq!(place(&Need { memory_bytes: 4 << 30, ..image(Rung::Container) }, &offers).unwrap().driver, "container");
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
