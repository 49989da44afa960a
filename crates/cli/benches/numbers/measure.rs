//! Interleaved measurement: one round runs every contender once, so that a machine that becomes slower is slow for all.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the time of a run is given as.
#[derive(Clone, Copy)]
enum Unit {
    Milliseconds,
    /// A run does so many things.
    PerSecond(usize),
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::PerSecond(_) => "/s",
        }
    }

    fn of(self, took: Duration) -> f64 {
        match self {
            Unit::Milliseconds => milliseconds(took),
            Unit::PerSecond(count) => count as f64 / took.as_secs_f64(),
        }
    }
}

/// Something that is measured against others.
pub struct Contender<'a> {
    pub name: String,
    unit: Unit,
    /// The row that it is compared to, where that is not the one of its table.
    against: Option<String>,
    /// Its first run counts too, because another contender's has done what is done once.
    is_warm: bool,
    /// Rounds from one that it takes to the next: for those that take seconds.
    pub every: usize,
    /// Makes things ready; its time does not count.
    pub before: Box<dyn FnMut() + 'a>,
    pub run: Box<dyn FnMut() -> Result<(), String> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &str, run: impl FnMut() -> Result<(), String> + 'a) -> Self {
        Contender {
            name: name.to_owned(),
            unit: Unit::Milliseconds,
            against: None,
            is_warm: false,
            every: 1,
            before: Box::new(|| ()),
            run: Box::new(run),
        }
    }

    /// What one run does `count` times is given as times a second.
    pub fn rate(mut self, count: usize) -> Self {
        self.unit = Unit::PerSecond(count);
        self
    }

    pub fn against(mut self, row: &str) -> Self {
        self.against = Some(row.to_owned());
        self
    }

    pub fn warm(mut self) -> Self {
        self.is_warm = true;
        self
    }

    pub fn before(mut self, before: impl FnMut() + 'a) -> Self {
        self.before = Box::new(before);
        self
    }

    pub fn every(mut self, rounds: usize) -> Self {
        self.every = rounds;
        self
    }
}

/// A row of a table.
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    pub samples: Vec<f64>,
    /// The row that this one is compared to, where that is not the one of the table.
    against: Option<String>,
}

/// What one benchmark found.
pub struct Table {
    pub title: String,
    pub rows: Vec<Row>,
    /// The row that the others are compared to; none of them where there is no such row.
    pub ratio_to: Option<String>,
    pub notes: Vec<String>,
    /// Waited before each sample, so that what the kernel and daemons still clear away after one contender (network namespaces, most
    /// of all) is not counted against the next.
    pub pause: Duration,
}

impl Table {
    pub fn new(title: &str) -> Table {
        Table { title: title.to_owned(), rows: Vec::new(), ratio_to: None, notes: Vec::new(), pause: Duration::ZERO }
    }

    pub fn push(&mut self, what: &str, unit: &'static str, samples: Vec<f64>) {
        self.rows.push(Row { what: what.to_owned(), unit, samples, against: None });
    }

    /// Runs the contenders in turn, `rounds` times after one that is not counted. Whoever fails is not run again.
    pub fn interleave(&mut self, rounds: usize, mut contenders: Vec<Contender<'_>>) {
        let mut samples: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
        let mut failed: Vec<Option<String>> = contenders.iter().map(|_| None).collect();
        for round in 0..=rounds {
            for (index, contender) in contenders.iter_mut().enumerate() {
                if failed[index].is_some() || round % contender.every != 0 {
                    continue;
                }
                (contender.before)();
                std::thread::sleep(self.pause);
                let started = Instant::now();
                let result = (contender.run)();
                let took = started.elapsed();
                match result {
                    Ok(()) if round > 0 || contender.is_warm => samples[index].push(contender.unit.of(took)),
                    Ok(()) => {}
                    Err(error) => failed[index] = Some(error),
                }
            }
        }
        for ((contender, samples), failed) in contenders.into_iter().zip(samples).zip(failed) {
            let Contender { name: what, unit, against, .. } = contender;
            match failed {
                Some(error) if samples.is_empty() => self.notes.push(format!("skipped: {what}: {error}")),
                Some(error) => self.notes.push(format!("failed after {} samples: {what}: {error}", samples.len())),
                None => {}
            }
            if !samples.is_empty() {
                self.rows.push(Row { what, unit: unit.word(), samples, against });
            }
        }
    }

    /// What a row is compared to: its name and median.
    fn reference(&self, row: &Row) -> Option<(&str, f64)> {
        let name = row.against.as_ref().or(self.ratio_to.as_ref())?;
        let row = self.rows.iter().find(|row| row.what == *name)?;
        Some((&row.what, median(&row.samples)))
    }

    pub fn print(&self) {
        println!("\n{}", self.title);
        let against = self.ratio_to.as_ref().map(|name| format!("of {name}")).unwrap_or_default();
        println!("  {:<58} {:>4} {:>12} {:>12}  {against}", "", "n", "median", "p90");
        for row in &self.rows {
            let median = median(&row.samples);
            let reference = self.reference(row).filter(|(_, base)| *base > 0.0);
            let of = row.against.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            let ratio = reference.map(|(_, base)| format!("× {:.4}{of}", median / base)).unwrap_or_default();
            println!(
                "  {:<58} {:>4} {median:>9.3} {:<3} {:>8.3}  {ratio}",
                row.what,
                row.samples.len(),
                row.unit,
                percentile(&row.samples, 0.9)
            );
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }

    pub fn write(&self, path: &Path) {
        let mut text = String::new();
        for row in &self.rows {
            let reference = self.reference(row);
            let median = median(&row.samples);
            let line = serde_json::json!({
                "what": row.what, "unit": row.unit, "n": row.samples.len(), "median": median, "p90": percentile(&row.samples, 0.9),
                "ratio_to": reference.map(|(name, _)| name), "ratio": reference.map(|(_, base)| median / base),
            });
            text.push_str(&format!("{line}\n"));
        }
        let written = std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("a file in target/bench");
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
