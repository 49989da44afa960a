//! The syntax tree of a Groovy 2.4 script. Every node has a span; names are shared strings.
//!
//! The tree says what was written, not what it means: `foo 'x'`, `foo('x')` and `foo 'x', { }` are all a
//! [`ExprKind::Call`]; whether `foo` is a method, a step or a closure in a variable is decided when it runs.

use std::rc::Rc;

use crate::span::Span;

/// A shared, immutable name or text.
pub type Text = Rc<str>;

/// A whole source file: Jenkinsfile, library variable or class file.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// `package a.b.c`.
    pub package: Option<(Text, Span)>,
    /// `import` lines.
    pub imports: Vec<Import>,
    /// Statements at top level, in order, method and class declarations taken out.
    pub body: Vec<Stmt>,
    /// Methods declared at top level.
    pub methods: Vec<Rc<Method>>,
    /// Classes, interfaces, traits and enums, outermost only.
    pub classes: Vec<Rc<Class>>,
}

/// `import [static] a.b.C[.*] [as D]`.
#[derive(Clone, Debug)]
pub struct Import {
    /// `@Library('x') _` and `@Grab` stand before an import.
    pub annotations: Vec<Annotation>,
    /// Dotted path, without `.*`.
    pub path: Text,
    /// `import static`.
    pub is_static: bool,
    /// `.*` at the end.
    pub star: bool,
    /// `as Name`.
    pub alias: Option<Text>,
    /// The whole line.
    pub span: Span,
}

/// `@Name(args)`.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Name as written, dotted where it was.
    pub name: Text,
    /// `@A(x)` has one argument named `value`.
    pub args: Vec<(Text, Expr)>,
    /// The whole annotation.
    pub span: Span,
}

/// Words before a declaration (`def` counts: `def x` and `String x` are different).
#[derive(Clone, Debug, Default)]
pub struct Modifiers {
    /// `@X` before it.
    pub annotations: Vec<Annotation>,
    /// `def`, `final`, `static`, `private` …, as written.
    pub words: Vec<Text>,
}

/// A type as written: `int`, `List<String>`, `String[]`, `a.b.C`.
#[derive(Clone, Debug)]
pub struct TypeRef {
    /// Dotted name without type arguments.
    pub name: Text,
    /// `<…>`; `?` is a type named `?`.
    pub args: Vec<TypeRef>,
    /// Number of `[]`.
    pub dimensions: u32,
    /// Where.
    pub span: Span,
}

/// A method or constructor (constructors are named like their class).
#[derive(Clone, Debug)]
pub struct Method {
    /// Annotations (`@NonCPS`) and words.
    pub modifiers: Modifiers,
    /// `<T, …>` as names.
    pub type_params: Vec<Text>,
    /// `None` for `def` and for constructors.
    pub return_type: Option<TypeRef>,
    /// Name.
    pub name: Text,
    /// Where the name stands.
    pub name_span: Span,
    /// Parameters.
    pub params: Vec<Param>,
    /// `throws A, B`.
    pub throws: Vec<TypeRef>,
    /// `None` for an abstract method.
    pub body: Option<Block>,
    /// `default x` of a member of an `@interface`.
    pub default_value: Option<Expr>,
    /// The whole declaration.
    pub span: Span,
}

/// A parameter of a method or closure.
#[derive(Clone, Debug)]
pub struct Param {
    /// `final`, annotations.
    pub modifiers: Modifiers,
    /// Type, where written.
    pub ty: Option<TypeRef>,
    /// Name.
    pub name: Text,
    /// `= value`.
    pub default: Option<Expr>,
    /// `String... names`.
    pub varargs: bool,
    /// Where.
    pub span: Span,
}

/// What kind of type a [`Class`] declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// `class`
    Class,
    /// `interface`
    Interface,
    /// `trait`
    Trait,
    /// `enum`
    Enum,
    /// `@interface`
    Annotation,
}

/// A class, interface, trait or enum.
#[derive(Clone, Debug)]
pub struct Class {
    /// Annotations and words.
    pub modifiers: Modifiers,
    /// What it is.
    pub kind: ClassKind,
    /// Name without package.
    pub name: Text,
    /// `<T, …>` as names.
    pub type_params: Vec<Text>,
    /// `extends`.
    pub extends: Vec<TypeRef>,
    /// `implements`.
    pub implements: Vec<TypeRef>,
    /// Constants of an enum, in order.
    pub constants: Vec<EnumConstant>,
    /// Fields and properties.
    pub fields: Vec<Field>,
    /// Methods and constructors.
    pub methods: Vec<Rc<Method>>,
    /// `static { … }` blocks.
    pub static_init: Vec<Block>,
    /// `{ … }` blocks.
    pub instance_init: Vec<Block>,
    /// Nested types.
    pub classes: Vec<Rc<Class>>,
    /// The whole declaration.
    pub span: Span,
}

/// One constant of an enum: `A`, `B(1)`, `C { … }`.
#[derive(Clone, Debug)]
pub struct EnumConstant {
    /// `@X` before it.
    pub annotations: Vec<Annotation>,
    /// Name.
    pub name: Text,
    /// Arguments of its constructor.
    pub args: Vec<Arg>,
    /// Members of its own.
    pub body: Option<Rc<Class>>,
    /// Where.
    pub span: Span,
}

/// A field (with an access word) or a property (without).
#[derive(Clone, Debug)]
pub struct Field {
    /// Annotations and words.
    pub modifiers: Modifiers,
    /// Type, where written.
    pub ty: Option<TypeRef>,
    /// Name.
    pub name: Text,
    /// `= value`.
    pub init: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// Statements in braces.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// In order.
    pub stmts: Vec<Stmt>,
    /// Including the braces.
    pub span: Span,
}

/// A statement with its place and its labels (`a: b: stmt`).
#[derive(Clone, Debug)]
pub struct Stmt {
    /// Outermost label first.
    pub labels: Vec<Text>,
    /// What it is.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// The kinds of statement.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the parts of the form that the variant shows")]
pub enum StmtKind {
    /// An expression; the last one of a body is its value.
    Expr(Expr),
    /// `def x = 1`, `String a = 'x', b`, `def (a, b) = list`.
    Local(Local),
    /// `if (c) a else b`
    If { cond: Expr, then: Box<Stmt>, otherwise: Option<Box<Stmt>> },
    /// `while (c) body`
    While { cond: Expr, body: Box<Stmt> },
    /// `for (x in xs) body`, `for (T x : xs) body`
    ForIn { modifiers: Modifiers, ty: Option<TypeRef>, name: Text, iterable: Expr, body: Box<Stmt> },
    /// `for (init; cond; step) body`
    ForClassic { init: Vec<Stmt>, cond: Option<Expr>, step: Vec<Expr>, body: Box<Stmt> },
    /// `switch (x) { case … }`
    Switch { subject: Expr, cases: Vec<Case> },
    /// `try … catch … finally`
    Try { body: Block, catches: Vec<Catch>, finally: Option<Block> },
    /// `return x`
    Return(Option<Expr>),
    /// `break label`
    Break(Option<Text>),
    /// `continue label`
    Continue(Option<Text>),
    /// `throw x`
    Throw(Expr),
    /// `assert x : message`
    Assert { cond: Expr, message: Option<Expr>, text: Text },
    /// `synchronized (x) { … }`: the compiler refuses it outside of `@NonCPS` methods, as Jenkins does.
    Synchronized { lock: Expr, body: Block },
    /// A block in braces where a statement stands.
    Block(Block),
    /// `;`
    Empty,
}

/// A declaration of local (or, at top level, script) variables.
#[derive(Clone, Debug)]
pub struct Local {
    /// `def`, `final`, `@Field`.
    pub modifiers: Modifiers,
    /// Type, where written.
    pub ty: Option<TypeRef>,
    /// What is declared.
    pub target: LocalTarget,
}

/// What a [`Local`] declares.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the parts of the form that the variant shows")]
pub enum LocalTarget {
    /// `a = 1, b`
    Names(Vec<Declarator>),
    /// `(a, int b) = expr`
    Tuple { names: Vec<(Option<TypeRef>, Text, Span)>, init: Expr },
}

/// One `name [= init]`.
#[derive(Clone, Debug)]
pub struct Declarator {
    /// Name.
    pub name: Text,
    /// `= init`.
    pub init: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// One `case x:` or `default:` with the statements up to the next.
#[derive(Clone, Debug)]
pub struct Case {
    /// `None` for `default`.
    pub test: Option<Expr>,
    /// Falls through at its end.
    pub body: Vec<Stmt>,
    /// Where the label stands.
    pub span: Span,
}

/// `catch (A | B e) { … }`.
#[derive(Clone, Debug)]
pub struct Catch {
    /// Empty for `catch (e)`.
    pub types: Vec<TypeRef>,
    /// Name of the variable.
    pub name: Text,
    /// The block.
    pub body: Block,
    /// Where.
    pub span: Span,
}

/// An expression with its place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Box<ExprKind>,
    /// Where.
    pub span: Span,
}

/// One argument of a call.
#[derive(Clone, Debug)]
pub enum Arg {
    /// `x`
    Positional(Expr),
    /// `name: x`, `'name': x`, `(expr): x`
    Named(MapKey, Expr),
    /// `*list`
    Spread(Expr),
    /// `*: map`
    SpreadMap(Expr),
}

/// The key of a map entry or named argument.
#[derive(Clone, Debug)]
pub enum MapKey {
    /// `name:`, `'name':`, `1:`; the value is a constant.
    Constant(Constant, Span),
    /// `"a${b}":` or `(expr):`
    Dynamic(Expr),
}

/// An entry of a map literal.
#[derive(Clone, Debug)]
pub enum MapEntry {
    /// `key: value`
    Pair(MapKey, Expr),
    /// `*: map`
    Spread(Expr),
}

/// A literal value.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1`, `0x1F`, `1_000`, `1i`; ints that fit 32 bits without a suffix.
    Int(i32),
    /// `1L`, or too large for 32 bits.
    Long(i64),
    /// `1g`, or too large for 64 bits: decimal digits with an optional sign.
    BigInt(Text),
    /// `1.5`, `1e3`, `1.5g`: as written, without underscores and suffix.
    Decimal(Text),
    /// `1f`
    Float(f32),
    /// `1d`
    Double(f64),
    /// A string without interpolation, escapes resolved.
    Str(Text),
}

/// A part of a GString.
#[derive(Clone, Debug)]
pub enum StrPart {
    /// Text, escapes resolved.
    Text(Text),
    /// `$a.b` or `${ expr }`.
    Expr(Expr),
    /// `${ -> expr }` or `${ statements }`: a closure, called when the string is rendered (with `->`) or at once.
    Closure(Rc<Closure>),
}

/// A closure literal.
#[derive(Clone, Debug)]
pub struct Closure {
    /// `None` without an arrow (then there is an implicit `it`); `Some(vec![])` for `{ -> … }`.
    pub params: Option<Vec<Param>>,
    /// The statements; the span includes the braces.
    pub body: Block,
}

/// Operators of two operands that are method calls or comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the operator named by `symbol`")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    ShiftLeft,
    ShiftRight,
    ShiftRightUnsigned,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Eq,
    NotEq,
    Identical,
    NotIdentical,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Compare,
    /// `=~`
    Find,
    /// `==~`
    Match,
    In,
    NotIn,
}

/// Operators of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the operator of that name")]
pub enum UnaryOp {
    Not,
    Minus,
    Plus,
    BitNot,
}

/// How a property or method is reached from its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `.`
    Dot,
    /// `?.`
    Safe,
    /// `*.`
    Spread,
}

/// The name after a dot.
#[derive(Clone, Debug)]
pub enum Member {
    /// `a.b`, `a.'b'`
    Name(Text, Span),
    /// `a."b${c}"`, `a.(expr)`; `a.{ … }` as a closure.
    Dynamic(Expr),
}

/// The kinds of expression.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the parts of the form that the variant shows")]
pub enum ExprKind {
    /// A literal.
    Constant(Constant),
    /// A string with interpolation.
    GString(Vec<StrPart>),
    /// `[a, *b]`
    List(Vec<Arg>),
    /// `[a: 1, *: b]`, `[:]`
    Map(Vec<MapEntry>),
    /// `a..b` (inclusive) or `a..<b`
    Range { from: Expr, to: Expr, inclusive: bool },
    /// `name`, also `this` and `super`.
    Name(Text),
    /// `a.b`, `a?.b`, `a*.b`; `attribute` for `a.@b`.
    Property { object: Expr, member: Member, access: Access, attribute: bool },
    /// `a.&b`
    MethodPointer { object: Expr, member: Member },
    /// `a[b]`, `a[b, c]`
    Index { object: Expr, index: Vec<Arg> },
    /// A call. Without `object`, `callee` is a name that is resolved when it runs. Trailing closures are the last
    /// positional arguments. `command` marks the form without parentheses.
    Call { object: Option<Expr>, callee: Member, access: Access, args: Vec<Arg>, command: bool },
    /// `f(x)(y)`, `{ it }(1)`, `a[0](1)`: the value of an expression is called.
    CallValue { callee: Expr, args: Vec<Arg> },
    /// `new T(args) { body }`
    New { ty: TypeRef, args: Vec<Arg>, body: Option<Rc<Class>> },
    /// `new T[n][m]`, `new T[] { a, b }`
    NewArray { ty: TypeRef, sizes: Vec<Expr>, init: Option<Vec<Expr>> },
    /// `{ a -> b }`
    Closure(Rc<Closure>),
    /// `a + b`
    Binary { op: BinaryOp, left: Expr, right: Expr },
    /// `!a`
    Unary { op: UnaryOp, operand: Expr },
    /// `++a`, `a--`
    IncDec { target: Expr, increment: bool, prefix: bool },
    /// `a = b`, `a += b` (then `op`), `(a, b) = c` (target is a list)
    Assign { target: Expr, op: Option<BinaryOp>, value: Expr },
    /// `a ? b : c`
    Ternary { cond: Expr, then: Expr, otherwise: Expr },
    /// `a ?: b`
    Elvis { value: Expr, otherwise: Expr },
    /// `a as T`
    As { value: Expr, ty: TypeRef },
    /// `(T) a`
    Cast { ty: TypeRef, value: Expr },
    /// `a instanceof T`
    InstanceOf { value: Expr, ty: TypeRef },
    /// `String.class`, `int[]`: a type where an expression stands that cannot be a name.
    TypeLiteral(TypeRef),
    /// `f(def x = 1)`: a declaration where an argument stands. Groovy's grammar has it; nobody writes it.
    Declaration(Box<Local>),
    /// `@A(x)` where a value stands (inside the arguments of another annotation).
    Annotation(Box<Annotation>),
    /// Left by error recovery; there is a diagnostic for it.
    Error,
}
