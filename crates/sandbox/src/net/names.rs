//! Name service for sandboxes: questions go to the host's own resolvers and answers come back, byte for byte. A name may
//! resolve to whatever it likes: what may be reached is decided by address, in the gateway.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// Questions under way at once; more are dropped, and asked again by whoever asked.
const MAX_QUESTIONS: usize = 256;
/// Largest question, and largest answer by UDP (EDNS).
const MAX_DATAGRAM_BYTES: usize = 4096;
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// A conversation by TCP may last this long.
const TALK_PATIENCE: Duration = Duration::from_secs(30);

/// Resolvers that a `resolv.conf` names.
pub(super) fn resolvers(resolv_conf: &str) -> Vec<SocketAddr> {
    let words = resolv_conf.lines().map(|line| line.split_ascii_whitespace());
    let addresses = words.filter_map(|mut words| match (words.next(), words.next()) {
        (Some("nameserver"), Some(address)) => address.parse::<IpAddr>().ok(),
        _ => None,
    });
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

/// Serves both sockets until the future is dropped.
pub(super) async fn forward(udp: UdpSocket, tcp: TcpListener, resolvers: Vec<SocketAddr>) {
    let resolvers: Arc<[SocketAddr]> = resolvers.into();
    tokio::join!(forward_udp(Arc::new(udp), Arc::clone(&resolvers)), forward_tcp(tcp, resolvers));
}

async fn forward_udp(socket: Arc<UdpSocket>, resolvers: Arc<[SocketAddr]>) {
    let room = Arc::new(Semaphore::new(MAX_QUESTIONS));
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    // Tasks end with this future, so that nothing outlives the network.
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        // An error is about one client (a port that was closed), never about the socket.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (question, socket, resolvers) = (buffer[..length].to_vec(), Arc::clone(&socket), Arc::clone(&resolvers));
        tasks.spawn(async move {
            let _place = place;
            if let Some(answer) = ask(&question, &resolvers).await {
                // The client may have gone.
                let _ = socket.send_to(&answer, client).await;
            }
        });
    }
}

/// Asks one resolver after the other.
async fn ask(question: &[u8], resolvers: &[SocketAddr]) -> Option<Vec<u8>> {
    for resolver in resolvers {
        if let Ok(Ok(answer)) = tokio::time::timeout(ANSWER_PATIENCE, ask_one(question, *resolver)).await {
            return Some(answer);
        }
    }
    None
}

/// A fresh socket, and with it a fresh port, for each question.
async fn ask_one(question: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let any: SocketAddr = if resolver.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    socket.send(question).await?;
    let mut answer = vec![0; MAX_DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The first two bytes tell which question it answers.
        if length >= 2 && question.len() >= 2 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn forward_tcp(listener: TcpListener, resolvers: Arc<[SocketAddr]>) {
    let room = Arc::new(Semaphore::new(MAX_QUESTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors: going on at once would only spin.
            tokio::task::yield_now().await;
            continue;
        };
        let resolvers = Arc::clone(&resolvers);
        tasks.spawn(async move {
            let _place = place;
            // Whatever went wrong, the connection is closed, which is all that the client needs to know.
            let _ = tokio::time::timeout(TALK_PATIENCE, talk(client, &resolvers)).await;
        });
    }
}

async fn talk(mut client: TcpStream, resolvers: &[SocketAddr]) -> io::Result<()> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for resolver in resolvers {
        match TcpStream::connect(resolver).await {
            Ok(mut upstream) => {
                let (mut from_client, mut to_client) = client.split();
                let (mut from_upstream, mut to_upstream) = upstream.split();
                let questions = copy(&mut from_client, &mut to_upstream);
                let answers = copy(&mut from_upstream, &mut to_client);
                return tokio::try_join!(questions, answers).map(drop);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    tokio::io::copy(from, to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_resolvers_of_a_host() {
        let text =
            "# comment\nsearch example.org\nnameserver 127.0.0.53\nnameserver fd00::1\nnameserver rubbish\noptions x\n";
        let found = super::resolvers(text);
        assert_eq!(found, ["127.0.0.53:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()]);
    }
}
