//! image

pub mod unpack;
