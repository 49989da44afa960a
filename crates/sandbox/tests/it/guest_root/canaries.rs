//! What stands on the host beside a machine: nobody touches it, and it is known whether somebody has.
//!
//! A sandbox, the launcher that made both, a file, sockets that somebody listens on (two of them by name, one of a network), and a key.

use std::fmt::Debug;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;

use sandbox::session::Session;
use sandbox::{Sandbox, SandboxSpec};

use super::stream_of;
use crate::place;

const CANARY: &str = "nobody touches this\n";
const KEY: &str = "cofferdam-canary";

// Operations of keyctl(2).
const JOIN_SESSION_KEYRING: i32 = 1;
const REVOKE: i32 = 3;
const DESCRIBE: i32 = 6;
const READ: i32 = 11;
/// The session's keyring.
const SESSION: i32 = -3;

pub(super) struct Host {
    pub(super) local: sandbox::local::Local,
    canary: Sandbox,
    session: Session,
    folder: tempfile::TempDir,
    listeners: Listeners,
    key: Option<Key>,
}

impl Host {
    pub(super) async fn new(local: sandbox::local::Local, key: Option<Key>) -> Option<Host> {
        let canary = local.container().create(SandboxSpec::image(vec![place::image_dir()?])).await.unwrap();
        let session = Session::start(stream_of(&canary)).await.unwrap();
        session.write_file(None, "/canary", CANARY.as_bytes(), 0o600).await.unwrap();
        // Its name says whose it is, for those who clear up after dead tests.
        let owner = format!("-{}", std::process::id());
        let folder = tempfile::Builder::new().prefix("host-").suffix(&owner).tempdir_in(place::base()).unwrap();
        std::fs::write(folder.path().join("file"), CANARY).unwrap();
        let listeners = Listeners::new(&folder);
        Some(Host { local, canary, session, folder, listeners, key })
    }

    /// Of what can be asked for by name: two sockets, a port, a file, a key.
    pub(super) fn names(&self) -> String {
        let Listeners { path, name, .. } = &self.listeners;
        let file = self.folder.path().join("file");
        format!("{} {name} {} {} {KEY}", path.display(), self.listeners.port(), file.display())
    }

    /// Of the host's loopback, on which somebody listens.
    pub(super) fn port(&self) -> u16 {
        self.listeners.port()
    }

    pub(super) async fn is_untouched(&self) {
        assert!(self.canary.end.borrow().is_none(), "the sandbox beside the machine has ended");
        assert_eq!(self.session.read_file(None, "/canary", 100).await.unwrap(), CANARY.as_bytes());
        assert_eq!(std::fs::read_to_string(self.folder.path().join("file")).unwrap(), CANARY);
        self.listeners.are_untouched();
        if let Some(key) = &self.key {
            key.is_untouched();
        }
    }

    pub(super) async fn end(self) {
        self.is_untouched().await;
        self.listeners.would_tell();
        if let Some(key) = self.key {
            key.would_tell();
        }
        self.local.container().destroy(self.canary.id).await.unwrap();
    }
}

struct Listeners {
    path: PathBuf,
    by_path: UnixListener,
    name: String,
    by_name: UnixListener,
    by_port: TcpListener,
}

impl Listeners {
    fn new(folder: &tempfile::TempDir) -> Listeners {
        let path = folder.path().join("socket");
        let name = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let by_path = UnixListener::bind(&path).unwrap();
        let by_name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let by_port = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Listeners { path, by_path, name, by_name, by_port }
    }

    fn port(&self) -> u16 {
        self.by_port.local_addr().unwrap().port()
    }

    /// Whoever came would still stand in the queue, gone or not.
    fn are_untouched(&self) {
        self.by_path.set_nonblocking(true).unwrap();
        self.by_name.set_nonblocking(true).unwrap();
        self.by_port.set_nonblocking(true).unwrap();
        check_alone("the host was found by its path", self.by_path.accept());
        check_alone("the host was found by its name", self.by_name.accept());
        check_alone("the host was found by its port", self.by_port.accept());
    }

    /// The control: somebody who comes is seen, even if only for a moment.
    fn would_tell(&self) {
        drop(UnixStream::connect(&self.path).unwrap());
        let name = SocketAddr::from_abstract_name(&self.name).unwrap();
        drop(UnixStream::connect_addr(&name).unwrap());
        let guest = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        let from = guest.local_addr().unwrap();
        drop(guest);
        self.by_path.accept().unwrap();
        self.by_name.accept().unwrap();
        self.by_port.set_nonblocking(false).unwrap();
        assert_eq!(self.by_port.accept().unwrap().1, from);
        // That was all.
        self.are_untouched();
    }
}

pub(super) fn check_alone<T: Debug>(how: &str, came: std::io::Result<T>) {
    assert!(matches!(&came, Err(error) if error.kind() == ErrorKind::WouldBlock), "{how}: {came:?}");
}

/// In the keyring of this session, which whatever is started from here on has too, until it takes another.
pub(super) struct Key {
    serial: libc::c_long,
    description: String,
}

impl Key {
    /// `None`: this kernel, or whoever has started this process, has no keys for it.
    pub(super) fn new() -> Option<Key> {
        // SAFETY: a null name asks for an anonymous keyring, for this thread.
        let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
        let name = std::ffi::CString::new(KEY).unwrap();
        let (content, bytes) = (CANARY.as_ptr(), CANARY.len());
        // SAFETY: two strings that end with a zero byte, and bytes with their number.
        let serial =
            unsafe { libc::syscall(libc::SYS_add_key, c"user".as_ptr(), name.as_ptr(), content, bytes, SESSION) };
        if joined < 0 || serial < 0 {
            println!("skipped: a key among the canaries: {}", std::io::Error::last_os_error());
            return None;
        }
        Some(Key { serial, description: about(serial, DESCRIBE).unwrap() })
    }

    fn is_untouched(&self) {
        assert_eq!(about(self.serial, READ).unwrap(), CANARY);
        assert_eq!(about(self.serial, DESCRIBE).unwrap(), self.description);
    }

    /// The control: it is the kernel's own that was read.
    fn would_tell(&self) {
        // SAFETY: a plain system call.
        assert_eq!(unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, self.serial) }, 0);
        assert_eq!(about(self.serial, READ).unwrap_err().raw_os_error(), Some(libc::EKEYREVOKED));
    }
}

/// What the kernel says of a key.
fn about(serial: libc::c_long, operation: i32) -> std::io::Result<String> {
    let mut text = [0_u8; 256];
    // SAFETY: the buffer is as long as it is said to be.
    let count = unsafe { libc::syscall(libc::SYS_keyctl, operation, serial, text.as_mut_ptr(), text.len()) };
    match usize::try_from(count) {
        Ok(count) => Ok(String::from_utf8_lossy(&text[..count.min(text.len())]).into_owned()),
        Err(_) => Err(std::io::Error::last_os_error()),
    }
}
