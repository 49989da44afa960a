//! Prints a tree as S-expressions, for tests and for looking at what the parser understood.
//!
//! Names and constants stand for themselves; everything else is `(form part …)`.

use std::fmt::{self, Write as _};

use crate::ast::{
    Access, Annotation, Arg, BinaryOp, Block, Class, ClassKind, Closure, Constant, Expr, ExprKind, Import, Local,
    LocalTarget, MapEntry, MapKey, Member, Method, Modifiers, Param, Script, Stmt, StmtKind, StrPart, TypeRef, UnaryOp,
};
use crate::stack;

/// The whole script, one item a line: package, imports, classes, methods, then statements.
pub fn script(script: &Script) -> String {
    stack::with_room(|| lines(script))
}

fn lines(script: &Script) -> String {
    let mut lines: Vec<String> = Vec::new();
    if let Some((name, _)) = &script.package {
        lines.push(format!("(package {name})"));
    }
    lines.extend(script.imports.iter().map(import));
    lines.extend(script.classes.iter().map(|c| class(c)));
    lines.extend(script.methods.iter().map(|m| method(m)));
    lines.extend(script.body.iter().map(stmt));
    lines.join("\n")
}

/// `(form part …)`
struct Form(String);

impl Form {
    fn new(head: &str) -> Form {
        Form(format!("({head}"))
    }

    fn with(mut self, part: impl fmt::Display) -> Form {
        let _ = write!(self.0, " {part}");
        self
    }

    fn all<T: fmt::Display>(mut self, parts: impl IntoIterator<Item = T>) -> Form {
        for part in parts {
            self = self.with(part);
        }
        self
    }

    fn end(mut self) -> String {
        self.0.push(')');
        self.0
    }
}

fn import(import: &Import) -> String {
    let mut form = Form::new(if import.is_static { "import-static" } else { "import" });
    form = form.all(import.annotations.iter().map(annotation)).with(&import.path);
    if import.star {
        form = form.with("*");
    }
    form.all(import.alias.iter().map(|a| format!("as {a}"))).end()
}

fn annotation(annotation: &Annotation) -> String {
    if annotation.args.is_empty() {
        return format!("@{}", annotation.name);
    }
    let args: Vec<String> = annotation.args.iter().map(|(name, value)| format!("{name}={}", expr(value))).collect();
    format!("@{}({})", annotation.name, args.join(" "))
}

fn modifiers(modifiers: &Modifiers) -> Vec<String> {
    let words = modifiers.words.iter().map(|w| w.to_string());
    modifiers.annotations.iter().map(annotation).chain(words).collect()
}

fn type_ref(ty: &TypeRef) -> String {
    let mut out = ty.name.to_string();
    if !ty.args.is_empty() {
        let args: Vec<String> = ty.args.iter().map(type_ref).collect();
        let _ = write!(out, "<{}>", args.join(","));
    }
    out + &"[]".repeat(ty.dimensions as usize)
}

fn class(class: &Class) -> String {
    let head = match class.kind {
        ClassKind::Class => "class",
        ClassKind::Interface => "interface",
        ClassKind::Trait => "trait",
        ClassKind::Enum => "enum",
        ClassKind::Annotation => "@interface",
    };
    let mut form = Form::new(head).all(modifiers(&class.modifiers));
    if !class.name.is_empty() {
        form = form.with(&class.name);
    }
    form = form.all(class.type_params.iter().map(|t| format!("<{t}>")));
    form = form.all(class.extends.iter().map(|t| format!("extends:{}", type_ref(t))));
    form = form.all(class.implements.iter().map(|t| format!("implements:{}", type_ref(t))));
    for constant in &class.constants {
        let body = constant.body.iter().map(|c| self::class(c));
        form = form.with(Form::new("constant").with(&constant.name).all(constant.args.iter().map(arg)).all(body).end());
    }
    for field in &class.fields {
        let ty = field.ty.iter().map(type_ref);
        let inner = Form::new("field").all(modifiers(&field.modifiers)).all(ty).with(&field.name);
        form = form.with(inner.all(field.init.iter().map(expr)).end());
    }
    form = form.all(class.methods.iter().map(|m| method(m)));
    form = form.all(class.static_init.iter().map(|b| block("static-init", b)));
    form = form.all(class.instance_init.iter().map(|b| block("init", b)));
    form.all(class.classes.iter().map(|c| self::class(c))).end()
}

fn method(method: &Method) -> String {
    let mut form = Form::new("method").all(modifiers(&method.modifiers));
    form = form.all(method.type_params.iter().map(|t| format!("<{t}>")));
    form = form.all(method.return_type.iter().map(type_ref)).with(&method.name).with(params(&method.params));
    form = form.all(method.throws.iter().map(|t| format!("throws:{}", type_ref(t))));
    form = form.all(method.default_value.iter().map(|d| format!("default:{}", expr(d))));
    form.all(method.body.iter().flat_map(|b| b.stmts.iter().map(stmt))).end()
}

fn params(params: &[Param]) -> String {
    let all: Vec<String> = params.iter().map(param).collect();
    format!("[{}]", all.join(", "))
}

fn param(param: &Param) -> String {
    let mut words = modifiers(&param.modifiers);
    words.extend(param.ty.iter().map(type_ref));
    words.push(if param.varargs { format!("...{}", param.name) } else { param.name.to_string() });
    words.extend(param.default.iter().map(|d| format!("= {}", expr(d))));
    words.join(" ")
}

fn block(head: &str, block: &Block) -> String {
    Form::new(head).all(block.stmts.iter().map(stmt)).end()
}

/// One statement.
pub fn stmt(stmt: &Stmt) -> String {
    let inner = stmt_kind(&stmt.kind);
    stmt.labels.iter().rev().fold(inner, |inner, label| format!("(label {label} {inner})"))
}

fn stmt_kind(kind: &StmtKind) -> String {
    match kind {
        StmtKind::Expr(e) => expr(e),
        StmtKind::Local(l) => local(l),
        StmtKind::If { cond, then, otherwise } => {
            Form::new("if").with(expr(cond)).with(stmt(then)).all(otherwise.iter().map(|s| stmt(s))).end()
        }
        StmtKind::While { cond, body } => Form::new("while").with(expr(cond)).with(stmt(body)).end(),
        StmtKind::ForIn { modifiers: m, ty, name, iterable, body } => Form::new("for-in")
            .all(modifiers(m))
            .all(ty.iter().map(type_ref))
            .with(name)
            .with(expr(iterable))
            .with(stmt(body))
            .end(),
        StmtKind::ForClassic { init, cond, step, body } => {
            let init: Vec<String> = init.iter().map(stmt).collect();
            let step: Vec<String> = step.iter().map(expr).collect();
            let cond = cond.iter().map(expr).collect::<String>();
            let head = format!("[{}; {cond}; {}]", init.join(" "), step.join(" "));
            Form::new("for").with(head).with(stmt(body)).end()
        }
        StmtKind::Switch { subject, cases } => {
            let case = |case: &crate::ast::Case| match &case.test {
                Some(test) => Form::new("case").with(expr(test)).all(case.body.iter().map(stmt)).end(),
                None => Form::new("default").all(case.body.iter().map(stmt)).end(),
            };
            Form::new("switch").with(expr(subject)).all(cases.iter().map(case)).end()
        }
        StmtKind::Try { body, catches, finally } => {
            let catch = |c: &crate::ast::Catch| {
                let types: Vec<String> = c.types.iter().map(type_ref).collect();
                let head =
                    if types.is_empty() { c.name.to_string() } else { format!("{} {}", types.join("|"), c.name) };
                block(&format!("catch {head}"), &c.body)
            };
            let form = Form::new("try").with(block("do", body)).all(catches.iter().map(catch));
            form.all(finally.iter().map(|b| block("finally", b))).end()
        }
        StmtKind::Return(value) => Form::new("return").all(value.iter().map(expr)).end(),
        StmtKind::Break(label) => Form::new("break").all(label).end(),
        StmtKind::Continue(label) => Form::new("continue").all(label).end(),
        StmtKind::Throw(value) => Form::new("throw").with(expr(value)).end(),
        StmtKind::Assert { cond, message, .. } => {
            Form::new("assert").with(expr(cond)).all(message.iter().map(expr)).end()
        }
        StmtKind::Synchronized { lock, body } => {
            Form::new("synchronized").with(expr(lock)).with(block("do", body)).end()
        }
        StmtKind::Block(b) => block("do", b),
        StmtKind::Empty => "()".into(),
    }
}

fn local(local: &Local) -> String {
    let form = Form::new("local").all(modifiers(&local.modifiers)).all(local.ty.iter().map(type_ref));
    match &local.target {
        LocalTarget::Names(names) => form
            .all(names.iter().map(|d| match &d.init {
                Some(init) => format!("{} = {}", d.name, expr(init)),
                None => d.name.to_string(),
            }))
            .end(),
        LocalTarget::Tuple { names, init } => {
            let name = |(ty, name, _): &(Option<TypeRef>, crate::ast::Text, crate::span::Span)| match ty {
                Some(ty) => format!("{} {name}", type_ref(ty)),
                None => name.to_string(),
            };
            let names: Vec<String> = names.iter().map(name).collect();
            form.with(format!("({}) = {}", names.join(", "), expr(init))).end()
        }
    }
}

/// One expression.
pub fn expr(e: &Expr) -> String {
    match &*e.kind {
        ExprKind::Constant(c) => constant(c),
        ExprKind::GString(parts) => Form::new("gstring").all(parts.iter().map(str_part)).end(),
        ExprKind::List(items) => Form::new("list").all(items.iter().map(arg)).end(),
        ExprKind::Map(entries) => Form::new("map").all(entries.iter().map(map_entry)).end(),
        ExprKind::Range { from, to, inclusive } => {
            Form::new(if *inclusive { ".." } else { "..<" }).with(expr(from)).with(expr(to)).end()
        }
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Property { object, member: m, access, attribute } => {
            format!("{}{}{}{}", expr(object), dot(*access), if *attribute { "@" } else { "" }, member(m))
        }
        ExprKind::MethodPointer { object, member: m } => format!("{}.&{}", expr(object), member(m)),
        ExprKind::Index { object, index } => Form::new("index").with(expr(object)).all(index.iter().map(arg)).end(),
        ExprKind::Call { object, callee, access, args, command } => {
            let head = if *command { "cmd" } else { "call" };
            let callee = match object {
                Some(object) => format!("{}{}{}", expr(object), dot(*access), member(callee)),
                None => member(callee),
            };
            Form::new(head).with(callee).all(args.iter().map(arg)).end()
        }
        ExprKind::CallValue { callee, args } => {
            Form::new("call-value").with(expr(callee)).all(args.iter().map(arg)).end()
        }
        ExprKind::Closure(c) => closure(c),
        ExprKind::Binary { .. } => binary(e),
        ExprKind::TypeLiteral(ty) => format!("'{}", type_ref(ty)),
        ExprKind::Declaration(l) => local(l),
        ExprKind::Annotation(a) => annotation(a),
        ExprKind::Error => "<error>".into(),
        other => operation(other),
    }
}

/// A chain of operators, without recursion on its left side.
fn binary(e: &Expr) -> String {
    let (mut left, mut rest) = (e, Vec::new());
    while let ExprKind::Binary { op, left: next, right } = &*left.kind {
        rest.push((*op, right));
        left = next;
    }
    let first = expr(left);
    rest.iter().rev().fold(first, |left, (op, right)| Form::new(symbol(*op)).with(left).with(expr(right)).end())
}

fn operation(kind: &ExprKind) -> String {
    match kind {
        ExprKind::New { ty, args, body } => {
            let form = Form::new("new").with(type_ref(ty)).all(args.iter().map(arg));
            form.all(body.iter().map(|c| class(c))).end()
        }
        ExprKind::NewArray { ty, sizes, init } => {
            let form = Form::new("new-array").with(type_ref(ty)).all(sizes.iter().map(expr));
            form.all(init.iter().flatten().map(expr)).end()
        }
        ExprKind::Unary { op, operand } => {
            let symbol = match op {
                UnaryOp::Not => "!",
                UnaryOp::Minus => "-",
                UnaryOp::Plus => "+",
                UnaryOp::BitNot => "~",
            };
            Form::new(symbol).with(expr(operand)).end()
        }
        ExprKind::IncDec { target, increment, prefix } => {
            let symbol = if *increment { "++" } else { "--" };
            let head = if *prefix { format!("{symbol}_") } else { format!("_{symbol}") };
            Form::new(&head).with(expr(target)).end()
        }
        ExprKind::Assign { target, op, value } => {
            let head = format!("{}=", op.map_or("", symbol));
            Form::new(&head).with(expr(target)).with(expr(value)).end()
        }
        ExprKind::Ternary { cond, then, otherwise } => {
            Form::new("?").with(expr(cond)).with(expr(then)).with(expr(otherwise)).end()
        }
        ExprKind::Elvis { value, otherwise } => Form::new("?:").with(expr(value)).with(expr(otherwise)).end(),
        ExprKind::As { value, ty } => Form::new("as").with(expr(value)).with(type_ref(ty)).end(),
        ExprKind::Cast { ty, value } => Form::new("cast").with(type_ref(ty)).with(expr(value)).end(),
        ExprKind::InstanceOf { value, ty } => Form::new("instanceof").with(expr(value)).with(type_ref(ty)).end(),
        _ => String::new(),
    }
}

fn closure(closure: &Closure) -> String {
    let form = match &closure.params {
        Some(p) => Form::new("closure").with(params(p)),
        None => Form::new("closure"),
    };
    form.all(closure.body.stmts.iter().map(stmt)).end()
}

fn str_part(part: &StrPart) -> String {
    match part {
        StrPart::Text(text) => format!("{text:?}"),
        StrPart::Expr(e) => expr(e),
        StrPart::Closure(c) => format!("${}", closure(c)),
    }
}

fn arg(arg: &Arg) -> String {
    match arg {
        Arg::Positional(e) => expr(e),
        Arg::Named(key, e) => format!("{}: {}", map_key(key), expr(e)),
        Arg::Spread(e) => format!("*{}", expr(e)),
        Arg::SpreadMap(e) => format!("*:{}", expr(e)),
    }
}

fn map_entry(entry: &MapEntry) -> String {
    match entry {
        MapEntry::Pair(key, value) => format!("{}: {}", map_key(key), expr(value)),
        MapEntry::Spread(e) => format!("*:{}", expr(e)),
    }
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::Constant(Constant::Str(s), _) => s.to_string(),
        MapKey::Constant(c, _) => constant(c),
        MapKey::Dynamic(e) => format!("({})", expr(e)),
    }
}

fn member(member: &Member) -> String {
    match member {
        Member::Name(name, _) if name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$') => name.to_string(),
        Member::Name(name, _) => format!("{name:?}"),
        Member::Dynamic(e) => format!("({})", expr(e)),
    }
}

fn dot(access: Access) -> &'static str {
    match access {
        Access::Dot => ".",
        Access::Safe => "?.",
        Access::Spread => "*.",
    }
}

fn constant(c: &Constant) -> String {
    match c {
        Constant::Null => "null".into(),
        Constant::Bool(b) => b.to_string(),
        Constant::Int(i) => i.to_string(),
        Constant::Long(l) => format!("{l}L"),
        Constant::BigInt(digits) => format!("{digits}G"),
        Constant::Decimal(digits) => digits.to_string(),
        Constant::Float(f) => format!("{f}f"),
        Constant::Double(d) => format!("{d}d"),
        Constant::Str(s) => format!("{s:?}"),
    }
}

/// How an operator is written.
pub(crate) fn symbol(op: BinaryOp) -> &'static str {
    use BinaryOp::*;
    match op {
        Add => "+",
        Sub => "-",
        Mul => "*",
        Div => "/",
        Mod => "%",
        Pow => "**",
        ShiftLeft => "<<",
        ShiftRight => ">>",
        ShiftRightUnsigned => ">>>",
        BitAnd => "&",
        BitOr => "|",
        BitXor => "^",
        And => "&&",
        Or => "||",
        Eq => "==",
        NotEq => "!=",
        Identical => "===",
        NotIdentical => "!==",
        Less => "<",
        LessEq => "<=",
        Greater => ">",
        GreaterEq => ">=",
        Compare => "<=>",
        Find => "=~",
        Match => "==~",
        In => "in",
        NotIn => "!in",
    }
}
