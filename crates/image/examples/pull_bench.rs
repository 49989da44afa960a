//! Pull and unpack from a registry into a fresh store, several times: what `make bench` compares with `docker pull`.
//!
//! ```text
//! pull_bench REFERENCE [ROUNDS] [FOLDER]
//! ```
//!
//! Prints one JSON line per round: milliseconds, bytes received, bytes stored. The registry must be on loopback or reachable
//! as the reference says; mirrors come from `COFFERDAM_MIRRORS`. The store is made in FOLDER (default: the folder for
//! temporary files) and removed after every round.

use std::error::Error;
use std::ffi::OsString;
use std::time::Instant;

use image::registry::RegistryOptions;
use image::unpack::{Converter, child_main};
use image::{LayerForm, PullOptions, Store, StoreOptions};

/// Says that this process is a confined child of the converter.
const CHILD: &str = "--unpack-child";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let Some(first) = args.next() else { return Err("usage: pull_bench REFERENCE [ROUNDS] [FOLDER]".into()) };
    if first == CHILD {
        child_main(args);
    }
    let reference = first.to_str().ok_or("the reference is not UTF-8")?.parse()?;
    let rounds = args.next().map_or(Ok(5), |rounds| rounds.to_string_lossy().parse::<u32>())?;
    let folder = args.next().map_or_else(std::env::temp_dir, Into::into);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for _ in 0..rounds {
        let root = folder.join(format!("pull-bench-{}", std::process::id()));
        let mut options = StoreOptions::new(Converter::of_this_program([OsString::from(CHILD)])?);
        options.registry = RegistryOptions::from_env()?;
        options.layer_form = Some(LayerForm::Erofs);
        let began = Instant::now();
        let store = Store::open(&root, options)?;
        let pulled = runtime.block_on(store.pull(&reference, &PullOptions::default(), &()));
        let took = began.elapsed();
        let stored = store.used_bytes().unwrap_or_default();
        std::fs::remove_dir_all(&root)?;
        let image = pulled?;
        println!(
            r#"{{"what":"pull+unpack {}","unit":"ms","value":{:.1},"layers":{},"stored_bytes":{stored}}}"#,
            image.reference.familiar(),
            took.as_secs_f64() * 1000.0,
            image.layers.len()
        );
    }
    Ok(())
}
