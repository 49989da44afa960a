//! The server's own TLS, where it is given a certificate. Without one it speaks plain HTTP, for a proxy in front of it.
//!
//! The files are read again while it runs, so that a renewed certificate counts without a restart.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig as Config;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How long a client may take to say who it wants to speak to.
const GREETING: Duration = Duration::from_secs(10);
/// Clients that are greeted at once; more wait to be accepted.
const MOST_GREETED: usize = 512;
/// After an error that is nobody's, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What a server shows to those who speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its certificate and those that lead from it to an authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    fn read(&self) -> Result<Arc<Config>, String> {
        let of = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| of(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(of(&self.certificate, &"there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| of(&self.key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = Config::builder_with_provider(provider).with_safe_default_protocol_versions();
        let made = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
        let mut config = made.map_err(|error| of(&self.certificate, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Connections that were greeted. Accepting goes on while one is slow.
pub(crate) struct Secured {
    greeted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

/// Greets who comes to a listener.
///
/// # Errors
/// In words: a file is missing or wrong.
pub(crate) fn secure(listener: TcpListener, files: TlsFiles) -> Result<Secured, String> {
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (configs, config) = watch::channel(files.read()?);
    tokio::spawn(keep_reading(files, configs));
    let (sender, greeted) = mpsc::channel(1);
    tokio::spawn(accept_all(listener, config, sender));
    Ok(Secured { greeted, address })
}

async fn keep_reading(files: TlsFiles, configs: watch::Sender<Arc<Config>>) {
    let mut said = None;
    while !configs.is_closed() {
        tokio::time::sleep(LOOK).await;
        let again = files.clone();
        match tokio::task::spawn_blocking(move || again.read()).await {
            Ok(Ok(config)) => drop(configs.send_replace(config)),
            // Half a renewal; the one of before is good until it is not.
            Ok(Err(error)) if said.as_ref() != Some(&error) => {
                tracing::warn!("the certificate is not read again: {error}");
                said = Some(error);
            }
            _ => {}
        }
    }
}

/// What is said is waited for: none of it waits until what was said before is acknowledged (Nagle's algorithm).
pub(crate) fn without_delay(stream: &TcpStream) {
    // It is slower otherwise, and no worse.
    let _ = stream.set_nodelay(true);
}

async fn accept_all(
    listener: TcpListener,
    config: watch::Receiver<Arc<Config>>,
    greeted: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(MOST_GREETED));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (stream, peer) = tokio::select! {
            () = greeted.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        without_delay(&stream);
        let (acceptor, greeted) = (TlsAcceptor::from(Arc::clone(&config.borrow())), greeted.clone());
        tokio::spawn(async move {
            // Whoever does not speak TLS has no need of an answer.
            if let Ok(Ok(stream)) = tokio::time::timeout(GREETING, acceptor.accept(stream)).await {
                let _ = greeted.send((stream, peer)).await;
            }
            drop(place);
        });
    }
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.greeted.recv().await {
            Some(greeted) => greeted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
