//! `cofferdam doctor`: what this host can do, each rung with the reason why not, and what to install.

use std::path::Path;

use sandbox::local::{Local, LocalConfig};
use sandbox::{Finding, Probe};

use crate::args::{DoctorArgs, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;
use crate::show::Style;

/// Prints the findings.
pub async fn run(args: &DoctorArgs, home: Option<&Path>, style: Style) -> Result<Exit, CommandFailure> {
    let probes = Local::probe(&LocalConfig::default());
    let network = place::egress().err();
    let obstacles = if network.is_none() { sandbox::net::obstacles() } else { Vec::new() };
    let store = place::open_store(home).err();
    let usable = probes.iter().any(Probe::usable);
    let hint = store.as_ref().and_then(image::ImageError::hint);
    let store = store.map(|error| agent::explain(&error));
    let monitor = args.monitor.find().map_err(CommandFailure::usage)?;
    let mut kernels = place::kernel_probes(&monitor, home).await;
    let elsewhere = args.engines.elsewhere().map_err(CommandFailure::usage)?;
    if let Some(elsewhere) = elsewhere {
        let asked = tokio::task::spawn_blocking(move || place::probe_elsewhere(&elsewhere)).await;
        kernels.extend(asked.ok());
    }
    match args.output {
        OutputFormat::Json => {
            let missing = ["machine"];
            println!(
                "{}",
                serde_json::json!({
                    "rungs": probes.iter().chain(&kernels).collect::<Vec<_>>(),
                    "rungs_without_driver": missing,
                    "network": { "usable": network.is_none(), "reason": network, "obstacles": obstacles },
                    "store": { "path": place::home(home), "usable": store.is_none(), "reason": store },
                })
            );
        }
        OutputFormat::Text => {
            for probe in probes.iter().chain(&kernels) {
                print(probe, style);
            }
            println!("{}", style.bold("network of sandboxes"));
            match &network {
                None => println!("  {} the internet, without private, link-local and host addresses", style.green("✔")),
                Some(reason) => println!("  {} none: {reason}; pipelines run without", style.yellow("!")),
            }
            for obstacle in &obstacles {
                println!("  {} {obstacle}", style.yellow("!"));
            }
            println!("{}", style.bold("image store"));
            match &store {
                None => println!("  {} {}", style.green("✔"), place::home(home).display()),
                Some(reason) => println!("  {} {reason}", style.red("✘")),
            }
            if let Some(hint) = hint {
                println!("      {}", style.dim(&hint));
            }
            println!("{}", style.bold("rung machine"));
            println!("  {} this version has no driver for it", style.dim("–"));
        }
    }
    Ok(if usable { Exit::Success } else { Exit::Infrastructure })
}

fn print(probe: &Probe, style: Style) {
    let verdict = if probe.usable() { style.green("can be used") } else { style.red("cannot be used") };
    println!("{} {verdict}", style.bold(&format!("rung {}, driver {}:", probe.rung.name(), probe.driver)));
    for check in &probe.checks {
        match &check.finding {
            Finding::Good(how) => println!("  {} {}: {how}", style.green("✔"), check.what),
            Finding::Reduced { reason, remedy } => {
                println!("  {} {}: {reason}", style.yellow("!"), check.what);
                println!("      {}", style.dim(remedy));
            }
            Finding::Missing { reason, remedy } => {
                println!("  {} {}: {reason}", style.red("✘"), check.what);
                println!("      {}", style.dim(remedy));
            }
        }
    }
}
