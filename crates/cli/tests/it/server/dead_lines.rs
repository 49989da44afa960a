//! Agents whose line to the server is open and dead: nothing comes, nothing goes, and nobody is told. In each phase of a run.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::place::{Place, wait_until};
use crate::project::{Project, sandboxes_work};

/// In so many moments, from its first word to its last, an agent's line dies.
const MOMENTS: usize = 10;
/// The silence that is noticed is 45 s of the server's and the agent's, and 90 s of an upload's.
const PATIENCE: Duration = Duration::from_secs(240);

const DEFINITION: &str = "def tried = { name, work -> try { work(); echo \"did-$name-\" } catch (error) { echo \"lost-$name- ${error.message}\" } }
tried('first') { node { sh 'echo work-first-; head -c 400000 /dev/urandom > x'; stash name: 's', includes: 'x' } }
tried('second') { node { unstash 's'; sh 'echo work-second-; test -e x'; archiveArtifacts 'x' } }
tried('third') { node { sh 'echo work-third-' } }
echo 'said-end-'";

/// A line between an agent and its server.
struct Line {
    port: u16,
    counts: Arc<Counts>,
}

struct Counts {
    /// Pieces that were carried, both ways.
    carried: AtomicUsize,
    /// After so many everything that is open dies; what is opened later lives.
    dies_after: usize,
    is_dead: AtomicBool,
    is_over: AtomicBool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Ordering::SeqCst);
    }
}

impl Line {
    fn to(server: u16, dies_after: usize) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (carried, is_dead, is_over) = Default::default();
        let counts = Arc::new(Counts { carried, dies_after, is_dead, is_over });
        let of = Arc::clone(&counts);
        std::thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                if of.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(there) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let may_die = !of.is_dead.load(Ordering::SeqCst);
                let (back, forth) = ((there.try_clone(), agent.try_clone()), (agent, there));
                for (from, to) in [(back.0.unwrap(), back.1.unwrap()), forth] {
                    let of = Arc::clone(&of);
                    std::thread::spawn(move || of.carry(from, to, may_die));
                }
            }
        });
        Line { port, counts }
    }

    fn is_dead(&self) -> bool {
        self.counts.is_dead.load(Ordering::SeqCst)
    }
}

impl Counts {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, may_die: bool) {
        from.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut piece = vec![0; 16 << 10];
        while !self.is_over.load(Ordering::SeqCst) {
            let count = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => continue,
                Err(_) => break,
            };
            let number = self.carried.fetch_add(1, Ordering::SeqCst);
            if number >= self.dies_after {
                self.is_dead.store(true, Ordering::SeqCst);
            }
            // What comes is taken, as by the buffers of a network, and is nowhere.
            if may_die && self.is_dead.load(Ordering::SeqCst) {
                continue;
            }
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        // A dead line tells nobody that the other side has gone.
        if !(may_die && self.is_dead.load(Ordering::SeqCst)) {
            let _gone = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
        }
    }
}

/// An agent behind a line of its own, which alone may have the runs of a project of its name.
fn agent_behind(place: &mut Place, name: &str, dies_after: usize, project: &Project) -> Line {
    let line = Line::to(place.port, dies_after);
    place.add_agent_behind(name, line.port, &["--label", name]);
    let path = project.path().to_str().unwrap();
    let put = place.ask(&["projects", "put", name, "--folder", path, "--label", name]);
    assert_eq!(put.code, 0, "{put:?}");
    line
}

#[test]
fn a_line_that_dies_in_any_phase_costs_no_run() {
    if !sandboxes_work() {
        return;
    }
    let mut place = Place::new();
    let project = Project::new(DEFINITION);
    // How much goes over it where nothing dies.
    let whole = agent_behind(&mut place, "whole", usize::MAX, &project);
    let before = whole.counts.carried.load(Ordering::SeqCst);
    let id = place.trigger("whole");
    assert_eq!(place.wait_for_end(id)["outcome"], "SUCCESS", "{}", place.logs());
    let pieces = whole.counts.carried.load(Ordering::SeqCst) - before;
    assert!(pieces > 3 * MOMENTS, "{pieces}");

    let names: Vec<_> = (0..MOMENTS).map(|moment| format!("agent-{moment}")).collect();
    let mut lines = Vec::new();
    for (moment, name) in names.iter().enumerate() {
        lines.push(agent_behind(&mut place, name, before + 1 + pieces * moment / MOMENTS, &project));
    }
    let runs: Vec<_> = names.iter().map(|name| place.trigger(name)).collect();
    let began = Instant::now();
    let has_ended = |id: u64| place.run(id)["status"] == "done";
    while !runs.iter().all(|id| has_ended(*id)) {
        assert!(began.elapsed() < PATIENCE, "{}\n{}", place.ask(&["runs"]).stdout, place.logs());
        std::thread::sleep(Duration::from_millis(500));
    }
    let dead = lines.iter().filter(|line| line.is_dead()).count();
    assert!(dead > MOMENTS - 3, "only {dead} lines have died");
    for (name, id) in names.iter().zip(runs) {
        let log = place.ask(&["logs", &id.to_string()]).stdout;
        let own = || std::fs::read_to_string(place.folder.path().join(format!("{name}.log"))).unwrap_or_default();
        let count = |word: &str| log.matches(word).count();
        assert_eq!((&place.run(id)["outcome"], count("said-end-")), (&"SUCCESS".into(), 1), "{name}: {log}\n{}", own());
        for job in ["first", "second", "third"] {
            let (did, lost) = (count(&format!("did-{job}-")), count(&format!("lost-{job}-")));
            assert_eq!(did + lost, 1, "{name}, {job}: {log}\n{}", own());
            // None is done twice, and what was done is known.
            let worked = count(&format!("\nwork-{job}-"));
            assert!(worked <= 1 && worked >= did, "{name}, {job}: {worked} times\n{log}");
        }
    }
    // And all are there again.
    wait_until("every agent is back", || {
        let listed = place.ask(&["agents", "ls"]).stdout;
        names.iter().all(|name| listed.contains(&format!("{name}  connected")))
    });
}
