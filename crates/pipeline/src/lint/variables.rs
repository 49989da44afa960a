//! What variables of a definition are set to, as far as it stands there: images, and the text that scripts are made of.

use std::collections::{HashMap, HashSet};

use groovy::ast::{BinaryOp, Constant, Expr, ExprKind, Member, StrPart, Text};

use super::engine::is_image;

/// Of what a text may be, so much is looked at.
const MOST_TEXTS: usize = 16;
/// So deep are variables made of variables.
const MOST_DEPTH: u32 = 4;

/// A part of a text.
#[derive(Clone, Debug)]
enum Piece {
    Text(Text),
    /// What a variable has.
    Of(Text),
    /// One of two.
    Either(Vec<Piece>, Vec<Piece>),
    /// What only a run knows.
    Unknown,
}

/// A text that a definition puts together.
#[derive(Clone, Debug)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    pub(super) fn of(expr: &Expr) -> Pieces {
        let mut pieces = Vec::new();
        add(expr, &mut pieces, 0);
        Pieces(pieces)
    }
}

fn add(expr: &Expr, to: &mut Vec<Piece>, depth: u32) {
    if depth > MOST_DEPTH {
        to.push(Piece::Unknown);
        return;
    }
    let part = |expr: &Expr| {
        let mut pieces = Vec::new();
        add(expr, &mut pieces, depth + 1);
        pieces
    };
    match &*expr.kind {
        ExprKind::Constant(Constant::Str(text)) => to.push(Piece::Text(text.clone())),
        ExprKind::GString(parts) => to.extend(parts.iter().flat_map(|of| match of {
            StrPart::Text(text) => vec![Piece::Text(text.clone())],
            StrPart::Expr(expr) => part(expr),
            StrPart::Closure(_) => vec![Piece::Unknown],
        })),
        ExprKind::Name(name) | ExprKind::Property { member: Member::Name(name, _), .. } => {
            to.push(Piece::Of(name.clone()));
        }
        ExprKind::Binary { op: BinaryOp::Add, left, right } => to.extend([part(left), part(right)].concat()),
        ExprKind::Ternary { then, otherwise, .. } => to.push(Piece::Either(part(then), part(otherwise))),
        ExprKind::Elvis { value, otherwise } => to.push(Piece::Either(part(value), part(otherwise))),
        // `text.trim()`, `text.stripIndent()`
        ExprKind::Call { object: Some(object), args, .. } if args.is_empty() => to.extend(part(object)),
        _ => to.push(Piece::Unknown),
    }
}

/// All variables, wherever they are set.
#[derive(Default)]
pub(super) struct Variables {
    images: HashSet<Text>,
    /// Those that are more than code: what a block is to one of them, only it knows.
    objects: HashSet<Text>,
    texts: HashMap<Text, Vec<Pieces>>,
}

impl Variables {
    /// `name = value`, `env.name = value`
    pub(super) fn assign(&mut self, target: &Expr, value: &Expr) {
        if let ExprKind::Name(name) | ExprKind::Property { member: Member::Name(name, _), .. } = &*target.kind {
            self.set(name, value);
        }
    }

    /// A variable, or a property of that name, is set.
    pub(super) fn set(&mut self, name: &Text, value: &Expr) {
        if is_image(value) {
            self.images.insert(name.clone());
        }
        if matches!(&*value.kind, ExprKind::New { .. } | ExprKind::Call { .. }) {
            self.objects.insert(name.clone());
        }
        let values = self.texts.entry(name.clone()).or_default();
        if values.len() < MOST_TEXTS {
            values.push(Pieces::of(value));
        }
    }

    /// Whether it is set to `docker.image(…)` somewhere.
    pub(super) fn is_image(&self, name: &str) -> bool {
        self.images.contains(name)
    }

    /// Whether it is set to an object that somebody makes.
    pub(super) fn is_object(&self, name: &str) -> bool {
        self.objects.contains(name)
    }

    /// What a text may be; `x` stands for what only a run knows.
    pub(super) fn texts(&self, of: &Pieces) -> Vec<String> {
        self.joined(&of.0, 0)
    }

    fn joined(&self, pieces: &[Piece], depth: u32) -> Vec<String> {
        let mut all = vec![String::new()];
        for piece in pieces {
            let endings = match piece {
                Piece::Text(text) => self.expanded(text, depth),
                Piece::Of(name) => self.of_variable(name, depth).unwrap_or_else(unknown),
                Piece::Either(one, other) => [self.joined(one, depth), self.joined(other, depth)].concat(),
                Piece::Unknown => unknown(),
            };
            all = all.iter().flat_map(|start| endings.iter().map(move |end| format!("{start}{end}"))).collect();
            all.truncate(MOST_TEXTS);
        }
        all
    }

    fn of_variable(&self, name: &str, depth: u32) -> Option<Vec<String>> {
        let values = self.texts.get(name).filter(|_| depth < MOST_DEPTH)?;
        let mut all: Vec<_> = values.iter().flat_map(|value| self.joined(&value.0, depth + 1)).collect();
        all.truncate(MOST_TEXTS);
        Some(all)
    }

    /// `$NAME` and `${NAME}` within a text are for the shell, which finds what is set in the environment.
    fn expanded(&self, text: &str, depth: u32) -> Vec<String> {
        let mut parts = text.split('$');
        let mut all = vec![parts.next().unwrap_or_default().to_owned()];
        for part in parts {
            let braced = part.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (name, rest) = braced.unwrap_or_else(|| {
                part.split_at(part.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(part.len()))
            });
            let endings = match self.of_variable(name, depth) {
                Some(values) => values.into_iter().map(|value| value + rest).collect(),
                None => vec![format!("${part}")],
            };
            all = all.iter().flat_map(|start| endings.iter().map(move |end| format!("{start}{end}"))).collect();
            all.truncate(MOST_TEXTS);
        }
        all
    }
}

fn unknown() -> Vec<String> {
    vec!["x".to_owned()]
}
