//! The process that evaluates one run: `cofferdam engine`.
//!
//! ```text
//!   keeper ──lines of wire::engine──▶ child ──▶ Session ──▶ pipeline::engine
//! ```
//!
//! Never: reads or writes anything but its standard streams, knows the time, starts anything. It raises walls around itself before it reads
//! a byte ([`child`]), for what it evaluates was written by strangers: a loop without end or a bomb of memory hurts this run only.
//!
//! Start reading at [`Session`].

pub mod child;
mod session;

pub use session::Session;
