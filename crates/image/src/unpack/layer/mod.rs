//! What a layer becomes: a tree in memory, built entry by entry. Pure: it never touches a file system, so nothing in an
//! archive can lead out of it.
//!
//! The rules, each with a test in `tests/it/unpack_hostile.rs`:
//! * Names are bytes. `..` and NUL are refused; a leading `/` is ignored; anything else that is a file name is one.
//! * A symbolic link on the way to an entry is resolved *in this tree*, as in a chroot: `..` stops at the root, absolute
//!   targets start there. Other container tools do the same on the host's file system; here there is none to fall out to.
//! * The last entry of a name wins. A directory that comes again keeps its content.
//! * A hard link names a file of this layer, or is refused.
//! * `.wh.NAME` hides `NAME` of the layers below, never of this one; `.wh..wh..opq` hides all that is below a directory.
//! * `/dev`, `/proc` and `/sys` are empty directories, whatever the archive says: the runtime mounts on them.
//! * Devices are left out, wherever they are. Set-id and sticky bits stay: `sudo` and `/tmp` need them, and every mount
//!   of a layer is `nosuid` and `nodev`.
//! * Attributes that the kernel or overlay give a meaning to are left out; `user.*` ones stay.

mod path;
mod tree;

pub use tree::{Content, Directory, Inode, InodeId, Kind, Layer, Meta, Place, ROOT, Xattrs};
