//! Logs, in rows and in blobs.

use std::collections::HashMap;

use model::event::{Event, LogSource};
use model::ids::{JobId, RunId};
use model::outcome::Outcome;
use store::{ChunkPlace, Old, Repacker, Store, StoreError};
use wire::agent::{Item, LogLine};

use crate::cases::{create, end, put};

/// Blobs of a test.
type Blobs = HashMap<String, Vec<u8>>;

/// Lines from `from` on, at most so many, of a log that is in rows.
pub async fn log(store: &Store, run: RunId, from: u64, most: usize) -> Vec<LogLine> {
    read(store, &Blobs::new(), run, from, most).await
}

async fn read(store: &Store, blobs: &Blobs, run: RunId, from: u64, most: usize) -> Vec<LogLine> {
    let mut all = Vec::new();
    while all.len() < most
        && let Some(chunk) = store.chunk(run, from + all.len() as u64).await.unwrap()
    {
        let content = match &chunk.place {
            ChunkPlace::Row(content) => content.as_slice(),
            ChunkPlace::Blob { key, range } => {
                &blobs[key][usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
            }
        };
        let skipped = usize::try_from(from + all.len() as u64 - chunk.first).unwrap();
        all.extend(chunk.lines(content).unwrap().into_iter().skip(skipped));
    }
    all.truncate(most);
    all
}

/// Packs what is in rows; the blob, and what it has.
async fn repacked(store: &Store, run: RunId) -> (Vec<u8>, Vec<store::Moved>) {
    let mut repacker = Repacker::new().unwrap();
    let mut blob = Vec::new();
    for chunk in store.chunks_in_rows(run, 0, 1000).await.unwrap() {
        blob.extend(repacker.add(&chunk).unwrap().unwrap_or_default());
    }
    blob.extend(repacker.rest().unwrap().unwrap_or_default());
    (blob, repacker.moved())
}

pub fn lines(from: u64, to: u64) -> Vec<LogLine> {
    let line = |number: u64| LogLine {
        at: number,
        step: None,
        stage: None,
        source: LogSource::Stdout,
        text: format!("line {number} \u{1F980}"),
    };
    (from..to).map(line).collect()
}

pub async fn a_log_takes_no_line_twice(store: Store) {
    put(&store, "app").await;
    let run = create(&store, "app").await;
    let items = |from, to| lines(from, to).into_iter().map(Item::Line).collect::<Vec<_>>();
    assert_eq!(store.report(run.id, 0, &items(0, 10)).await.unwrap(), 10);
    assert_eq!(store.report(run.id, 0, &items(0, 10)).await.unwrap(), 10, "the same report again");
    assert_eq!(store.report(run.id, 5, &items(5, 2005)).await.unwrap(), 2005, "half of it again");
    assert!(matches!(store.report(RunId(999), 0, &items(0, 1)).await, Err(StoreError::Missing { .. })));
    assert_eq!(log(&store, run.id, 0, 9999).await, lines(0, 2005));
    assert_eq!(log(&store, run.id, 8, 4).await, lines(8, 12), "across the border of two chunks");
    assert!(log(&store, run.id, 2005, 10).await.is_empty());
    assert_eq!(store.run(run.id).await.unwrap().unwrap().lines, 2005);
    let event = Event::JobFinished { job: JobId(1), limit: None };
    let mixed = [Item::Event { at: 7, event: event.clone() }, Item::Line(lines(2005, 2006).remove(0))];
    for _ in 0..2 {
        assert_eq!(store.report(run.id, 2005, &mixed).await.unwrap(), 2007);
    }
    assert_eq!(store.events(run.id, 0, 10).await.unwrap(), [(1, 7, event)]);
    assert_eq!((store.reported(run.id).await.unwrap(), log(&store, run.id, 2004, 10).await), (2007, lines(2004, 2006)));
    // What the store has lost is said, and the log goes on.
    assert_eq!(store.report(run.id, 2010, &items(2010, 2011)).await.unwrap(), 2011);
    let said = log(&store, run.id, 2006, 10).await;
    assert!(said.len() == 2 && said[0].text.starts_with("3 lines and events are missing"), "{said:?}");
    // A line may be long, and a chunk is not: all of it can be read.
    let long =
        |number: u64| Item::Line(LogLine { text: "\u{1}".repeat(700 << 10), ..lines(number, number + 1).remove(0) });
    assert_eq!(store.report(run.id, 2011, &[long(1), long(2), long(3)]).await.unwrap(), 2014);
    assert_eq!(log(&store, run.id, 2008, 10).await.len(), 3);
}

pub async fn a_log_goes_to_blobs(store: Store) {
    const NONE: u64 = 1 << 40;
    let app = put(&store, "app").await;
    let run = create(&store, "app").await;
    let report = async |from: u64, to: u64| {
        let items: Vec<Item> = lines(from, to).into_iter().map(Item::Line).collect();
        store.report(run.id, from, &items).await.unwrap()
    };
    for at in 0..200 {
        report(at * 10, at * 10 + 10).await;
    }
    let asked = async |most| store.logs_in_rows(RunId(0), most, 10).await.unwrap();
    assert_eq!(asked(NONE).await, [], "it goes on, and is small");
    assert_eq!(asked(1000).await, [run.id]);
    assert_eq!(store.logs_in_rows(run.id, 1000, 10).await.unwrap(), []);

    // Its small chunks become one, and what comes meanwhile is none of it.
    let mut blobs = Blobs::new();
    let (blob, moved) = repacked(&store, run.id).await;
    assert_eq!(moved.iter().map(|chunk| (chunk.first, chunk.count)).collect::<Vec<_>>(), [(0, 2000)]);
    assert!(!store.log_is_moved(run.id, "logs/1/none", &moved, 60).await.unwrap(), "nobody has begun that blob");
    assert_eq!(log(&store, run.id, 0, 9999).await, lines(0, 2000), "and it is where it was");
    store.begin_blob("logs/1/a", 50).await.unwrap();
    assert!(store.is_spare("logs/1/a").await.unwrap());
    report(2000, 2010).await;
    blobs.insert("logs/1/a".into(), blob);
    assert!(store.log_is_moved(run.id, "logs/1/a", &moved, 60).await.unwrap());
    assert!(!store.is_spare("logs/1/a").await.unwrap());
    assert_eq!(read(&store, &blobs, run.id, 0, 9999).await, lines(0, 2010));
    assert_eq!(read(&store, &blobs, run.id, 1998, 4).await, lines(1998, 2002), "over the border");
    report(2005, 2020).await;
    assert_eq!(read(&store, &blobs, run.id, 2000, 99).await, lines(2000, 2020), "no line twice, as before");

    // Somebody else has moved the same: nothing changes, and that blob is spare.
    store.begin_blob("logs/1/b", 60).await.unwrap();
    assert!(!store.log_is_moved(run.id, "logs/1/b", &moved, 60).await.unwrap());
    assert!(store.is_spare("logs/1/b").await.unwrap());
    assert_eq!(read(&store, &blobs, run.id, 0, 9999).await, lines(0, 2020));

    // Lines that are large fill a chunk.
    let large =
        |number: u64| Item::Line(LogLine { text: "x".repeat(400 << 10), ..lines(number, number + 1).remove(0) });
    for at in 2020..2026 {
        store.report(run.id, at, &[large(at)]).await.unwrap();
    }
    assert_eq!(asked(NONE).await, []);
    store.finish_run(run.id, &end(Outcome::Success), 100).await.unwrap();
    assert_eq!(asked(NONE).await, [run.id], "over, and not all of it moved");
    let (blob, moved) = repacked(&store, run.id).await;
    let counts: Vec<_> = moved.iter().map(|chunk| (chunk.first, chunk.count)).collect();
    assert_eq!(counts, [(2000, 22), (2022, 2), (2024, 2)]);
    assert_eq!(moved.last().unwrap().range.end, blob.len() as u64);
    store.begin_blob("logs/1/c", 110).await.unwrap();
    blobs.insert("logs/1/c".into(), blob);
    assert!(store.log_is_moved(run.id, "logs/1/c", &moved, 60).await.unwrap());
    assert_eq!(asked(0).await, []);
    let all = read(&store, &blobs, run.id, 0, 9999).await;
    assert_eq!((all.len(), &all[..2020]), (2026, lines(0, 2020).as_slice()));
    assert!(all[2020..].iter().all(|line| line.text.len() == 400 << 10));

    // They go with their run.
    let old = Old { before: Some(200), beyond: None };
    assert_eq!(store.forget_runs(app.id, old, 10, 300).await.unwrap(), 1);
    assert_eq!(store.spare_blobs("", 10).await.unwrap(), ["logs/1/a", "logs/1/b", "logs/1/c"]);
}
