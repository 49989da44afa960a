//! Container images: what a name means, how its bytes are fetched and checked, and where the layers lie.
//!
//! A pull is: [`Reference`] → registry (or mirror) → manifest for our platform → config → layers. Every byte is checked
//! against the digest that named it while it streams; a layer is converted by a confined process ([`unpack`]) into one
//! read-only file (or, for an unprivileged user, one folder) and becomes visible under its diffID by one `rename`.
//!
//! Never: runs anything out of an image, joins a value of an image's config to a path of the host, trusts a size, name or
//! digest that a registry states, or keeps a credential on disk.
//!
//! Start reading at [`Store`].

pub mod auth;
pub mod config;
mod digest;
mod error;
mod import;
pub mod manifest;
mod platform;
pub mod progress;
mod pull;
mod reference;
pub mod registry;
pub mod store;
pub mod unpack;

pub use config::ImageConfig;
pub use digest::{Digest, DigestError};
pub use error::{ErrorKind, ImageError};
pub use platform::{Platform, PlatformError};
pub use progress::{Progress, PullEvent};
pub use reference::{Reference, ReferenceError};
pub use store::{
    ContentLayer, Contents, GcReport, Image, ImageSummary, Layer, LayerForm, LayerKind, PullOptions, Store,
    StoreOptions,
};
