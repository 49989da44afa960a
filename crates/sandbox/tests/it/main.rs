//! Tests of the drivers on a real kernel. Each skips, with the reason, what this host cannot do.

mod conformance;
mod engine_root;
mod escapes;
mod guest_root;
mod gvisor;
mod hang;
mod jail;
mod leftovers;
mod microvm;
mod monitors;
mod nested;
mod odd_images;
mod place;
mod pools;
mod shared_network;
mod unprivileged;
