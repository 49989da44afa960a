//! The confined children of the layer converter as a program of their own: for the tests and benchmarks of this crate,
//! which have no `cofferdam` to start again.

fn main() {
    image::unpack::child_main(std::env::args_os().skip(1))
}
