//! What stands between a client and a service, and spoils some of their connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is closed at once.
    CutAtOnce,
    /// It is closed after so many bytes to the service, or from it.
    CutAfter { up: u64, down: u64 },
    /// This status and body are all that comes, and it is closed.
    Answer(&'static str, &'static str),
    /// Nothing ever comes.
    Silent,
    /// Everything comes so much later.
    Slow(Duration),
}

pub struct Between {
    pub address: SocketAddr,
    faults: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Between {
    /// Spoils connections so many times, and then no more.
    pub async fn start(service: SocketAddr, fault: Fault, times: usize) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, faults) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&faults);
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let fault = Some(fault).filter(|_| counted.load(Ordering::SeqCst) < times);
                    carry(client, service, fault, &counted).await;
                });
            }
        });
        Between { address, faults, task }
    }

    /// How many connections were spoilt.
    pub fn faults(&self) -> usize {
        self.faults.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: TcpStream, service: SocketAddr, fault: Option<Fault>, counted: &AtomicUsize) {
    let count = || counted.fetch_add(1, Ordering::SeqCst);
    let (mut up, mut down, mut pause) = (u64::MAX, u64::MAX, Duration::ZERO);
    match fault {
        None => {}
        Some(Fault::CutAtOnce) => {
            count();
            return;
        }
        Some(Fault::Answer(status, body)) => {
            count();
            // All of what is asked, so that the answer is read.
            let mut buffer = vec![0; 64 << 10];
            let _ = client.read(&mut buffer).await;
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = client.write_all(answer.as_bytes()).await;
            let _ = client.shutdown().await;
            while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            return;
        }
        Some(Fault::Silent) => {
            count();
            let mut buffer = vec![0; 64 << 10];
            while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            return;
        }
        Some(Fault::CutAfter { up: most_up, down: most_down }) => (up, down) = (most_up, most_down),
        Some(Fault::Slow(by)) => pause = by,
    }
    let Ok(mut service) = TcpStream::connect(service).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_service, mut to_service) = service.split();
    let was_cut = tokio::select! {
        cut = copy(&mut from_client, &mut to_service, up, Duration::ZERO) => cut,
        cut = copy(&mut from_service, &mut to_client, down, pause) => cut,
    };
    if was_cut {
        count();
    }
}

/// Until it ends, or so much has passed: then true.
async fn copy(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    most: u64,
    pause: Duration,
) -> bool {
    let (mut passed, mut buffer) = (0_u64, vec![0; 64 << 10]);
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return false };
        if read == 0 {
            return false;
        }
        if !pause.is_zero() && passed == 0 {
            tokio::time::sleep(pause).await;
        }
        passed += read as u64;
        if passed > most {
            return true;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return false;
        }
    }
}
