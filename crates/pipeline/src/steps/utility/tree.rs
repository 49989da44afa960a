//! Data of any format that serde reads, as values of a script: in the order of the text, and no more of them than a run has room for.

use std::cell::Cell;
use std::fmt;

use groovy::value::Value;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::engine::values;

/// Most values of one text: each takes some dozen bytes, of 256 MiB.
pub(super) const MAX_VALUES: usize = 1_000_000;
/// What the `toml` crate calls a date.
const TOML_DATE: &str = "$__toml_private_datetime";

/// Makes values.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    /// How many more there may be.
    pub(super) left: &'a Cell<usize>,
}

impl Tree<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| E::custom(format!("more than {MAX_VALUES} values")))?;
        self.left.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.count().map(|()| Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.count().map(|()| values::int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.count().map(|()| i64::try_from(value).map_or(Value::Double(value as f64), values::int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.count().map(|()| Value::Double(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.count().map(|()| values::text(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.count().map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.count()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::list(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.count()?;
        let mut pairs = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if key == TOML_DATE {
                return Ok(value);
            }
            pairs.push((Value::from(key), value));
        }
        Ok(Value::map(pairs))
    }
}
