//! What is wrong in code that runs all the same: rules that look at Groovy, wherever it stands. Each says only what is sure; a name that
//! the file itself defines is nobody's step.

use std::collections::{HashMap, HashSet};

use groovy::ast::{
    BinaryOp, Constant, Expr, ExprKind, Local, LocalTarget, Member, Script, Stmt, StmtKind, StrPart, UnaryOp,
};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;

use super::shell_script;
use super::tree::{NamedCall, Node, literal, parts, roots};

/// The results of a run, and what people write in their place.
const RESULTS: [&str; 5] = ["SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"];
const NO_RESULTS: [(&str, &str); 12] = [
    ("FAILED", "FAILURE"),
    ("FAIL", "FAILURE"),
    ("FAILURED", "FAILURE"),
    ("ERROR", "FAILURE"),
    ("SUCCESSFUL", "SUCCESS"),
    ("SUCCEEDED", "SUCCESS"),
    ("SUCCESSFULL", "SUCCESS"),
    ("PASSED", "SUCCESS"),
    ("OK", "SUCCESS"),
    ("CANCELED", "ABORTED"),
    ("CANCELLED", "ABORTED"),
    ("ABORT", "ABORTED"),
];
/// Steps whose text is shown, and reaches no shell.
const SHOWN: [&str; 5] = ["echo", "error", "unstable", "println", "warnError"];
/// What opens a connection on a `URL`.
const OPENS: [&str; 12] = [
    "text",
    "getText",
    "bytes",
    "getBytes",
    "openStream",
    "openConnection",
    "withReader",
    "withInputStream",
    "newReader",
    "newInputStream",
    "eachLine",
    "readLines",
];

/// Names that a file gives a meaning of its own.
pub(super) fn defined<'a>(script: &'a Script, all: &[Node<'a>]) -> HashSet<&'a str> {
    let mut names: HashSet<&str> = script.methods.iter().map(|m| &*m.name).collect();
    for node in all {
        match node {
            Node::Stmt(Stmt { kind: StmtKind::Local(local), .. }) => local_names(local, &mut names),
            Node::Expr(expr) => match &*expr.kind {
                ExprKind::Declaration(local) => local_names(local, &mut names),
                ExprKind::Assign { target, .. } => {
                    if let ExprKind::Name(name) = &*target.kind {
                        names.insert(name);
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    names
}

fn local_names<'a>(local: &'a Local, names: &mut HashSet<&'a str>) {
    match &local.target {
        LocalTarget::Names(list) => names.extend(list.iter().map(|n| &*n.name)),
        LocalTarget::Tuple { names: list, .. } => names.extend(list.iter().map(|(_, name, _)| &**name)),
    }
}

/// Looks at all code of a file. `scripted`: it has no `pipeline { … }`, whose own rules would say the same.
pub(super) fn check<'a>(
    source: &str,
    script: &'a Script,
    all: &[Node<'a>],
    defined: &HashSet<&str>,
    scripted: bool,
) -> Vec<Diagnostic> {
    let mut code = Code { source, defined, scripted, outputs: HashMap::new(), found: Vec::new() };
    all.iter().for_each(|node| code.note_output(*node));
    let mut open: Vec<_> = roots(script).into_iter().map(|node| (node, false)).collect();
    let mut inner = Vec::new();
    while let Some((node, in_node)) = open.pop() {
        let mut holds = in_node;
        match node {
            Node::Block(stmts) => code.block(stmts),
            Node::Stmt(stmt) => code.stmt(stmt),
            Node::Expr(expr) => {
                code.expr(expr);
                if let Some(call) = NamedCall::of(expr) {
                    holds |= call.name == "node" && call.block().is_some();
                    if call.name == "input" && in_node && !defined.contains("input") {
                        code.found.push(holding_input(call.span));
                    }
                }
            }
        }
        parts(node, &mut inner);
        open.extend(inner.drain(..).map(|part| (part, holds)));
    }
    code.found
}

/// `input` where a machine is held.
pub(super) fn holding_input(span: Span) -> Diagnostic {
    let text = "while this waits for a person, the machine around it is kept";
    Diagnostic::warning(span, text)
        .with_hint("ask outside of `node`, or in a stage of its own with `agent none`")
        .of_rule("input-holds-agent")
}

struct Code<'a> {
    source: &'a str,
    defined: &'a HashSet<&'a str>,
    scripted: bool,
    /// Variables, and whether every value that they get is the untrimmed output of a command.
    outputs: HashMap<&'a str, bool>,
    found: Vec<Diagnostic>,
}

impl<'a> Code<'a> {
    fn warn(&mut self, rule: &'static str, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic::warning(span, text).of_rule(rule));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn text(&self, span: Span) -> &'a str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn step(&self, expr: &'a Expr) -> Option<NamedCall<'a>> {
        NamedCall::of(expr).filter(|call| !self.defined.contains(call.name))
    }

    fn note_output(&mut self, node: Node<'a>) {
        let mut note = |name: &'a str, untrimmed: bool| *self.outputs.entry(name).or_insert(true) &= untrimmed;
        match node {
            Node::Stmt(Stmt { kind: StmtKind::Local(local), .. }) => {
                if let LocalTarget::Names(names) = &local.target {
                    for name in names.iter().filter(|name| name.init.is_some()) {
                        note(&name.name, name.init.as_ref().is_some_and(shell_script::is_untrimmed));
                    }
                }
            }
            Node::Expr(expr) => {
                if let ExprKind::Assign { target, op, value } = &*expr.kind
                    && let ExprKind::Name(name) = &*target.kind
                {
                    note(name, op.is_none() && shell_script::is_untrimmed(value));
                }
            }
            Node::Block(_) | Node::Stmt(_) => {}
        }
    }

    fn block(&mut self, stmts: &'a [Stmt]) {
        let ends = |stmt: &'a Stmt| match &stmt.kind {
            StmtKind::Return(_) => Some("return"),
            StmtKind::Throw(_) => Some("throw"),
            StmtKind::Break(_) => Some("break"),
            StmtKind::Continue(_) => Some("continue"),
            StmtKind::Expr(expr) => self.step(expr).filter(|call| call.name == "error").map(|_| "error"),
            _ => None,
        };
        let last = stmts.iter().zip(stmts.iter().skip(1)).find_map(|(stmt, next)| Some((ends(stmt)?, next)));
        // `break` behind `return` is how people end a `case`.
        let is_code = |stmt: &Stmt| !matches!(stmt.kind, StmtKind::Break(_) | StmtKind::Empty | StmtKind::Return(None));
        if let Some((word, next)) = last.filter(|(_, next)| is_code(next)) {
            self.warn("unreachable", next.span, format!("this is never reached: `{word}` stands before it"));
        }
        let mut names = HashSet::new();
        for stmt in stmts {
            let StmtKind::Expr(expr) = &stmt.kind else { continue };
            let Some(call) = self.step(expr).filter(|call| call.name == "stage") else { continue };
            let Some(name) = call.first().or_else(|| call.named("name")).and_then(literal) else { continue };
            if self.scripted && call.block().is_some() && !names.insert(name) {
                self.warn("duplicate-stage", call.span, format!("there is a stage \"{name}\" beside this one"));
            }
        }
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        match &stmt.kind {
            StmtKind::Local(local) => {
                if let LocalTarget::Names(names) = &local.target {
                    names.iter().filter_map(|name| name.init.as_ref()).for_each(|value| self.wants_value(value));
                }
            }
            StmtKind::If { cond, .. } | StmtKind::While { cond, .. } => self.wants_value(cond),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        if let Some(call) = self.step(expr) {
            self.step_call(&call);
        }
        match &*expr.kind {
            ExprKind::Assign { target, value, .. } => {
                self.wants_value(value);
                if is_result(target) {
                    self.result_word(value, None);
                }
            }
            ExprKind::Binary { op, left, right } => {
                if matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
                    self.compared(left, right);
                    self.compared(right, left);
                }
                self.wants_value(left);
                self.wants_value(right);
            }
            ExprKind::Elvis { value, .. } => self.wants_value(value),
            ExprKind::GString(parts) => {
                parts
                    .iter()
                    .filter_map(|part| if let StrPart::Expr(value) = part { Some(value) } else { None })
                    .for_each(|value| self.wants_value(value));
            }
            ExprKind::Unary { op: UnaryOp::Not, operand } => self.wants_value(operand),
            ExprKind::Ternary { cond, .. } => self.wants_value(cond),
            ExprKind::Property { object, member: Member::Name(name, span), .. } => {
                self.outside(object, name, *span);
            }
            ExprKind::Call { object: Some(object), callee: Member::Name(name, span), args, .. } => {
                self.wants_value(object);
                self.outside(object, name, *span);
                let words = matches!(
                    &*object.kind,
                    ExprKind::Constant(Constant::Str(_)) | ExprKind::GString(_) | ExprKind::List(_)
                );
                if &**name == "execute" && words && matches!(args.len(), 0 | 2) {
                    let found = self.warn("process-execute", *span, "the script itself starts no processes");
                    found.hint = Some("`sh` runs it in a job".to_owned());
                }
            }
            _ => {}
        }
    }

    /// The value of a shell step is used.
    fn wants_value(&mut self, expr: &'a Expr) {
        let Some(call) = self.step(expr).filter(|call| shell_script::is_shell(call.name)) else { return };
        if call.is_plain() && call.named("returnStdout").is_none() && call.named("returnStatus").is_none() {
            let text = format!("`{}` gives no value here: this is null", call.name);
            let found = self.warn("no-step-result", call.span, text);
            found.hint =
                Some("add `returnStdout: true` for its output, or `returnStatus: true` for its exit code".to_owned());
        }
    }

    fn compared(&mut self, value: &'a Expr, with: &'a Expr) {
        let Some(text) = literal(with) else { return };
        let untrimmed = match &*value.kind {
            ExprKind::Name(name) => self.outputs.get(&**name).copied().unwrap_or(false),
            _ => shell_script::is_untrimmed(value),
        };
        if untrimmed && !text.is_empty() && !text.ends_with('\n') && !text.contains('\r') {
            let found = self.warn(
                "untrimmed-output",
                value.span,
                "the output ends with a line break, so it never equals this text",
            );
            let end = Span::new(value.span.end, value.span.end);
            found.hint = Some("take it off with `.trim()`".to_owned());
            found.fix = Some(groovy::diagnostic::Fix { span: end, text: ".trim()".to_owned() });
        }
        if is_result(value) {
            self.result_word(with, None);
        }
    }

    /// A text that is to be a result. `argument`: of `catchError`, which takes no other, where `currentBuild.result` reads it as it can.
    fn result_word(&mut self, value: &'a Expr, argument: Option<&str>) {
        let Some(word) = literal(value).filter(|word| !RESULTS.contains(word)) else { return };
        let meant = NO_RESULTS.iter().find(|(wrong, _)| wrong.eq_ignore_ascii_case(word)).map(|(_, meant)| *meant);
        // `currentBuild.result = 'Success'` is read as it is meant.
        if RESULTS.iter().any(|right| right.eq_ignore_ascii_case(word)) {
            return;
        }
        let span = value.span;
        let text = match argument {
            Some(name) => format!("\"{word}\" is no result: the step fails (\"{name} is invalid\")"),
            None => format!("\"{word}\" is no result; Jenkins reads it as FAILURE"),
        };
        let found = self.warn("unknown-result", span, text);
        found.hint = meant.map(|meant| format!("did you mean \"{meant}\"?"));
        found.fix = meant.map(|meant| groovy::diagnostic::Fix { span, text: format!("'{meant}'") });
    }

    /// What reaches for the machine on which a script is evaluated, or for the network from there.
    fn outside(&mut self, object: &'a Expr, name: &str, span: Span) {
        match &*object.kind {
            ExprKind::Name(class) if matches!((&**class, name), ("System", "getenv" | "env")) => {
                let found = self.warn("system-access", span, "the variables of Jenkins' own process are not there");
                found.hint = Some("variables of the run are in `env`".to_owned());
            }
            ExprKind::Name(class)
                if matches!(
                    (&**class, name),
                    ("System", "exit" | "setProperty" | "in") | ("Runtime", "getRuntime")
                ) =>
            {
                self.warn(
                    "system-access",
                    span,
                    format!("`{class}.{name}` is for the process that evaluates the script"),
                );
            }
            ExprKind::Name(class) if matches!((&**class, name), ("System", "out" | "err")) => {
                let text = format!("`{class}.{name}` is the output of the process that evaluates the script");
                let found = self.warn("system-access", span, text);
                found.hint = Some("`echo` and `println` write into the log of the run".to_owned());
            }
            ExprKind::New { ty, .. } if matches!(&*ty.name, "URL" | "java.net.URL") && OPENS.contains(&name) => {
                self.network(span);
            }
            ExprKind::Call { callee: Member::Name(made, _), .. } if &**made == "toURL" && OPENS.contains(&name) => {
                self.network(span);
            }
            _ => {}
        }
    }

    fn network(&mut self, span: Span) {
        let found = self.warn("script-network", span, "the script itself has no network");
        found.hint = Some("fetch it in a job: `sh(script: 'curl …', returnStdout: true)`".to_owned());
    }

    fn step_call(&mut self, call: &NamedCall<'a>) {
        match call.name {
            "stage" if self.scripted && call.args.len() == 1 && call.is_plain() && call.block().is_none() => {
                self.warn("stage-without-block", call.span, "a stage without a block does not say where it ends")
                    .hint = Some("stage('…') { … }".to_owned());
            }
            "archive" => {
                let text = "`archive` is the old form of `archiveArtifacts`";
                let sole = matches!(call.args, [groovy::ast::Arg::Positional(_)]);
                let span = call.span;
                let found = self.warn("deprecated-step", span, text);
                found.fix = sole.then(|| groovy::diagnostic::Fix { span, text: "archiveArtifacts".to_owned() });
            }
            "catchError" => {
                for (name, value) in
                    ["buildResult", "stageResult"].into_iter().filter_map(|name| Some((name, call.named(name)?)))
                {
                    self.result_word(value, Some(name));
                }
            }
            "cron" | "pollSCM" => {
                let schedule = call.first().or_else(|| call.named("spec")).or_else(|| call.named("scmpoll_spec"));
                if let Some((text, words)) = schedule.and_then(|text| Some((text, literal(text)?)))
                    && let Err(error) = cron::Schedule::parse(words, "")
                {
                    let found = Diagnostic::error(text.span, format!("this is no schedule: {error}"));
                    self.found.push(found.of_rule("bad-schedule"));
                }
            }
            name if SHOWN.contains(&name) => {
                if let Some(text) = call.first().or_else(|| call.named("message")) {
                    self.shown(text);
                }
            }
            name if shell_script::is_shell(name) => {
                if let Some(script) = call.named("script").or_else(|| call.first()) {
                    self.lost_state(call, script);
                }
            }
            _ => {}
        }
    }

    /// `echo 'is ${x}'`
    fn shown(&mut self, text: &'a Expr) {
        let (Some(words), written) = (literal(text), self.text(text.span)) else { return };
        let named = |rest: &str| rest.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()) && rest.contains('}');
        if !written.starts_with('\'') || !words.split("${").skip(1).any(named) {
            return;
        }
        let found = self.warn("no-interpolation", text.span, "`${…}` in single quotes is shown as it is");
        found.hint = Some("Groovy replaces it in double quotes".to_owned());
        let quotes = if written.starts_with("'''") { 3 } else { 1 };
        if let Some(inner) = written.get(quotes..written.len().saturating_sub(quotes))
            && !inner.contains(['"', '\\'])
        {
            let text = format!("{0}{inner}{0}", "\"".repeat(quotes));
            let span = self.found.last().map(|found| found.span).unwrap_or_default();
            if let Some(found) = self.found.last_mut() {
                found.fix = Some(groovy::diagnostic::Fix { span, text });
            }
        }
    }

    /// `sh 'cd x'`
    fn lost_state(&mut self, call: &NamedCall<'a>, script: &'a Expr) {
        let words = match &*script.kind {
            ExprKind::Constant(Constant::Str(text)) => text.trim(),
            ExprKind::GString(_) => self.text(script.span).trim_matches('"').trim(),
            _ => return,
        };
        let asks = call.named("returnStatus").is_some() || call.named("returnStdout").is_some();
        if asks || call.name != "sh" {
            return;
        }
        let Some(word) = shell_script::only_changes_itself(words) else { return };
        let found = self.warn("lost-shell-state", call.span, format!("`{word}` is gone with this shell"));
        let instead = if word == "cd" { "`dir('…') { … }`" } else { "`withEnv(['NAME=value']) { … }`" };
        found.hint = Some(format!("use {instead}, or one script for both"));
    }
}

/// `currentBuild.result`, `currentBuild.currentResult`
fn is_result(expr: &Expr) -> bool {
    match &*expr.kind {
        ExprKind::Property { object, member: Member::Name(name, _), .. } => {
            matches!(&**name, "result" | "currentResult")
                && matches!(&*object.kind, ExprKind::Name(of) if &**of == "currentBuild")
        }
        _ => false,
    }
}
