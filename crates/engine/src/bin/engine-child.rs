//! The process as a program of its own: for the tests of this crate, which have no `cofferdam` to start again.

fn main() {
    engine::child::main(std::env::args_os().skip(1))
}
