//! `cofferdam completion` and `cofferdam man`: both are made from the flags themselves.

use std::path::Path;

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::failure::{CommandFailure, Exit};

/// Prints a completion script.
pub fn completion(shell: clap_complete::Shell) -> Result<Exit, CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cofferdam", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}

/// Prints the page of `cofferdam`, or writes all pages into a folder.
pub fn man(dir: Option<&Path>) -> Result<Exit, CommandFailure> {
    let command = Cli::command();
    match dir {
        None => {
            let page = clap_mangen::Man::new(command);
            let mut text = Vec::new();
            page.render(&mut text).map_err(|e| CommandFailure::io("write", Path::new("the page"), &e))?;
            print!("{}", String::from_utf8_lossy(&text));
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| CommandFailure::io("make", dir, &e))?;
            clap_mangen::generate_to(command, dir).map_err(|e| CommandFailure::io("write into", dir, &e))?;
        }
    }
    Ok(Exit::Success)
}
