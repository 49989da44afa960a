//! `cofferdam clean`: what killed runs have left behind.

use std::path::Path;
use std::sync::Arc;

use sandbox::Driver;

use crate::args::{CleanArgs, Elsewhere, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::{leftovers, place};

/// Sweeps and prints what was removed.
pub async fn run(args: &CleanArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let drivers = place::drivers()?;
    let mut removed = Vec::new();
    let failed = |error: sandbox::DriverError| CommandFailure::new(Exit::Infrastructure, agent::explain(&error));
    // Not as for jobs: then what is removed would be told to the log.
    let elsewhere: Option<Arc<dyn Driver>> = match args.engines.elsewhere().map_err(CommandFailure::usage)? {
        Some(Elsewhere::Docker(config)) => Some(Arc::new(docker::Docker::open(config).await.map_err(failed)?)),
        Some(Elsewhere::Swarm(config)) => Some(Arc::new(docker::Swarm::open(config).await.map_err(failed)?)),
        None => None,
    };
    for driver in [&drivers.process, &drivers.container].into_iter().chain(&elsewhere) {
        removed.extend(driver.sweep().await.map_err(failed)?);
    }
    match sandbox::net::forwarding::put_back() {
        Ok(true) => removed.push("setting net.ipv4.ip_forward: switched off again".to_owned()),
        Ok(false) => {}
        Err(error) => {
            return Err(CommandFailure::new(Exit::Infrastructure, format!("cannot put ip_forward back: {error}")));
        }
    }
    // Opening the store repairs it. Where there is none, none is made.
    if place::home(home).exists() {
        place::store(home)?;
    }
    removed.extend(leftovers::sweep(home)?);
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::json!({ "removed": removed })),
        OutputFormat::Text if removed.is_empty() => println!("nothing was left behind"),
        OutputFormat::Text => removed.iter().for_each(|line| println!("{line}")),
    }
    Ok(Exit::Success)
}
