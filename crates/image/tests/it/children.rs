//! Pulls in processes of their own: this test binary, started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use image::{PullOptions, Store};

use crate::images::options;

const ROOT: &str = "COFFERDAM_TEST_CHILD_ROOT";
const NAME: &str = "COFFERDAM_TEST_CHILD_NAME";

/// Not a test but what a child does. Without an order it has nothing to do.
#[tokio::test]
async fn child_pulls() {
    let (Ok(root), Ok(name)) = (std::env::var(ROOT), std::env::var(NAME)) else { return };
    let store = Store::open(root, options()).unwrap();
    match store.pull(&name.parse().unwrap(), &PullOptions::default(), &()).await {
        Ok(image) => println!("pulled {}", image.digest),
        Err(error) => {
            eprintln!("{:?}: {error}", error.kind());
            std::process::exit(3);
        }
    }
}

/// The command line of a child, for those who must wrap it.
pub fn command(program: &[&str], root: &Path, name: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words = program.iter().map(|word| (*word).to_owned()).chain([own.display().to_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "children::child_pulls", "--nocapture"]);
    command.env(ROOT, root).env(NAME, name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a child that pulls `name` into the store at `root`.
pub fn start(root: &Path, name: &str) -> Child {
    command(&[], root, name).spawn().unwrap()
}
