//! `cofferdam clean`: what killed runs have left behind.

use std::path::Path;

use crate::args::{CleanArgs, OutputFormat};
use crate::failure::{CommandFailure, Exit};
use crate::place;

/// Sweeps and prints what was removed.
pub async fn run(args: &CleanArgs, home: Option<&Path>) -> Result<Exit, CommandFailure> {
    let drivers = place::drivers()?;
    let mut removed = Vec::new();
    let elsewhere = match args.engines.elsewhere().map_err(CommandFailure::usage)? {
        Some(elsewhere) => Some(
            place::open_elsewhere(elsewhere)
                .await
                .map_err(|trouble| CommandFailure::new(Exit::Infrastructure, trouble.0.message))?,
        ),
        None => None,
    };
    for driver in [&drivers.process, &drivers.container].into_iter().chain(&elsewhere) {
        let lines =
            driver.sweep().await.map_err(|error| CommandFailure::new(Exit::Infrastructure, agent::explain(&error)))?;
        removed.extend(lines);
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
    removed.extend(place::sweep_scratch(home)?);
    match args.output {
        OutputFormat::Json => println!("{}", serde_json::json!({ "removed": removed })),
        OutputFormat::Text if removed.is_empty() => println!("nothing was left behind"),
        OutputFormat::Text => removed.iter().for_each(|line| println!("{line}")),
    }
    Ok(Exit::Success)
}
