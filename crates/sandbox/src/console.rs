//! [`Console`]: the last words of a program in a jail.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::CreateError;

/// Of the console, the last bytes are kept.
const CONSOLE_BYTES: usize = 4096;

/// What a program in a jail writes to its standard error, and a machine to its console: the last of it, for whoever has to explain
/// why a sandbox did not start.
pub(crate) struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    pub(crate) fn of(mut stream: UnixStream) -> Console {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let console = Console(Arc::clone(&kept));
        // Without a reader the monitor would wait for one.
        let reading = std::thread::Builder::new().name("console".into()).spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count) = stream.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(CONSOLE_BYTES);
                kept.drain(..surplus);
            }
        });
        if let Err(error) = reading {
            tracing::warn!(%error, "nobody reads a machine's console");
        }
        console
    }

    /// Adds the last line that is there to an error that only says that there is no machine.
    pub(crate) fn explain(&self, error: CreateError) -> CreateError {
        let CreateError::Unsupported { reason } = error else { return error };
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept).into_owned();
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        match last {
            Some(line) => CreateError::Unsupported { reason: format!("{reason}; its console says: {}", plain(line)) },
            None => CreateError::Unsupported { reason },
        }
    }
}
