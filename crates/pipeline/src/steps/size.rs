//! How long arguments are, before a step makes texts of its own of them: values of a script share what they hold, and copies do not.

use groovy::value::{Meter, Value};
use model::limits::MAX_ARGUMENT_BYTES;

use super::args::Args;
use crate::engine::fault::Fault;

/// Values that are looked at in one instruction's time.
const LOOKED_AT: usize = 16;

/// As deep steps look into what they are given, and deeper.
const DEPTH: u32 = 8;

impl Args {
    /// Are all of them together, but for those that it does not know, no longer than a step takes?
    ///
    /// # Errors
    /// It is a limit, which no script catches.
    pub(super) fn check_size(&self, unknown: &[&str]) -> Result<(), Fault> {
        let mut open: Vec<_> = {
            let known = self.named.iter().filter(|(name, _)| !unknown.contains(&name.as_str()));
            known.map(|(_, value)| (value.clone(), DEPTH)).collect()
        };
        let (mut bytes, mut count) = (0_usize, 0);
        while let Some((value, depth)) = open.pop() {
            count += 1;
            let (own, parts) = match &value {
                Value::Str(text) => (text.len(), 0),
                Value::Buffer(buffer) => (buffer.text.borrow().len(), 0),
                Value::GString(text) => (text.texts.iter().map(|text| text.len()).sum(), text.values.len()),
                Value::List(list) => (0, list.len()),
                Value::Map(map) | Value::Set(map) => (0, 2 * map.len()),
                _ => (0, 0),
            };
            bytes = bytes.saturating_add(own + (parts + 1) * size_of::<Value>());
            if bytes > MAX_ARGUMENT_BYTES {
                let limit = MAX_ARGUMENT_BYTES >> 20;
                return Err(Fault::exhausted(format!("what {} is given is longer than {limit} MiB in all", self.step)));
            }
            let parts = match &value {
                _ if depth == 0 => continue,
                Value::GString(text) => text.values.clone(),
                Value::List(list) => list.snapshot(),
                Value::Map(map) => (0..map.len()).filter_map(|at| map.at(at)).flat_map(|(k, v)| [k, v]).collect(),
                Value::Set(keys) => keys.keys(),
                _ => continue,
            };
            open.extend(parts.into_iter().map(|part| (part, depth - 1)));
        }
        Meter::work(count / LOOKED_AT);
        Ok(())
    }
}
