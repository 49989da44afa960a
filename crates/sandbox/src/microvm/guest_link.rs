//! The conversation with the launcher in a guest, over the control port. Everything that comes is hostile input: frames are
//! bounded, a word out of turn ends the conversation, and nothing is believed that concerns anything but this machine's sandbox.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use launcher::guest::{Network, Offer, Places, Word};
use launcher::protocol::{End, Made, Plan, Reply, Request, Settings};
use model::limits::Limits;
use tokio::sync::{mpsc, watch};
use wire::frame::{self, Decoder};

use super::machine::{self, Shape};
use crate::local::{create_error, report};
use crate::{CreateError, DriverError, Usage};

/// The one sandbox of a machine.
const TOKEN: u64 = 1;
/// Replies that may wait to be read. One is awaited at a time; who says more talks nonsense.
const MOST_WAITING: usize = 4;
/// How long a guest may take to say what its sandbox uses, before the last known is taken.
const USAGE_PATIENCE: Duration = Duration::from_secs(2);

/// The host's side.
pub(super) struct GuestLink {
    writer: UnixStream,
    replies: tokio::sync::Mutex<mpsc::Receiver<Reply>>,
    usage: watch::Sender<(u64, Usage)>,
    /// How often it was asked what its sandbox uses.
    asked: Arc<AtomicU64>,
    ended: watch::Sender<Option<Option<(End, Usage)>>>,
    limits: Arc<Mutex<Limits>>,
}

impl GuestLink {
    /// Reads replies on a thread of its own until the guest is gone.
    pub(super) fn new(control: UnixStream) -> io::Result<GuestLink> {
        let writer = control.try_clone()?;
        // A guest that takes nothing any more is one that is gone: whoever speaks to it must not wait with it.
        writer.set_write_timeout(Some(USAGE_PATIENCE))?;
        let (sender, replies) = mpsc::channel(MOST_WAITING);
        let usage = watch::Sender::new((0, Usage::default()));
        let ended = watch::Sender::new(None);
        let limits = Arc::new(Mutex::new(Limits::default()));
        let asked = Arc::new(AtomicU64::new(0));
        let reader = Reader {
            control,
            sender,
            usage: usage.clone(),
            asked: Arc::clone(&asked),
            ended: ended.clone(),
            limits: Arc::clone(&limits),
        };
        std::thread::Builder::new().name("guest".into()).spawn(move || reader.run())?;
        Ok(GuestLink { writer, replies: tokio::sync::Mutex::new(replies), usage, asked, ended, limits })
    }

    /// Gives it its scratch disk, starts its launcher, and its Docker Engine where it has one.
    pub(super) async fn prepare(&self, settings: Settings, shape: Shape) -> Result<(), CreateError> {
        let [disk, programs] = [0, 1].map(machine::disk);
        self.say(&Word::Scratch { disk, inodes: shape.scratch.inodes })?;
        let settings = Settings {
            // What a sandbox makes, its engine's containers may work with.
            own_ids: shape.engine,
            state_dir: "/run/cofferdam".into(),
            subordinate: None,
            loop_devices: false,
            ahead: 0,
            ..settings
        };
        self.say(&Word::Request(Request::Start(Box::new(settings))))?;
        match self.replies.lock().await.recv().await {
            Some(Reply::Ready(_)) => {}
            Some(Reply::Failed { fault, .. }) => return Err(create_error(fault, None)),
            _ => return Err(lost()),
        }
        if !shape.engine {
            return Ok(());
        }
        self.say(&Word::Engine(programs))?;
        self.engine_answers().await
    }

    /// Has its engine take images for its own.
    pub(super) async fn offer(&self, offer: Offer) -> Result<(), CreateError> {
        self.say(&Word::Offer(offer))?;
        self.engine_answers().await
    }

    async fn engine_answers(&self) -> Result<(), CreateError> {
        match self.replies.lock().await.recv().await {
            Some(Reply::EngineReady) => Ok(()),
            Some(Reply::Failed { fault, .. }) => Err(create_error(fault, None)),
            _ => Err(lost()),
        }
    }

    /// Has it let go of this conversation, so that it can be saved.
    pub(super) async fn part(&self) -> Result<(), CreateError> {
        self.say(&Word::Part)?;
        match self.replies.lock().await.recv().await {
            Some(Reply::Parting) => {}
            _ => return Err(lost()),
        }
        self.ended().await;
        Ok(())
    }

    /// Makes the guest one of its own: random numbers, clock, devices that were not there when it was saved, addresses.
    pub(super) fn become_own(&self, devices: Places, network: Option<Network>) -> Result<(), CreateError> {
        Ok(self.say(&fresh(devices, network)?)?)
    }

    /// Has its launcher make the sandbox.
    pub(super) async fn start(&self, plan: Plan) -> Result<Made, CreateError> {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = plan.limits;
        let mut replies = self.replies.lock().await;
        self.say(&Word::Request(Request::Create { token: TOKEN, plan: Box::new(plan) }))?;
        match replies.recv().await {
            Some(Reply::Created { token: TOKEN, made }) => Ok(made),
            Some(Reply::Failed { token: TOKEN, fault }) => Err(create_error(fault, None)),
            _ => Err(lost()),
        }
    }

    /// How the sandbox ended, as the guest says; `None`: the guest is gone and has not said.
    pub(super) async fn ended(&self) -> Option<(End, Usage)> {
        let mut ended = self.ended.subscribe();
        let told = ended.wait_for(Option::is_some).await;
        told.ok().and_then(|told| told.clone().flatten())
    }

    /// What the sandbox uses now, or what was last known where the guest does not say.
    pub(super) async fn usage(&self) -> Usage {
        let mut usage = self.usage.subscribe();
        let before = usage.borrow_and_update().0;
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.say(&Word::Request(Request::Usage { token: TOKEN })).is_ok() {
            let newer = usage.wait_for(|(count, _)| *count > before);
            let _ = tokio::time::timeout(USAGE_PATIENCE, newer).await;
        }
        self.last_usage()
    }

    pub(super) fn last_usage(&self) -> Usage {
        self.usage.borrow().1.clone()
    }

    fn say(&self, word: &Word) -> Result<(), DriverError> {
        let mut bytes = Vec::new();
        frame::encode(word, &mut bytes).map_err(|_| DriverError::Gone)?;
        // Small messages into the buffer of a socket. A monitor that takes none any more is ended by its deadline.
        (&self.writer).write_all(&bytes).map_err(|_| DriverError::Gone)
    }
}

impl Drop for GuestLink {
    fn drop(&mut self) {
        // Ends the reading thread too.
        let _ = self.writer.shutdown(std::net::Shutdown::Both);
    }
}

fn lost() -> CreateError {
    CreateError::Unsupported { reason: "the machine ended while it started".into() }
}

/// A seed and the time, so that a machine that is a copy of another is none any more.
fn fresh(devices: Places, network: Option<Network>) -> Result<Word, CreateError> {
    let mut seed = [0; 32];
    let failed = |source: io::Error| CreateError::Kernel { operation: "read random numbers".into(), source };
    std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut seed)).map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Word::Fresh { seed, now_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), devices, network })
}

/// The reading thread.
struct Reader {
    control: UnixStream,
    sender: mpsc::Sender<Reply>,
    usage: watch::Sender<(u64, Usage)>,
    asked: Arc<AtomicU64>,
    ended: watch::Sender<Option<Option<(End, Usage)>>>,
    limits: Arc<Mutex<Limits>>,
}

impl Reader {
    fn run(mut self) {
        let mut decoder = Decoder::new();
        let mut buffer = [0; 16 * 1024];
        'gone: while let Ok(count) = self.control.read(&mut buffer) {
            if count == 0 {
                break;
            }
            decoder.push(&buffer[..count]);
            loop {
                match decoder.message::<Reply>() {
                    Ok(Some(reply)) => {
                        if !self.take(reply) {
                            tracing::warn!("a guest answers what nobody has asked");
                            break 'gone;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "a guest speaks another language");
                        break 'gone;
                    }
                }
            }
        }
        self.ended.send_if_modified(|ended| ended.is_none() && ended.replace(None).is_none());
    }

    /// False: nobody has asked for this, and who goes on so would have the host keep it, or work for nothing.
    fn take(&self, reply: Reply) -> bool {
        let limits = *self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        match reply {
            Reply::Usage { token: TOKEN, usage } => {
                if self.usage.borrow().0 >= self.asked.load(Ordering::SeqCst) {
                    return false;
                }
                self.usage.send_modify(|(count, last)| {
                    *count += 1;
                    *last = report(usage, &limits);
                });
                true
            }
            Reply::Ended { token: TOKEN, end, usage } => {
                let told = Some((end, report(usage, &limits)));
                self.ended.send_if_modified(|ended| ended.is_none() && ended.replace(told).is_none())
            }
            other => self.sender.try_send(other).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use launcher::protocol::{Fault, FaultKind};

    use super::*;

    /// A guest that says the same again and again, and how much of it the host took before it hung up.
    async fn flood(reply: &Reply) -> usize {
        const MOST: usize = 64 << 20;
        let (control, its) = UnixStream::pair().unwrap();
        let link = GuestLink::new(control).unwrap();
        let mut bytes = Vec::new();
        frame::encode(reply, &mut bytes).unwrap();
        let guest = std::thread::spawn(move || {
            let mut taken = 0;
            while taken < MOST && (&its).write_all(&bytes).is_ok() {
                taken += bytes.len();
            }
            taken
        });
        assert_eq!(link.ended().await, None, "who talks nonsense is gone");
        drop(link);
        let taken = guest.join().unwrap();
        assert!(taken < MOST, "the host keeps {taken} bytes");
        taken
    }

    #[tokio::test]
    async fn a_guest_that_answers_what_nobody_asked_is_hung_up_on() {
        let what = "x".repeat(200 << 10);
        let fault = Fault { kind: FaultKind::Spec, what, errno: 0 };
        flood(&Reply::Failed { token: 0, fault }).await;
        flood(&Reply::EngineReady).await;
        flood(&Reply::Usage { token: TOKEN, usage: launcher::protocol::Usage::default() }).await;
        flood(&Reply::Swept(vec!["x".repeat(200 << 10)])).await;
    }
}
