//! Builds the stub that a Swarm's task starts as: a program without any library, small enough for a config object.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=stub/receive.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("receive");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let status = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"))
        .args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "receive", "--target", &target])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "strip=symbols", "-C", "relocation-model=static"])
        .args(["-C", "link-args=-nostartfiles -nodefaultlibs -static"])
        .arg("stub/receive.rs")
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap_or_else(|error| panic!("cannot start rustc for the stub: {error}"));
    assert!(status.success(), "the stub does not build");
    println!("cargo::rustc-env=COFFERDAM_RECEIVE={}", out.display());
}
