//! Builds the launcher as a static program of its own, to be embedded, and compiles the list of system calls.
//!
//! The launcher cannot be an ordinary artifact of this workspace: it needs other flags (static, abort on panic, small) than the rest,
//! and a driver must not depend on a second file that somebody could replace.

#[path = "src/policy/lines.rs"]
mod lines;
#[path = "src/policy/seccomp.rs"]
mod seccomp;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that the launcher is made of, beside itself.
const SOURCES: [&str; 4] = ["launcher", "init", "wire", "model"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let crates = own.parent().expect("this crate lies in a folder with the others");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", crates.join(source).join("src").display());
        println!("cargo::rerun-if-changed={}", crates.join(source).join("Cargo.toml").display());
    }
    println!("cargo::rerun-if-changed={}", crates.join("init/preload").display());
    for own in ["build.rs", "src/policy", "data/seccomp.txt", "data/seccomp-nested.txt"] {
        println!("cargo::rerun-if-changed={own}");
    }
    for (name, nested) in [("seccomp.bpf", false), ("seccomp-nested.bpf", true)] {
        let filter = seccomp::compile(nested).unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(out.join(name), filter).expect("the folder of the build can be written to");
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let program = build(crates, &out, &target);
    println!("cargo::rustc-env=COFFERDAM_LAUNCHER={}", program.display());
}

fn build(crates: &Path, out: &Path, target: &str) -> PathBuf {
    let folder = out.join("launcher");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .current_dir(crates)
        .args(["build", "--package", "launcher", "--bin", "cofferdam-launcher", "--release"])
        .args(["--target", target])
        .arg("--target-dir")
        .arg(&folder)
        // Flags and wrappers of the outer build (lints, coverage, sanitizers) are not for this program.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    let status = cargo.status().unwrap_or_else(|error| panic!("cannot start cargo for the launcher: {error}"));
    assert!(status.success(), "the launcher does not build");
    folder.join(target).join("release").join("cofferdam-launcher")
}
