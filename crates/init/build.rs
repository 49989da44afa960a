//! Builds the library that makes up for a kernel's gap (`src/quirk.rs`): one that needs no other.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=preload/statx.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("statx.so");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let status = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"))
        .args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "statx", "--target", &target])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols"])
        .args(["-C", "link-args=-nostartfiles -nodefaultlibs"])
        .arg("preload/statx.rs")
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap_or_else(|error| panic!("cannot start rustc for the library: {error}"));
    assert!(status.success(), "the library does not build");
    println!("cargo::rustc-env=COFFERDAM_STATX={}", out.display());
}
