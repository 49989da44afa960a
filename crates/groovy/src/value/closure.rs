//! Closures: code with the variables it captured, by reference.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Value;
use super::meter::Charge;
use super::release::release;
use crate::ast::Text;
use crate::compile::Function;

/// A variable that a closure shares with the code around it.
#[derive(Debug, Default)]
pub struct Variable(pub RefCell<Value>);

impl Drop for Variable {
    fn drop(&mut self) {
        release(std::iter::once(self.0.take()));
    }
}

/// Where a closure looks for names that are not local; Groovy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is Closure's constant of that name")]
pub enum Strategy {
    OwnerFirst,
    DelegateFirst,
    OwnerOnly,
    DelegateOnly,
    ToSelf,
}

impl Strategy {
    /// From the number of the constant.
    pub fn from_number(n: i64) -> Option<Strategy> {
        Some(match n {
            0 => Strategy::OwnerFirst,
            1 => Strategy::DelegateFirst,
            2 => Strategy::OwnerOnly,
            3 => Strategy::DelegateOnly,
            4 => Strategy::ToSelf,
            _ => return None,
        })
    }
}

/// What a closure does when it is called.
#[derive(Clone, Debug)]
pub enum ClosureCode {
    /// Runs a function of a script.
    Function(Rc<Function>),
    /// `target.&name`
    Method {
        /// Receiver.
        target: Value,
        /// Name of the method.
        name: Text,
    },
    /// `curry`, `rcurry`, `ncurry`
    Curried {
        /// The closure called in the end.
        inner: Value,
        /// Arguments that are given already.
        args: Vec<Value>,
        /// Position of the first of them among all arguments; negative: counted from the end.
        at: i32,
    },
    /// `first >> then`
    Composed {
        /// Called first.
        first: Value,
        /// Called with its result.
        then: Value,
    },
}

/// A closure.
#[derive(Debug)]
pub struct Closure {
    /// What it does.
    pub code: ClosureCode,
    /// Captured variables.
    pub captured: Vec<Rc<Variable>>,
    /// `this` where it was written.
    pub this: Value,
    /// The closure or object around it.
    pub owner: Value,
    /// `None`: the owner.
    pub delegate: RefCell<Option<Value>>,
    /// Where names are looked for.
    pub strategy: Cell<Strategy>,
    _charge: Charge,
}

impl Closure {
    /// A closure with its owner as delegate.
    pub fn new(code: ClosureCode, captured: Vec<Rc<Variable>>, this: Value, owner: Value) -> Self {
        let charge = Charge::new(192 + captured.len() * 48);
        let (delegate, strategy) = (RefCell::new(None), Cell::new(Strategy::OwnerFirst));
        Closure { code, captured, this, owner, delegate, strategy, _charge: charge }
    }

    /// The delegate, which is the owner unless it was set.
    pub fn delegate(&self) -> Value {
        self.delegate.borrow().clone().unwrap_or_else(|| self.owner.clone())
    }

    /// A copy with other surroundings.
    pub fn rehydrate(&self, delegate: Value, owner: Value, this: Value) -> Closure {
        let copy = Closure::new(self.code.clone(), self.captured.clone(), this, owner);
        *copy.delegate.borrow_mut() = Some(delegate);
        copy.strategy.set(self.strategy.get());
        copy
    }

    /// A closure that this one calls, with the delegate and the strategy that were set on this one.
    pub(crate) fn lent(&self, called: &Value) -> Value {
        let (delegate, strategy) = (self.delegate.borrow().clone(), self.strategy.get());
        let Value::Closure(called) = called else { return called.clone() };
        if delegate.is_none() && strategy == Strategy::OwnerFirst {
            return Value::Closure(called.clone());
        }
        let delegate = delegate.unwrap_or_else(|| called.delegate());
        let copy = called.rehydrate(delegate, called.owner.clone(), called.this.clone());
        copy.strategy.set(strategy);
        Value::Closure(Rc::new(copy))
    }

    pub(crate) fn class_name(&self) -> String {
        match &self.code {
            ClosureCode::Function(f) => f.name.to_string(),
            ClosureCode::Method { .. } => "org.codehaus.groovy.runtime.MethodClosure".into(),
            ClosureCode::Curried { .. } => "org.codehaus.groovy.runtime.CurriedClosure".into(),
            ClosureCode::Composed { .. } => "org.codehaus.groovy.runtime.ComposedClosure".into(),
        }
    }
}

impl Drop for Closure {
    fn drop(&mut self) {
        let mut inner = Vec::new();
        match &mut self.code {
            ClosureCode::Function(_) => {}
            ClosureCode::Method { target, .. } => inner.push(std::mem::take(target)),
            ClosureCode::Curried { inner: i, args, .. } => {
                inner.push(std::mem::take(i));
                inner.append(args);
            }
            ClosureCode::Composed { first, then } => inner.extend([std::mem::take(first), std::mem::take(then)]),
        }
        // A variable that only this closure holds may hold a closure in turn: its value goes to the queue, too.
        for variable in self.captured.drain(..) {
            if let Ok(mut variable) = Rc::try_unwrap(variable) {
                inner.push(variable.0.get_mut().clone());
            }
        }
        inner.extend([std::mem::take(&mut self.this), std::mem::take(&mut self.owner)]);
        inner.extend(self.delegate.take());
        release(inner.into_iter());
    }
}
