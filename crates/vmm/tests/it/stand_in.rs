//! A [`Server`] on a thread, with a socket of its own.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::facts::Facts;
use crate::server::{Log, Server};

pub struct StandIn {
    pub socket: PathBuf,
    log: Arc<Mutex<Log>>,
    thread: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl StandIn {
    pub fn start(facts: &Facts) -> StandIn {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let server = Server::new(facts, Box::new(|_, _| Ok(())));
        let log = server.log();
        let thread = std::thread::spawn(move || {
            // One client is enough; it goes, and so does this.
            if let Ok((stream, _)) = listener.accept() {
                server.serve(stream);
            }
        });
        StandIn { socket, log, thread, _folder: folder }
    }

    /// When its client is gone.
    pub fn finish(self) -> Log {
        self.thread.join().expect("a stand-in that does not panic");
        self.log.lock().expect("a log").clone()
    }
}
