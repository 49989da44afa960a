//! What runs do: small definitions, how long their steps take, and what comes of them.

use model::ids::RunId;
use model::request::{Allocated, Failure, FailureKind, Reply, Request};
use model::rung::Rung;
use model::test_result::TestCounts;

use crate::dice::Dice;

/// What [`Dice::of`] is asked for.
const DEFINITIONS: u64 = 0xdef1;

/// The definition of a run: the same whoever fetches it.
pub(crate) fn definition(seed: u64, run: RunId) -> String {
    let mut dice = Dice::of(seed ^ run.0, DEFINITIONS);
    match dice.below(24) {
        0 => "node {".to_owned(),
        1 => "echo 'nothing to do'".to_owned(),
        2 => "error 'it is as it is'".to_owned(),
        3..7 => format!(
            "pipeline {{ agent any\n options {{ timeout(time: {}, unit: 'MINUTES') }}\n stages {{ stage('Build') {{ steps {{ {} }} }}\n stage('Test') {{ steps {{ {} }} }} }}\n post {{ always {{ echo 'at last' }} failure {{ echo 'it failed' }} }} }}",
            dice.between(1, 30),
            steps(&mut dice, 2),
            steps(&mut dice, 1),
        ),
        7..10 => {
            let (one, two) = (steps(&mut dice, 2), steps(&mut dice, 2));
            // Half of the second branches are at another agent, where that of the run has no machines; or what is within the first is.
            let two = if dice.once_in(2) { format!("sh 'docker build .'\n{two}") } else { two };
            let one =
                if dice.once_in(3) { format!("{one}\nnode {{ sh 'docker build .'\n {two} }}\n{one}") } else { one };
            format!("parallel one: {{ node {{ {one} }} }}, two: {{ node {{ {two} }} }}\necho 'both'")
        }
        // It needs an agent that has machines, and says so when one has it.
        10 => {
            let node = format!("node {{ sh 'docker build .'\n {} }}", steps(&mut dice, 2));
            // Half of them do not wait for it for ever.
            let node = match dice.once_in(2) {
                true => format!(
                    "try {{ timeout(time: {}, unit: 'SECONDS') {{ {node} }} }} finally {{ node {{ sh 'after' }} }}",
                    dice.between(1, 600)
                ),
                false => node,
            };
            format!("echo 'an image'\n{node}")
        }
        11..13 => {
            let (one, two) = (steps(&mut dice, 1), steps(&mut dice, 2));
            // Half of them go on elsewhere, where their agent has no machines.
            let two = if dice.once_in(2) { format!("sh 'docker build .'\n{two}") } else { two };
            format!("try {{ node {{ {one} }} }} catch (e) {{ echo \"caught ${{e.message}}\" }}\nnode {{ {two} }}")
        }
        // Those who have it may wait for the places of those who wait for it, or move to another agent with it.
        13..16 => {
            let (name, step) = (if dice.once_in(3) { "b" } else { "a" }, steps(&mut dice, 2));
            match dice.below(4) {
                0 => format!("node {{ lock('{name}') {{ {step} }} }}"),
                1 => format!("lock('{name}') {{ node {{ sh 'docker build .'\n {step} }} }}"),
                2 => format!(
                    "lock(resource: '{name}', timeoutForAllocateResource: {}, timeoutUnit: 'SECONDS', skipIfLocked: {}) {{ node {{ {step} }} }}",
                    dice.between(1, 600),
                    dice.once_in(2)
                ),
                _ => format!(
                    "milestone 1\nlock('{name}') {{ node {{ {step} }}\n sleep 9\n node {{ sh 'after' }} }}\nmilestone 2"
                ),
            }
        }
        _ => format!("node {{ {} }}", steps(&mut dice, 4)),
    }
}

fn steps(dice: &mut Dice, most: u64) -> String {
    let count = dice.between(1, most);
    (0..count).map(|_| step(dice)).collect::<Vec<_>>().join("\n")
}

fn step(dice: &mut Dice) -> String {
    match dice.below(14) {
        0 => format!("sleep {}", dice.between(1, 200)),
        1 => "echo \"it says ${sh(script: 'version', returnStdout: true)}\"".to_owned(),
        2 => "writeFile file: 'a', text: 'b'\necho readFile('a')".to_owned(),
        3 => "if (fileExists('a')) { sh 'there' } else { echo 'not there' }".to_owned(),
        4 => format!("timeout(time: {}, unit: 'SECONDS') {{ sh 'long' }}", dice.between(1, 60)),
        5 => "retry(3) { sh 'flaky' }".to_owned(),
        6 => "try { sh 'flaky' } catch (e) { echo \"caught ${e.message}\" }".to_owned(),
        7 => "stash name: 's', includes: '*'\nunstash 's'".to_owned(),
        8 => "stage('Deploy') { sh 'make deploy' }".to_owned(),
        9 => "catchError { sh 'flaky' }".to_owned(),
        _ => "sh 'make'".to_owned(),
    }
}

/// How long it takes, in milliseconds.
pub(crate) fn duration(dice: &mut Dice, request: &Request) -> u64 {
    match request {
        Request::Exec { script, .. } if script.text == "long" => dice.between(1_000, 900_000),
        Request::Exec { .. } => match dice.below(8) {
            0..3 => dice.between(50, 2_000),
            3..7 => dice.between(1_000, 60_000),
            _ => dice.between(60_000, 400_000),
        },
        Request::Allocate { .. } => dice.between(200, 8_000),
        Request::Release { .. } => dice.between(50, 2_000),
        _ => dice.between(1, 500),
    }
}

/// What comes of it.
pub(crate) fn reply(dice: &mut Dice, request: &Request) -> Reply {
    if dice.once_in(60) {
        return failed("the disk of this agent is full");
    }
    match request {
        Request::Allocate { .. } => {
            let rung = Some(Rung::Container);
            Reply::Allocated(Allocated { workspace: "/w".into(), path: "/bin".into(), rung, ..Allocated::default() })
        }
        Request::Exec { script, .. } => {
            let is_flaky = script.text == "flaky";
            let code = if dice.once_in(if is_flaky { 2 } else { 20 }) { 1 } else { 0 };
            let limit = (code == 1 && dice.once_in(4)).then(|| "memory limit of 4 GiB".to_owned());
            let stdout = script.capture.then(|| format!("{}\n", dice.below(100)));
            Reply::Exited { code, stdout, limit }
        }
        Request::Checkout { .. } => Reply::CheckedOut(vec![("GIT_COMMIT".into(), "0".repeat(40))]),
        Request::ReadFile { .. } => Reply::Text("b".into()),
        Request::FileExists { .. } => Reply::Bool(dice.once_in(2)),
        Request::Stash { .. } | Request::Archive { .. } | Request::Unarchive { .. } => Reply::Count(dice.below(9)),
        Request::TestReport { .. } => {
            let tests = TestCounts { failed: dice.below(2), skipped: dice.below(3), passed: dice.below(9) };
            Reply::Tests { files: 1, tests }
        }
        _ => Reply::Done,
    }
}

pub(crate) fn failed(message: &str) -> Reply {
    Reply::Failed(failure(message))
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { kind: FailureKind::Infrastructure, message: message.to_owned(), hint: None }
}
