//! The instructions that may fail, call, or ask the script.

use std::rc::Rc;

use super::exec::{Flow, Step, Vm};
use super::fiber::Landing;
use super::need::{Fault, Need};
use crate::ast::BinaryOp;
use crate::compile::{Capture, Function, Op};
use crate::library;
use crate::value::{
    Closure, ClosureCode, GString, List, ListKind, Map, MapKind, Native, Range, RangeKind, Value, Variable,
};

/// The method that an operator is.
pub(crate) fn binary_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "plus",
        BinaryOp::Sub => "minus",
        BinaryOp::Mul => "multiply",
        BinaryOp::Div => "div",
        BinaryOp::Mod => "mod",
        BinaryOp::Pow => "power",
        BinaryOp::ShiftLeft => "leftShift",
        BinaryOp::ShiftRight => "rightShift",
        BinaryOp::ShiftRightUnsigned => "rightShiftUnsigned",
        BinaryOp::BitAnd => "and",
        BinaryOp::BitOr => "or",
        BinaryOp::BitXor => "xor",
        _ => "compareTo",
    }
}

impl Vm<'_> {
    pub(super) fn slow(&mut self, op: Op, func: &Rc<Function>, base: usize) -> Step {
        match op {
            Op::Return => return self.return_value(),
            Op::Binary(op) => return self.binary(op),
            Op::Call(site) => return self.call_site(&func.sites[site as usize]),
            Op::CallName(site) => return self.call_name_site(&func.sites[site as usize]),
            Op::CallValue(site) => return self.call_value_site(&func.sites[site as usize]),
            Op::CallSuper(site) => return self.call_super_site(&func.sites[site as usize], func, None),
            Op::CallTraitSuper { site, name } => {
                let class = self.world.class(&func.names[name as usize]);
                return self.call_super_site(&func.sites[site as usize], func, class);
            }
            Op::CallConstructor { site, is_super } => {
                return self.call_constructor_site(&func.sites[site as usize], is_super, func);
            }
            Op::Initialise => return self.initialise_object(func),
            Op::New(site) => return self.new_site(&func.sites[site as usize]),
            Op::Name(n) => return self.load_name(&func.names[n as usize]),
            Op::SetName(n) => return self.store_name(&func.names[n as usize]),
            Op::Prop(n) => return self.load_property(&func.names[n as usize]),
            Op::SetProp(n) => return self.store_property(&func.names[n as usize]),
            Op::SetSuperProp(n) => return self.set_super_property(&func.names[n as usize], func),
            Op::SuperProp(n) => return self.super_property(&func.names[n as usize], func),
            Op::Attr(n) => self.load_attribute(&func.names[n as usize])?,
            Op::SetAttr(n) => self.store_attribute(&func.names[n as usize])?,
            Op::Static(n) => self.load_static(&func.names[n as usize], func)?,
            Op::SetStatic(n) => self.store_static(&func.names[n as usize], func)?,
            Op::PropDynamic => return self.load_dynamic_property(),
            Op::SetPropDynamic => return self.store_dynamic_property(),
            Op::ClassRef(n) => self.class_ref(&func.names[n as usize])?,
            Op::Index => return self.index(),
            Op::SetIndex => return self.set_index(),
            Op::Truth | Op::Not => {
                let truth = self.truth_of_top()? != matches!(op, Op::Not);
                self.replace(1, Value::Bool(truth));
            }
            Op::JumpFalse(to) | Op::JumpTrue(to) => {
                let truth = self.truth_of_top()?;
                self.f.stack.pop();
                if truth == matches!(op, Op::JumpTrue(_)) {
                    return Ok(self.jump(to));
                }
            }
            Op::JumpNotLess(to) => {
                let less = self.compare_top(BinaryOp::Less)?;
                self.drop_top(2);
                if !less {
                    return Ok(self.jump(to));
                }
            }
            Op::IncLocal { slot, by } => {
                let value = self.f.stack[base + slot as usize].clone();
                let name = if by > 0 { "next" } else { "previous" };
                let next = match value {
                    Value::Object(_) => self.ctx().ask(&value, name, &[])?,
                    _ => library::numbers::step(&mut self.ctx(), &value, name)?,
                };
                self.f.stack[base + slot as usize] = next;
            }
            Op::Next | Op::Previous | Op::Minus | Op::Plus | Op::BitNot => return self.unary(op),
            _ => return self.make(op, func, base),
        }
        Ok(Flow::Next)
    }

    /// Instructions that make values.
    fn make(&mut self, op: Op, func: &Rc<Function>, base: usize) -> Step {
        match op {
            Op::List(count) => {
                let at = self.f.stack.len() - count as usize;
                let items = self.f.stack.split_off(at);
                self.f.stack.push(Value::list(items));
            }
            Op::ListAdd => {
                let item = self.pop();
                if let Some(Value::List(list)) = self.f.stack.last() {
                    list.push(item);
                }
            }
            Op::ListAddAll => self.list_add_all()?,
            Op::Map(_) => self.f.stack.push(Value::Map(Rc::new(Map::new(MapKind::Linked)))),
            Op::MapPut => self.map_put()?,
            Op::MapPutAll => self.map_put_all()?,
            Op::Range(inclusive) => self.range(inclusive)?,
            Op::GString(n) => {
                let texts = func.texts[n as usize].clone();
                let at = self.f.stack.len() + 1 - texts.len();
                let values = self.f.stack.split_off(at);
                self.f.stack.push(Value::GString(Rc::new(GString::new(texts, values))));
            }
            Op::Closure(n) => self.closure(&func.functions[n as usize]),
            Op::Iterate => return self.iterate(),
            Op::IterNext { slot, end } => return self.iterate_next(base + slot as usize, end),
            Op::MethodPointer => {
                let name = self.top(1).clone();
                let name = self.ctx().text(&name)?;
                self.pop();
                let target = self.pop();
                let owner = self.f.frames.last().map(|f| f.this.clone()).unwrap_or_default();
                let code = ClosureCode::Method { target, name: name.into() };
                let closure = Closure::new(code, Vec::new(), owner.clone(), owner);
                self.f.stack.push(Value::Closure(Rc::new(closure)));
            }
            Op::NewArray { ty, sizes } => self.new_array(&func.types[ty as usize], sizes as usize)?,
            // Jenkins' engine casts null to whatever it is to be.
            Op::As(_) | Op::Cast(_) | Op::Coerce(_) if func.stepwise && self.top(1).is_null() => {}
            Op::As(ty) => return self.convert_as(&func.types[ty as usize]),
            Op::Cast(ty) | Op::Coerce(ty) => {
                let value = self.top(1).clone();
                let cast = self.cast(&value, &func.types[ty as usize])?;
                self.replace(1, cast);
            }
            Op::InstanceOf(ty) => {
                let is = self.instance_of(self.top(1), &func.types[ty as usize]);
                self.replace(1, Value::Bool(is));
            }
            Op::Record { slot, column } => {
                let value = self.top(1).clone();
                if let Value::List(recorded) = &self.f.stack[base + slot as usize] {
                    recorded.change(|r| r.extend([Value::Int(i32::from(column)), value]));
                }
            }
            Op::Case => return self.case(),
            _ => return self.control(op, func, base),
        }
        Ok(Flow::Next)
    }

    /// Instructions that change where the script goes on.
    fn control(&mut self, op: Op, func: &Rc<Function>, base: usize) -> Step {
        match op {
            Op::Throw => {
                let value = self.pop();
                if value.is_null() {
                    return Err(self.world.null_pointer("Cannot throw exception on null object"));
                }
                let throwable =
                    matches!(&value, Value::Object(o) if matches!(*o.native.borrow(), Native::Throwable(_)));
                if throwable {
                    return Err(Fault::Throw(value));
                }
                return Err(self.world.cast_fault(&value, "java.lang.Throwable"));
            }
            Op::EndFinally { slot, table } => {
                let at = base + slot as usize;
                match self.f.stack[at] {
                    Value::Int(0) => return Ok(self.jump(table)),
                    Value::Int(1) => {
                        let exception = std::mem::take(&mut self.f.stack[at + 1]);
                        return Err(Fault::Throw(exception));
                    }
                    _ => {}
                }
            }
            Op::IfGiven { param, target } => {
                let given = self.f.frames.last().is_none_or(|f| param >= 64 || f.given & (1 << param) != 0);
                if given {
                    return Ok(self.jump(target));
                }
            }
            Op::CatchTest { ty, target } => {
                if !self.instance_of(self.top(1), &func.types[ty as usize]) {
                    return Ok(self.jump(target));
                }
            }
            Op::AssertFail(with_message) => {
                let values = self.top(1).items().unwrap_or_default();
                let words = self.top(2).to_text();
                let power = "org.codehaus.groovy.runtime.powerassert.PowerAssertionError";
                let (class, text) = if with_message == 1 {
                    let message = self.top(3).clone();
                    let class =
                        if library::assertion::is_nothing(&message) { power } else { "java.lang.AssertionError" };
                    (class, library::assertion::sentence(&mut self.ctx(), &message, &words, &values)?)
                } else {
                    (power, library::assertion::picture(&mut self.ctx(), &words, &values)?)
                };
                return Err(self.world.fail(class, text));
            }
            Op::RecordName(n) => {
                let name = func.names[n as usize].clone();
                return Err(self.world.fail("java.lang.AbstractMethodError", format!("{name} has no body")));
            }
            _ => return Err(self.world.fail("groovy.lang.GroovyRuntimeException", "this code was not understood")),
        }
        Ok(Flow::Next)
    }

    pub(super) fn pop(&mut self) -> Value {
        self.f.stack.pop().unwrap_or_default()
    }

    /// The value `n` from the top (1: the top).
    pub(super) fn top(&self, n: usize) -> &Value {
        &self.f.stack[self.f.stack.len() - n]
    }

    pub(super) fn drop_top(&mut self, n: usize) {
        let len = self.f.stack.len();
        self.f.stack.truncate(len - n);
    }

    /// Replaces the top `n` values by one.
    pub(super) fn replace(&mut self, n: usize, value: Value) {
        self.drop_top(n);
        self.f.stack.push(value);
    }

    pub(super) fn jump(&mut self, to: u32) -> Flow {
        self.forget();
        if let Some(frame) = self.f.frames.last_mut() {
            frame.pc = to as usize;
        }
        Flow::Switch
    }

    /// Calls what an instruction asked for; its answer makes the instruction run again.
    pub(super) fn answer(&mut self, need: Need) -> Step {
        let at = self.f.stack.len();
        self.f.stack.push(need.receiver.clone());
        self.f.stack.extend(need.args.iter().cloned());
        let name = need.name;
        let landing = Landing::Answer(Box::new(need));
        match self.top(self.f.stack.len() - at) {
            Value::Closure(_) if name == "call" => self.call_value(at, at + 1, landing),
            _ => self.call_method(at, at + 1, name, false, landing),
        }
    }

    fn truth_of_top(&mut self) -> Result<bool, Fault> {
        let value = self.top(1).clone();
        match &value {
            Value::Bool(b) => Ok(*b),
            Value::Object(o) if o.class.has_method("asBoolean") => {
                Ok(matches!(self.ctx().ask(&value, "asBoolean", &[])?, Value::Bool(true)))
            }
            Value::GString(_) => Ok(!self.ctx().text(&value)?.is_empty()),
            Value::Matcher(_) => library::convert::truth(&mut self.ctx(), &value),
            other => Ok(other.truth()),
        }
    }

    fn compare_top(&mut self, op: BinaryOp) -> Result<bool, Fault> {
        let (a, b) = (self.top(2).clone(), self.top(1).clone());
        library::compare::relation(&mut self.ctx(), op, &a, &b)
    }

    fn binary(&mut self, op: BinaryOp) -> Step {
        let (a, b) = (self.top(2).clone(), self.top(1).clone());
        let result = match op {
            BinaryOp::Eq => Value::Bool(library::compare::equals(&mut self.ctx(), &a, &b)?),
            BinaryOp::NotEq => Value::Bool(!library::compare::equals(&mut self.ctx(), &a, &b)?),
            BinaryOp::Identical => Value::Bool(a.same(&b)),
            BinaryOp::NotIdentical => Value::Bool(!a.same(&b)),
            BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Greater | BinaryOp::GreaterEq => {
                Value::Bool(self.compare_top(op)?)
            }
            BinaryOp::Compare => {
                let order = library::compare::compare(&mut self.ctx(), &a, &b)?;
                Value::Int(order as i32)
            }
            BinaryOp::Find | BinaryOp::Match => library::regex::operator(&mut self.ctx(), op, &a, &b)?,
            _ => {
                if !self.f.used.is_empty() && self.of_category(&a, binary_name(op), std::slice::from_ref(&b))?.is_some()
                {
                    let at = self.f.stack.len() - 2;
                    return self.call_method(at, at + 1, binary_name(op), false, Landing::Push);
                }
                if let Some(value) = library::operators::binary(&mut self.ctx(), op, &a, &b)? {
                    value
                } else {
                    let at = self.f.stack.len() - 2;
                    return self.call_method(at, at + 1, binary_name(op), false, Landing::Push);
                }
            }
        };
        self.replace(2, result);
        Ok(Flow::Next)
    }

    fn unary(&mut self, op: Op) -> Step {
        let value = self.top(1).clone();
        let name = match op {
            Op::Next => "next",
            Op::Previous => "previous",
            Op::Minus => "negative",
            Op::Plus => "positive",
            _ => "bitwiseNegate",
        };
        if matches!(value, Value::Object(_)) {
            let at = self.f.stack.len() - 1;
            return self.call_method(at, at + 1, name, false, Landing::Push);
        }
        let result = library::numbers::step(&mut self.ctx(), &value, name)?;
        self.replace(1, result);
        Ok(Flow::Next)
    }

    fn list_add_all(&mut self) -> Result<(), Fault> {
        let items = self.top(1).clone();
        let items = match &items {
            Value::Null => vec![Value::Null],
            Value::List(_) | Value::Range(_) => library::sequence(&mut self.ctx(), &items)?.unwrap_or_default(),
            Value::Object(o) if let Some(list) = o.as_list() => list.snapshot(),
            other => {
                let text = self.ctx().styled(other, crate::value::render::Style::Java)?;
                let message = format!("cannot spread the type {} with value {text}", other.type_name());
                return Err(self.world.illegal(message));
            }
        };
        self.ctx().room_for_items(items.len() as u64)?;
        self.world.pay(items.len() / 8)?;
        self.pop();
        if let Some(Value::List(list)) = self.f.stack.last() {
            list.change(|l| l.extend(items));
        }
        Ok(())
    }

    fn map_put(&mut self) -> Result<(), Fault> {
        let (map, key) = (self.top(3).clone(), self.top(2).clone());
        if let Value::Map(map) = map {
            let key = library::sets::key(&mut self.ctx(), &map, &key)?;
            map.put(key, self.top(1).clone());
        }
        self.drop_top(2);
        Ok(())
    }

    fn map_put_all(&mut self) -> Result<(), Fault> {
        let source = self.top(1).clone();
        let target = self.top(2).clone();
        if let Value::Map(map) = &target
            && matches!(source, Value::Map(_))
            && library::sets::asks_one_of(map, &source)
        {
            self.ctx().ask(&target, "$putEach", std::slice::from_ref(&source))?;
            self.pop();
            return Ok(());
        }
        let pairs: Vec<(Value, Value)> = match &source {
            Value::Null => Vec::new(),
            Value::Map(m) => m.entries().iter().map(|(k, v)| (k.0.clone(), v.clone())).collect(),
            other => {
                return Err(self.world.illegal(format!(
                    "Cannot spread the map {} with type {}",
                    other,
                    other.type_name()
                )));
            }
        };
        self.world.pay(pairs.len())?;
        self.pop();
        if let Some(Value::Map(map)) = self.f.stack.last() {
            for (k, v) in pairs {
                map.put(k, v);
            }
        }
        Ok(())
    }

    fn range(&mut self, inclusive: bool) -> Result<(), Fault> {
        let (a, b) = (self.top(2).clone(), self.top(1).clone());
        let one_unit = |v: &Value| match v {
            Value::Str(s) if s.units() == 1 => s.unit(0).map(i64::from),
            _ => None,
        };
        let number = |v: &Value| {
            matches!(v, Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) | Value::BigInt(_))
                .then(|| v.as_i64())
                .flatten()
        };
        let small = |v: &Value| matches!(v, Value::Byte(_) | Value::Short(_) | Value::Int(_));
        let (mut inclusive, mut b) = (inclusive, b);
        if !(inclusive || small(&a) && small(&b)) {
            // Groovy goes one back from the end, and has what is not beyond.
            (b, inclusive) = library::range::last(&mut self.ctx(), &a, b)?;
        }
        let (from, to, kind) = match (&a, &b) {
            (x, y) if small(x) && small(y) => (x.as_i64().unwrap_or(0), y.as_i64().unwrap_or(0), RangeKind::Int),
            (Value::Char(x), Value::Char(y)) => (i64::from(*x), i64::from(*y), RangeKind::Char),
            _ => match (number(&a).zip(number(&b)), one_unit(&a).zip(one_unit(&b))) {
                (Some((x, y)), _) => (x, y, RangeKind::Long),
                (_, Some((x, y))) => (x, y, RangeKind::Text),
                _ if matches!(&a, Value::Object(o) if o.class.has_method("next") || o.class.has_method("previous")) => {
                    let list = self.ctx().ask(&a, "$range", &[b, inclusive.into()])?;
                    self.replace(2, list);
                    return Ok(());
                }
                _ => {
                    let list = library::range::by_steps(&mut self.ctx(), &a, &b, inclusive)?;
                    self.replace(2, list);
                    return Ok(());
                }
            },
        };
        self.replace(2, Value::Range(Rc::new(Range { from, to, inclusive, kind })));
        Ok(())
    }

    pub(super) fn captured(&self, from: Capture) -> Option<Rc<Variable>> {
        let frame = self.f.frames.last()?;
        match from {
            Capture::Shared(n) => frame.shared.get(n as usize).cloned(),
            Capture::Captured(n) => frame.closure.as_ref()?.captured.get(n as usize).cloned(),
        }
    }

    fn closure(&mut self, function: &Rc<Function>) {
        let Some(frame) = self.f.frames.last() else { return };
        let captured = function.captures.iter().filter_map(|c| self.captured(*c));
        let owner = frame.closure.as_ref().map_or_else(|| frame.this.clone(), |c| Value::Closure(c.clone()));
        let code = ClosureCode::Function(function.clone());
        let closure = Closure::new(code, captured.collect(), frame.this.clone(), owner);
        self.f.stack.push(Value::Closure(Rc::new(closure)));
    }

    fn new_array(&mut self, element: &crate::compile::Type, sizes: usize) -> Result<(), Fault> {
        let at = self.f.stack.len() - sizes;
        let mut counts = Vec::new();
        for size in &self.f.stack[at..] {
            let n = size.as_i64().unwrap_or(0);
            let n = usize::try_from(n)
                .map_err(|_| self.world.fail("java.lang.NegativeArraySizeException", n.to_string()))?;
            counts.push(n);
        }
        let total = counts.iter().fold(1u64, |t, n| t.saturating_mul(*n as u64 + 8));
        self.ctx().room_for_items(total)?;
        let array =
            nested_array(&counts, &super::convert::element_name(element), &super::convert::default_value(element));
        self.replace(sizes, array);
        Ok(())
    }
}

/// An array of arrays; as deep as the script wrote brackets.
fn nested_array(counts: &[usize], element: &str, fill: &Value) -> Value {
    let Some((count, inner)) = counts.split_first() else { return fill.clone() };
    let name = format!("{element}{}", "[]".repeat(inner.len()));
    let items = (0..*count).map(|_| nested_array(inner, element, fill)).collect();
    Value::List(Rc::new(List::new(items, ListKind::JavaArray(name.into()))))
}
