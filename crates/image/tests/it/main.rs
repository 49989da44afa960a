//! Images end to end: real registries where they are installed, and registries that die, lie and dawdle.

mod children;
mod concurrent;
mod credentials;
mod double;
mod full_disk;
mod hostile;
mod images;
mod import;
mod killed;
mod pull;
mod real_registry;
mod store;
mod unpack;
