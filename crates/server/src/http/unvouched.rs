//! Bodies of webhooks that nobody has vouched for yet. Whoever knows an address can send them: so there is room for so many bytes of them, and
//! each has its part of that until its signature was checked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::error::Refused;

/// The largest webhook, in bytes: what GitHub sends at most.
const MAX_BYTES: usize = 25 << 20;
/// No larger are most. They have room of their own, which no large one takes from them.
const SMALL_BYTES: usize = 256 << 10;
/// How long one may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one waits for room: forges wait ten seconds for an answer.
const TURN: Duration = Duration::from_secs(5);
/// How fast one has to come, in bytes a second, once its first seconds are over: whoever has nothing to say is in nobody's way.
const LEAST_RATE: (u64, Duration) = (512 << 10, Duration::from_secs(2));
/// In which room is counted, in bytes.
const UNIT: usize = 16 << 10;

/// Room for bodies.
pub(crate) struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A body, which has its room as long as it is here.
pub(super) struct Unvouched {
    pub(super) bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Room {
    /// For so many bytes, a quarter of which is for small ones; for one of each kind at least.
    pub(crate) fn of(bytes: usize) -> Room {
        let small = (bytes / 4).max(SMALL_BYTES);
        let large = bytes.saturating_sub(small).max(MAX_BYTES);
        Room { small: Arc::new(Semaphore::new(units(small))), large: Arc::new(Semaphore::new(units(large))) }
    }

    /// All of a body.
    ///
    /// # Errors
    /// It is too long, or does not come, or there is no room for it: then nothing of it is read.
    pub(super) async fn whole(&self, body: Body) -> Result<Unvouched, Refused> {
        let length = body.size_hint().upper().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let pieces = Pieces::of(body);
        let read = async {
            match length {
                // One that does not say how long it is is small until it is not.
                None | Some(0..=SMALL_BYTES) => self.small(pieces).await,
                Some(length) if length > MAX_BYTES => Err(unfit()),
                Some(length) => self.large(pieces, Vec::new(), length).await,
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(unfit()))
    }

    /// A small one takes what it needs as it comes: who sends little of it has little.
    async fn small(&self, mut pieces: Pieces) -> Result<Unvouched, Refused> {
        let mut room = turn(&self.small, 1).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next(bytes.len()).await? {
            if bytes.len() + piece.len() > SMALL_BYTES {
                bytes.extend_from_slice(&piece);
                return self.large(pieces, bytes, MAX_BYTES).await;
            }
            let more = units(bytes.len() + piece.len()).saturating_sub(room.num_permits());
            if more > 0 {
                room.merge(turn(&self.small, more).await?);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Unvouched { bytes, _room: room })
    }

    /// A large one has room for all of it before it begins, for large ones that were each half here would wait for each other.
    async fn large(&self, mut pieces: Pieces, mut bytes: Vec<u8>, length: usize) -> Result<Unvouched, Refused> {
        let room = turn(&self.large, units(length)).await?;
        pieces.since = Instant::now();
        while let Some(piece) = pieces.next(bytes.len()).await? {
            if bytes.len() + piece.len() > length {
                return Err(unfit());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Unvouched { bytes, _room: room })
    }
}

/// A body as it comes, fast enough.
struct Pieces {
    body: BodyDataStream,
    since: Instant,
}

impl Pieces {
    fn of(body: Body) -> Pieces {
        Pieces { body: body.into_data_stream(), since: Instant::now() }
    }

    /// The next of them, when so many bytes have come.
    async fn next(&mut self, came: usize) -> Result<Option<Bytes>, Refused> {
        let (rate, grace) = LEAST_RATE;
        let took = Duration::from_millis((came as u64).saturating_mul(1000) / rate);
        let next = tokio::time::timeout_at(self.since + grace + took, self.body.next()).await;
        next.map_err(|_| unfit())?.transpose().map_err(|_| unfit())
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

fn unfit() -> Refused {
    Refused::bad("it is too long, or does not come")
}

/// Room for so much, as soon as there is.
async fn turn(room: &Arc<Semaphore>, units: usize) -> Result<OwnedSemaphorePermit, Refused> {
    let full = || Refused(StatusCode::SERVICE_UNAVAILABLE, "too much comes at once; it is to be sent again".into());
    let units = u32::try_from(units).map_err(|_| full())?;
    let given = tokio::time::timeout(TURN, Arc::clone(room).acquire_many_owned(units)).await;
    given.ok().and_then(Result::ok).ok_or_else(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_has_its_room_until_it_is_let_go() {
        let room = Room::of(0);
        let free = || (room.small.available_permits(), room.large.available_permits());
        assert_eq!(free(), (SMALL_BYTES / UNIT, MAX_BYTES / UNIT));
        let small = room.whole(Body::from(vec![b'x'; UNIT + 1])).await.unwrap();
        let large = room.whole(Body::from(vec![b'x'; SMALL_BYTES + 1])).await.unwrap();
        assert_eq!((small.bytes.len(), large.bytes.len()), (UNIT + 1, SMALL_BYTES + 1));
        assert_eq!(free(), (SMALL_BYTES / UNIT - 2, MAX_BYTES / UNIT - SMALL_BYTES / UNIT - 1));
        drop((small, large));
        // One that does not say how long it is has no more than others.
        let stream = |pieces: usize| {
            let all = (0..pieces).map(|_| Ok::<_, std::io::Error>(vec![b'x'; SMALL_BYTES]));
            Body::from_stream(futures_util::stream::iter(all))
        };
        let (large, small) = (room.whole(stream(3)).await.unwrap(), room.whole(stream(1)).await.unwrap());
        assert_eq!((small.bytes.len(), large.bytes.len(), free()), (SMALL_BYTES, 3 * SMALL_BYTES, (0, 0)));
        drop((small, large));
        // What is refused has none.
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20]));
        for body in [Body::from(vec![b'x'; MAX_BYTES + 1]), Body::from_stream(endless)] {
            assert_eq!(room.whole(body).await.err().map(|refused| refused.0), Some(StatusCode::BAD_REQUEST));
        }
        assert_eq!(free(), (SMALL_BYTES / UNIT, MAX_BYTES / UNIT));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_hears_so() {
        let room = Room::of(0);
        let all = room.whole(Body::from(vec![b'x'; MAX_BYTES])).await.unwrap();
        let further = || Body::from(vec![b'x'; SMALL_BYTES + 1]);
        let refused = room.whole(further()).await.err().unwrap();
        assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE);
        // Large ones are in no small one's way.
        assert_eq!(room.whole(Body::from("small")).await.unwrap().bytes, b"small");
        drop(all);
        assert!(room.whole(further()).await.is_ok());
        // Nor are those that say nothing.
        let silent = || Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let many: Vec<_> = (0..SMALL_BYTES / UNIT).map(|_| room.whole(silent())).collect();
        let many = futures_util::future::join_all(many);
        let (many, small) = tokio::join!(many, async {
            tokio::task::yield_now().await;
            room.whole(Body::from("small")).await
        });
        assert!(many.iter().all(Result::is_err) && small.unwrap().bytes == b"small");
    }
}
