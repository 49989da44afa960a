//! `a..b`: whole numbers, characters, one-letter strings.

use super::Value;

/// What the items of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeKind {
    /// `Integer`: an `IntRange`.
    Int,
    /// `Long`
    Long,
    /// `Character`
    Char,
    /// `String` of one letter.
    Text,
}

/// A range of consecutive items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// As written.
    pub from: i64,
    /// As written.
    pub to: i64,
    /// `..` or `..<`
    pub inclusive: bool,
    /// What the items are.
    pub kind: RangeKind,
}

impl Range {
    /// Whether it counts down.
    pub fn reverse(&self) -> bool {
        self.from > self.to
    }

    /// First and last item in the order of iteration; `None` when empty.
    pub fn ends(&self) -> Option<(i64, i64)> {
        match (self.inclusive, self.from.cmp(&self.to)) {
            (true, _) => Some((self.from, self.to)),
            (false, std::cmp::Ordering::Less) => Some((self.from, self.to - 1)),
            (false, std::cmp::Ordering::Greater) => Some((self.from, self.to + 1)),
            (false, std::cmp::Ordering::Equal) => None,
        }
    }

    /// Number of items.
    pub fn size(&self) -> u64 {
        self.ends().map_or(0, |(a, b)| a.abs_diff(b).saturating_add(1))
    }

    /// The item at a position.
    pub fn at(&self, index: u64) -> Option<Value> {
        if index >= self.size() {
            return None;
        }
        let step = i64::try_from(index).ok()?;
        let n = if self.reverse() { self.from.checked_sub(step)? } else { self.from.checked_add(step)? };
        Some(self.item(n))
    }

    /// The item with this number.
    pub fn item(&self, n: i64) -> Value {
        match self.kind {
            RangeKind::Int => Value::Int(n as i32),
            RangeKind::Long => Value::Long(n),
            RangeKind::Char => Value::Char(n as u16),
            RangeKind::Text => Value::str(Value::unit_text(n as u16)),
        }
    }

    /// The number of an item, where it is of the kind.
    pub fn number(&self, item: &Value) -> Option<i64> {
        match (self.kind, item) {
            // An IntRange has Integers and BigIntegers only.
            (RangeKind::Int, Value::Int(_) | Value::BigInt(_)) => item.as_i64(),
            (RangeKind::Long, Value::Int(_) | Value::Long(_) | Value::BigInt(_)) => item.as_i64(),
            (RangeKind::Long, Value::Decimal(d)) => {
                let whole = d.strip_trailing_zeros();
                if whole.scale() <= 0 { item.as_i64() } else { None }
            }
            (RangeKind::Char, Value::Char(c)) => Some(i64::from(*c)),
            (RangeKind::Text, Value::Str(s)) if s.units() == 1 => s.unit(0).map(i64::from),
            _ => None,
        }
    }

    /// Whether it has the item.
    pub fn has(&self, item: &Value) -> bool {
        match (self.number(item), self.ends()) {
            (Some(n), Some((a, b))) => n >= a.min(b) && n <= a.max(b),
            _ => false,
        }
    }

    /// Its own `toString`; printed it is a list.
    pub fn java_text(&self) -> String {
        let open = if self.inclusive { "" } else { "<" };
        format!("{}..{open}{}", self.item(self.from).to_text(), self.item(self.to).to_text())
    }

    /// All items in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.size()).filter_map(|i| self.at(i))
    }

    pub(crate) fn class_name(&self) -> &'static str {
        match self.kind {
            _ if self.size() == 0 => "groovy.lang.EmptyRange",
            RangeKind::Int => "groovy.lang.IntRange",
            _ => "groovy.lang.ObjectRange",
        }
    }
}
