//! Servers, agents and engines are killed, by the hundred and under load, and nothing is lost.

use std::time::{Duration, Instant};

use super::place::{Place, wait_until};
use super::postgres::Postgres;
use super::s3::S3;
use super::{engines, kill_9};
use crate::project::{Project, sandboxes_work};

/// Processes that are killed. More by hand: `COFFERDAM_KILLS=1000`.
const KILLS: usize = 200;
/// Runs that are under way together.
const RUNS: usize = 6;
/// Jobs of each.
const JOBS: usize = 12;
const AGENTS: [&str; 3] = ["one", "two", "three"];
const PATIENCE: Duration = Duration::from_secs(240);

/// What an agent loses fails, and the run goes on: each job has been done, or the run knows that it was not.
fn definition() -> String {
    format!(
        "for (int i = 0; i < {JOBS}; i++) {{
  try {{ node {{ sh \"echo line-${{i}}-; sleep 0.1\" }} }} catch (error) {{ echo \"lost-${{i}}- ${{error.message}}\" }}
  echo \"said-${{i}}-\"
}}"
    )
}

#[test]
fn nothing_is_lost_when_everything_is_killed() {
    let place = Place::on_nothing();
    let database = format!("sqlite:{}", place.folder.path().join("server/cofferdam.db").display());
    everything_is_killed(place, &database);
}

/// The database and the place for blobs are another machine's, and stay.
#[test]
fn nothing_is_lost_on_postgresql_and_s3() {
    if !sandboxes_work() {
        return;
    }
    let (Some(postgres), Some(s3)) = (Postgres::start(), S3::start()) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(postgres.database());
    let mut place = Place::on_nothing();
    place.words = ["--database", &database, "--blobs", "s3://blobs/ci"].map(str::to_owned).into();
    place.env = s3.settings();
    everything_is_killed(place, &database);
    assert!(s3.has_objects(), "what is over lies there");
}

fn everything_is_killed(mut place: Place, database: &str) {
    if !sandboxes_work() {
        return;
    }
    place.start_server();
    place.add_agent(AGENTS[0]);
    AGENTS[1..].iter().for_each(|name| place.add_agent(name));
    let mut names = AGENTS.to_vec();
    let project = Project::new(&definition());
    let projects = ["a", "b", "c"];
    projects.iter().for_each(|name| place.put(name, &project));
    let wanted = std::env::var("COFFERDAM_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS);
    let (mut kills, mut round, mut made, began) = (0, 0_u64, 0, Instant::now());
    let mut of_kind = [0; 3];
    let unfinished = |place: &Place| {
        let listed = place.ask(&["runs", "--limit", "100", "--output", "json"]);
        assert_eq!(listed.code, 0, "{listed:?}");
        listed.stdout.lines().filter(|line| !line.contains("\"status\":\"done\"")).count()
    };
    while kills < wanted {
        if round % 4 == 0 {
            for _ in unfinished(&place)..RUNS {
                place.trigger(projects[made % projects.len()]);
                made += 1;
            }
        }
        // Moments that differ, for whatever is under way then.
        std::thread::sleep(Duration::from_millis(40 + round * 37 % 160));
        let (kind, count) = match round % 8 {
            0 | 4 => {
                place.kill_server();
                place.start_server();
                (0, 1)
            }
            2 => {
                let index = usize::try_from(round / 8).unwrap() % names.len();
                kill_9(place.agents[index].0.id());
                drop(place.agents.remove(index));
                let name = names.remove(index);
                place.restart_agent(name);
                names.push(name);
                (1, 1)
            }
            _ => {
                let engines = engines(&place);
                engines.iter().for_each(|pid| kill_9(*pid));
                (2, engines.len())
            }
        };
        kills += count;
        of_kind[kind] += count;
        round += 1;
        assert!(began.elapsed() < PATIENCE, "only {kills} were killed: {of_kind:?}\n{}", place.logs());
    }
    println!("{kills} were killed: {} servers, {} agents, {} engines; {made} runs", of_kind[0], of_kind[1], of_kind[2]);
    assert!(of_kind.iter().all(|count| *count >= 5), "{of_kind:?}");
    wait_until("every run ends", || unfinished(&place) == 0);
    for id in 1..=made as u64 {
        let id = id.to_string();
        let run = place.ask(&["why", "--run", &id, "--output", "json"]).stdout;
        let run: serde_json::Value = serde_json::from_str(&run).unwrap();
        let log = place.ask(&["logs", &id]).stdout;
        let found = |word: &str, number| log.matches(&format!("{word}-{number}-")).count();
        assert_eq!(run["outcome"], "SUCCESS", "{run}\n{log}\n{}", place.logs());
        for number in 0..JOBS {
            assert_eq!(found("said", number), 1, "run {id}, {number}: {log}");
            let (lines, lost) = (found("\nline", number), found("lost", number));
            assert!(lines <= 1 && lost <= 1 && lines + lost > 0, "run {id}, {number}: {lines} and {lost}\n{log}");
        }
    }
    place.kill_server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async { store::Store::open(database).await.unwrap().verify_audit().await.unwrap() });
    assert!(rows.as_ref().is_ok_and(|rows| *rows > 100), "{rows:?}");
}
