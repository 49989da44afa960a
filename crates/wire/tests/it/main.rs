//! The init protocol as bytes: round trips, limits, and what hostile bytes do to a decoder.

mod hostile;
mod round_trip;
mod samples;
