//! The `cofferdam` binary: flags, output, wiring.
//!
//! Never: decides how a pipeline behaves (`pipeline` does), touches a sandbox (`agent` does), or prints what it has not
//! made safe for a terminal. Start reading at [`args`], then `commands/run.rs`.

#[macro_use]
mod output;

mod added;
mod args;
mod ask;
mod client;
mod commands;
mod credentials;
mod failure;
mod leftovers;
mod machine;
mod place;
mod pods;
mod shell;
mod show;
mod source;
mod standing;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, ColorWhen, Command};
use failure::{CommandFailure, Exit};
use show::Style;

fn main() -> ExitCode {
    // A conversion's child has no file system and few system calls: it never gets as far as the flags.
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == place::UNPACK_CHILD => image::unpack::child_main(words),
        // Nor does what evaluates a run.
        Some(word) if word == place::ENGINE => engine::child::main(words),
        _ => {}
    }
    let cli = Cli::parse();
    let style = Style { colors: colors(cli.color) };
    match dispatch(&cli, style) {
        // Whoever reads a file must not take half of an answer for the whole.
        Ok(Exit::Success) if output::failed() => ExitCode::from(Exit::Infrastructure as u8),
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            eprintln!("{}: {failure}", style.red("error"));
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(cli: &Cli, style: Style) -> Result<Exit, CommandFailure> {
    let home = cli.home.as_deref();
    match &cli.command {
        Command::Run(args) => block_on(commands::run::run(args, home, style)),
        Command::Lint(args) => commands::lint::run(args, style),
        Command::Steps(args) => commands::steps::run(args, style),
        Command::Plan(args) => block_on(commands::plan::run(args, home, style, false)),
        Command::Why(args) => match args.run {
            Some(run) => block_on(commands::remote::why(args, run)),
            None => block_on(commands::plan::run(&args.plan, home, style, true)),
        },
        Command::Server(args) => commands::server::serve(args, home),
        Command::Backup(args) => block_on(commands::server::backup(args, home)),
        Command::Restore(args) => block_on(commands::server::restore(args, home)),
        Command::Agent(args) => block_on(commands::server::agent(args, home)),
        Command::Dev(args) => block_on(commands::server::dev(args, home)),
        Command::Projects(command) => block_on(commands::remote::projects(command)),
        Command::Trigger(args) => block_on(commands::remote::trigger(args, style)),
        Command::Runs(args) => block_on(commands::runs::runs(args)),
        Command::Logs(args) => block_on(commands::remote::logs(args, style)),
        Command::Artifacts(args) => block_on(commands::artifacts::artifacts(args)),
        Command::Tests(command) => block_on(commands::test_results::tests(command)),
        Command::Cancel(args) => block_on(commands::remote::cancel(args)),
        Command::Rerun(args) => block_on(commands::remote::rerun(args, style)),
        Command::Approve(args) => block_on(commands::approve::run(args)),
        Command::Answer(args) => block_on(commands::remote::answer(args)),
        Command::Queue(args) => block_on(commands::remote::queue(args)),
        Command::Agents(command) => block_on(commands::remote::agents(command)),
        Command::People(command) => block_on(commands::people::people(command)),
        Command::Tokens(command) => block_on(commands::people::tokens(command)),
        Command::Audit(args) => block_on(commands::people::audit(args)),
        Command::Groovy(args) => commands::groovy::run(args, style),
        Command::Guest(command) => commands::guest::run(command, home),
        Command::Image(command) => block_on(commands::image::run(command, home)),
        Command::Doctor(args) => block_on(commands::doctor::run(args, home, style)),
        Command::Clean(args) => block_on(commands::clean::run(args, home)),
        Command::Completion { shell } => commands::manual::completion(*shell),
        Command::Man { dir } => commands::manual::man(dir.as_deref()),
        Command::Engine { .. } => {
            Err(CommandFailure::usage("`engine` evaluates a run for the program itself; it is not a command"))
        }
        Command::UnpackChild { .. } => {
            Err(CommandFailure::usage("`unpack-child` is a part of image conversion, not a command"))
        }
    }
}

fn block_on(work: impl Future<Output = Result<Exit, CommandFailure>>) -> Result<Exit, CommandFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::new(Exit::Infrastructure, format!("cannot start: {error}")))?;
    let result = runtime.block_on(work);
    // A thread that waits for the next key of a person cannot be interrupted, and must not be waited for.
    runtime.shutdown_background();
    result
}

fn colors(when: ColorWhen) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if set("NO_COLOR") => false,
        ColorWhen::Auto if set("CLICOLOR_FORCE") => true,
        ColorWhen::Auto if std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb") => false,
        ColorWhen::Auto => std::io::stdout().is_terminal(),
    }
}
