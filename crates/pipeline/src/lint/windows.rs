//! Steps that only Windows has, of which no machine is there: `bat`, `powershell`. Where the code asks `isUnix()` first, they are for elsewhere.

use std::collections::HashMap;
use std::collections::HashSet;

use groovy::ast::{
    BinaryOp, Closure, Constant, Expr, ExprKind, Local, LocalTarget, Member, Script, Stmt, StmtKind, UnaryOp,
};
use groovy::diagnostic::Diagnostic;

use super::tree::{NamedCall, Node, parts, roots};

/// The steps, and what does the same here.
const STEPS: [(&str, &str); 2] =
    [("bat", "`sh`, with the commands of Linux"), ("powershell", "`pwsh`, where the image has it, or `sh`")];
/// Operators in a condition are looked through so deep.
const MAX_DEPTH: u8 = 8;

/// Looks at all code that is reached where `isUnix()` is true. What the file itself `defined` is no step.
pub(super) fn check<'a>(script: &'a Script, all: &[Node<'a>], defined: &HashSet<&str>) -> Vec<Diagnostic> {
    let asked = Asked { variables: variables(all) };
    let mut found = Vec::new();
    let mut open = roots(script);
    while let Some(node) = open.pop() {
        match node {
            Node::Block(stmts) => {
                let end = stmts.iter().position(|stmt| asked.leaves(stmt)).map_or(stmts.len(), |at| at + 1);
                open.extend(stmts[..end].iter().map(Node::Stmt));
                continue;
            }
            Node::Stmt(stmt) => {
                if let Some(reached) = asked.branch(stmt) {
                    open.extend(reached.map(Node::Stmt));
                    continue;
                }
            }
            Node::Expr(expr) => {
                if let ExprKind::Ternary { cond, then, otherwise } = &*expr.kind
                    && let Some(is_unix) = asked.of(cond, 0)
                {
                    open.push(Node::Expr(if is_unix { then } else { otherwise }));
                    continue;
                }
                if let Some(call) = NamedCall::of(expr).filter(|call| !defined.contains(call.name)) {
                    if asked.skips(&call) {
                        continue;
                    }
                    found.extend(STEPS.iter().find(|(step, _)| *step == call.name).map(|(step, instead)| {
                        let text = format!("the step \"{step}\" does not run here: it wants Windows");
                        Diagnostic::warning(call.span, text)
                            .with_hint(format!("instead: {instead}"))
                            .of_rule("unsupported-step")
                    }));
                }
            }
        }
        parts(node, &mut open);
    }
    found
}

/// Variables that say for the whole file whether it is Unix.
fn variables<'a>(all: &[Node<'a>]) -> HashMap<&'a str, bool> {
    let none = Asked { variables: HashMap::new() };
    let mut values: HashMap<&str, Option<bool>> = HashMap::new();
    let mut set = |name: &'a str, value: &Expr| {
        let value = none.of(value, 0);
        values.entry(name).and_modify(|of| *of = of.filter(|of| Some(*of) == value)).or_insert(value);
    };
    let local = |local: &'a Local, set: &mut dyn FnMut(&'a str, &Expr)| {
        if let LocalTarget::Names(names) = &local.target {
            names.iter().for_each(|name| name.init.iter().for_each(|value| set(&name.name, value)));
        }
    };
    for node in all {
        match node {
            Node::Stmt(Stmt { kind: StmtKind::Local(of), .. }) => local(of, &mut set),
            Node::Expr(expr) => match &*expr.kind {
                ExprKind::Declaration(of) => local(of, &mut set),
                ExprKind::Assign { target, value, .. } => {
                    if let ExprKind::Name(name) = &*target.kind {
                        set(name, value);
                    }
                }
                _ => {}
            },
            Node::Block(_) | Node::Stmt(_) => {}
        }
    }
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What is known of conditions where it is Unix.
struct Asked<'a> {
    variables: HashMap<&'a str, bool>,
}

impl Asked<'_> {
    /// The value of a condition.
    fn of(&self, cond: &Expr, depth: u8) -> Option<bool> {
        if depth > MAX_DEPTH {
            return None;
        }
        let inner = |expr| self.of(expr, depth + 1);
        match &*cond.kind {
            ExprKind::Name(name) => self.variables.get(&**name).copied(),
            ExprKind::Call { callee: Member::Name(name, _), args, .. } => {
                let is_asked = &**name == "isUnix" && args.is_empty() && NamedCall::of(cond).is_some();
                is_asked.then_some(true)
            }
            ExprKind::Unary { op: UnaryOp::Not, operand } => inner(operand).map(|value| !value),
            ExprKind::Binary { op, left, right } => match op {
                BinaryOp::Eq | BinaryOp::NotEq => {
                    let ExprKind::Constant(Constant::Bool(with)) = &*right.kind else { return None };
                    inner(left).map(|value| (value == *with) == (*op == BinaryOp::Eq))
                }
                BinaryOp::And => (inner(left) == Some(false) || inner(right) == Some(false)).then_some(false),
                BinaryOp::Or => (inner(left) == Some(true) || inner(right) == Some(true)).then_some(true),
                _ => None,
            },
            _ => None,
        }
    }

    /// Of an `if` whose condition is known: what is reached.
    fn branch<'s>(&self, stmt: &'s Stmt) -> Option<Option<&'s Stmt>> {
        let StmtKind::If { cond, then, otherwise } = &stmt.kind else { return None };
        Some(if self.of(cond, 0)? { Some(then) } else { otherwise.as_deref() })
    }

    /// `if (isUnix()) { …; return }`: what is behind it is for elsewhere.
    fn leaves(&self, stmt: &Stmt) -> bool {
        let last = match self.branch(stmt).flatten().map(|stmt| &stmt.kind) {
            Some(StmtKind::Block(block)) => block.stmts.last().map(|stmt| &stmt.kind),
            other => other,
        };
        matches!(last, Some(StmtKind::Return(_) | StmtKind::Throw(_)))
    }

    /// `stage('x') { when { expression { !isUnix() } } … }`
    fn skips(&self, call: &NamedCall<'_>) -> bool {
        let value = |closure: &Closure| match &closure.body.stmts.last()?.kind {
            StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) => self.of(expr, 0),
            _ => None,
        };
        let inner =
            |of: &NamedCall<'_>, name: &str| calls(of.block()).find(|call| call.name == name)?.block().map(value)?;
        let never = |when: NamedCall<'_>| {
            let not = calls(when.block()).filter(|call| call.name == "not");
            inner(&when, "expression") == Some(false)
                || not.into_iter().any(|not| inner(&not, "expression") == Some(true))
        };
        call.name == "stage" && calls(call.block()).filter(|call| call.name == "when").any(never)
    }
}

/// The statements of a block that are calls of names.
fn calls<'a>(block: Option<&'a Closure>) -> impl Iterator<Item = NamedCall<'a>> {
    block.into_iter().flat_map(|block| &block.body.stmts).filter_map(|stmt| match &stmt.kind {
        StmtKind::Expr(expr) => NamedCall::of(expr),
        _ => None,
    })
}
