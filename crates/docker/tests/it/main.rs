//! The drivers on engines of the tests' own, which nobody else sees. See `place`.

mod conformance;
mod leftovers;
mod making;
mod measure;
mod place;
mod tls;
