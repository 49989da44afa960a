//! What the compiler makes: functions of instructions, with the tables they point into.

use std::rc::Rc;

use crate::ast::{BinaryOp, Text};
use crate::machine::ScriptId;
use crate::span::Span;
use crate::value::{Str, Value};

/// A type that values are checked against or converted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `def`, `Object`, a type parameter.
    Any,
    /// A primitive, by its Java name (`int`, `boolean` …).
    Primitive(&'static str),
    /// A class by its name as resolved: full where the compiler knew it.
    Class(Text),
    /// `T[]`
    Array(Box<Type>),
}

/// Whether what answers it may be a getter by the name `isReady`.
pub(super) fn is_boolean(ty: &Type) -> bool {
    match ty {
        Type::Primitive(name) => *name == "boolean",
        Type::Class(name) => &**name == "java.lang.Boolean",
        _ => false,
    }
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name.
    pub name: Text,
    /// Declared type.
    pub ty: Type,
    /// Whether a call may leave it out.
    pub has_default: bool,
}

/// Where a new closure finds a variable that it captures.
#[derive(Clone, Copy, Debug)]
pub enum Capture {
    /// A shared variable of the function that makes the closure.
    Shared(u16),
    /// A variable that function captured itself.
    Captured(u16),
}

/// Code between `start` and `end` whose exceptions go to `target`.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// First instruction.
    pub start: u32,
    /// One past the last.
    pub end: u32,
    /// Where the exception is handled; it is on the stack then.
    pub target: u32,
}

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// Body of a script.
    Script,
    /// Method of a script or class.
    Method {
        /// `static`
        is_static: bool,
    },
    /// Constructor.
    Constructor,
    /// Field initialisers.
    Init,
    /// Closure.
    Closure,
}

/// A call as written.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name of the method, of the class for `new`.
    pub name: Text,
    /// Values on the stack above the receiver. Named arguments are the first, as one map. Ignored where `spread`.
    pub count: u16,
    /// Whether the first argument is the map of named arguments.
    pub named: bool,
    /// One list with all arguments is on the stack instead of them.
    pub spread: bool,
    /// The name is on the stack below the arguments (`a."$b"(c)`).
    pub dynamic: bool,
    /// Arguments that are casts, by position, and their types.
    pub casts: Vec<(u16, Type)>,
    /// Fields of what `new` makes that are variables around it.
    pub shares: Vec<(Text, Capture)>,
}

impl Site {
    /// So many arguments, and nothing that is special.
    pub fn plain(name: &str, count: u16) -> Site {
        Site {
            name: name.into(),
            count,
            named: false,
            spread: false,
            dynamic: false,
            casts: Vec::new(),
            shares: Vec::new(),
        }
    }
}

/// Compiled code.
#[derive(Debug)]
pub struct Function {
    /// Name; of closures, the class name that Groovy would give it.
    pub name: Text,
    /// Where it is from.
    pub script: ScriptId,
    /// Class it is declared in, for `super` and private access.
    pub class: Option<Text>,
    /// What it is.
    pub kind: FunctionKind,
    /// A method without a body.
    pub is_abstract: bool,
    /// `private`
    pub is_private: bool,
    /// Declared to answer a `boolean` or `Boolean`: only then `isReady` is a getter.
    pub is_test: bool,
    /// From the library's own Groovy text: left out of stack traces.
    pub library: bool,
    /// Code that Jenkins' engine runs step by step, which checks no types of results, arguments of closures, and nothing that is null.
    pub stepwise: bool,
    /// Of a closure that is run step by step, the method that its text stands in: to Jenkins it is a part of that.
    pub around: Option<Text>,
    /// Parameters; for a closure without an arrow the implicit `it`.
    pub params: Vec<Parameter>,
    /// The last parameter takes any number of arguments.
    pub varargs: bool,
    /// The one parameter is the implicit `it`.
    pub implicit_it: bool,
    /// Slots for locals, parameters first.
    pub locals: u16,
    /// Shared variables (captured by closures inside).
    pub shared: u16,
    /// What this closure captures from the function around it.
    pub captures: Vec<Capture>,
    /// Instructions.
    pub code: Vec<Op>,
    /// Place of each instruction.
    pub spans: Vec<Span>,
    /// Constants.
    pub consts: Vec<Value>,
    /// Names.
    pub names: Vec<Text>,
    /// Calls.
    pub sites: Vec<Site>,
    /// Closures and anonymous code.
    pub functions: Vec<Rc<Function>>,
    /// Types.
    pub types: Vec<Type>,
    /// Texts of GStrings.
    pub texts: Vec<Vec<Str>>,
    /// Exception handlers, innermost first.
    pub handlers: Vec<Handler>,
    /// No parameter needs a check or a conversion.
    pub plain_params: bool,
    /// Place of the declaration.
    pub span: Span,
}

/// An instruction. Operands come from the stack, results go there.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is described by the machine's code for it")]
pub enum Op {
    Const(u32),
    Null,
    True,
    False,
    Int(i32),
    Load(u16),
    Store(u16),
    LoadShared(u16),
    StoreShared(u16),
    FreshShared(u16),
    LoadCaptured(u16),
    StoreCaptured(u16),
    Pop,
    Dup,
    DupPair,
    /// a b → b a b (keeps an assigned value under its receiver)
    Tuck,
    /// a b c → c a b c
    TuckUnderPair,
    Swap,
    This,
    ClassRef(u32),
    Name(u32),
    SetName(u32),
    Prop(u32),
    SetProp(u32),
    SuperProp(u32),
    SetSuperProp(u32),
    Attr(u32),
    SetAttr(u32),
    /// A static field of the class whose method this is.
    Static(u32),
    SetStatic(u32),
    PropDynamic,
    SetPropDynamic,
    Index,
    SetIndex,
    Call(u32),
    CallName(u32),
    CallValue(u32),
    CallSuper(u32),
    /// `T.super.method(args)`: the method as that class or trait has it.
    CallTraitSuper {
        site: u32,
        name: u32,
    },
    CallConstructor {
        site: u32,
        is_super: bool,
    },
    /// Runs the field initialisers of the class whose constructor this is.
    Initialise,
    New(u32),
    NewArray {
        ty: u32,
        sizes: u32,
    },
    Binary(BinaryOp),
    Not,
    Minus,
    Plus,
    BitNot,
    Next,
    Previous,
    IncLocal {
        slot: u16,
        by: i32,
    },
    Truth,
    Jump(u32),
    JumpFalse(u32),
    JumpTrue(u32),
    /// Jumps where the top is null and keeps it.
    JumpNull(u32),
    /// Jumps where both operands are ints and not `left < right` … else compares in full.
    JumpNotLess(u32),
    List(u32),
    ListAdd,
    ListAddAll,
    Map(u32),
    MapPut,
    MapPutAll,
    Range(bool),
    GString(u32),
    Closure(u32),
    Iterate,
    IterNext {
        slot: u16,
        end: u32,
    },
    Throw,
    Return,
    /// Ends a finally block: slot holds what to do, slot + 1 the exception or value.
    EndFinally {
        slot: u16,
        table: u32,
    },
    As(u32),
    Cast(u32),
    Coerce(u32),
    InstanceOf(u32),
    Case,
    /// Goes on at `target` where parameter `param` was given by the caller.
    IfGiven {
        param: u16,
        target: u32,
    },
    /// Goes on with the next instruction where the exception on the stack is of the type, else at `target`.
    CatchTest {
        ty: u32,
        target: u32,
    },
    MethodPointer,
    AssertFail(u32),
    /// Keeps the value on the stack for the message of an assertion, with its column.
    Record {
        slot: u16,
        column: u16,
    },
    /// Runs the static initialisers and then the body.
    RecordName(u32),
    /// Stops at code the front end reported an error for.
    Broken,
}
