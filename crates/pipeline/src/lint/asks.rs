//! What a definition asks for by name and a server has: credentials and shared libraries.

use groovy::ast::{Annotation, Arg, Constant, Expr, ExprKind, MapEntry, MapKey, Member, Script, StmtKind, StrPart};
use groovy::span::{LineIndex, Span};

use super::tree::{NamedCall, Node, literal, parts, roots};

/// So many names are told; a definition with more is none that people wrote.
const MOST: usize = 1000;

/// A name that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name, or the words that a run would make it of.
    pub name: String,
    /// It stands there as it is.
    pub literal: bool,
    /// Where first, one-based.
    pub line: u32,
}

/// What a definition asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// Ids of credentials, by place.
    pub credentials: Vec<Asked>,
    /// Libraries, each with its version where one is named, by place.
    pub libraries: Vec<Asked>,
}

/// Reads what a definition asks for, whether or not it is valid. What is said by another name (a map in a variable, a library's own steps) is not seen.
pub fn asks(source: &str) -> Asks {
    groovy::stack::with_room(|| {
        let script = groovy::parser::parse(source).script;
        let mut found = Found { source, credentials: Vec::new(), libraries: Vec::new() };
        found.annotations(&script);
        let mut open = roots(&script);
        while let Some(node) = open.pop() {
            if let Node::Expr(expr) = node {
                found.expr(expr);
            }
            parts(node, &mut open);
        }
        let lines = LineIndex::new(source);
        let told = |mut all: Vec<(String, bool, Span)>| {
            all.sort_by_key(|(_, _, span)| span.start);
            let mut told: Vec<Asked> = Vec::new();
            for (name, literal, span) in all.into_iter().take(MOST) {
                if !told.iter().any(|asked| asked.name == name) {
                    told.push(Asked { name, literal, line: lines.place(source, span.start).line });
                }
            }
            told
        };
        Asks { credentials: told(found.credentials), libraries: told(found.libraries) }
    })
}

struct Found<'s> {
    source: &'s str,
    credentials: Vec<(String, bool, Span)>,
    libraries: Vec<(String, bool, Span)>,
}

impl Found<'_> {
    fn name(&self, expr: &Expr) -> (String, bool, Span) {
        match literal(expr) {
            Some(text) => (text.to_owned(), true, expr.span),
            None => {
                let text = match &*expr.kind {
                    ExprKind::GString(parts) if parts.iter().all(|part| !matches!(part, StrPart::Closure(_))) => {
                        self.text(expr.span).trim_matches('"')
                    }
                    _ => self.text(expr.span),
                };
                (text.chars().take(200).collect(), false, expr.span)
            }
        }
    }

    fn text(&self, span: Span) -> &str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn credential(&mut self, expr: &Expr) {
        if !matches!(&*expr.kind, ExprKind::Constant(Constant::Null) | ExprKind::Closure(_))
            && literal(expr) != Some("")
        {
            let name = self.name(expr);
            self.credentials.push(name);
        }
    }

    fn library(&mut self, expr: &Expr) {
        let name = self.name(expr);
        self.libraries.push(name);
    }

    /// `@Library('a')`, `@Library(['a', 'b'])`
    fn annotations(&mut self, script: &Script) {
        let locals = script.body.iter().filter_map(|stmt| match &stmt.kind {
            StmtKind::Local(local) => Some(&local.modifiers.annotations),
            _ => None,
        });
        let all: Vec<&Annotation> = script.imports.iter().map(|i| &i.annotations).chain(locals).flatten().collect();
        for (_, value) in all.into_iter().filter(|a| &*a.name == "Library").flat_map(|a| &a.args) {
            match &*value.kind {
                ExprKind::List(items) => {
                    for item in items {
                        if let Arg::Positional(item) = item {
                            self.library(item);
                        }
                    }
                }
                _ => self.library(value),
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &*expr.kind {
            ExprKind::Map(entries) => {
                for entry in entries {
                    if let MapEntry::Pair(MapKey::Constant(Constant::Str(key), _), value) = entry
                        && is_credential(key)
                    {
                        self.credential(value);
                    }
                }
            }
            ExprKind::Call { object, callee: Member::Name(name, _), args, .. } => {
                for arg in args {
                    if let Arg::Named(MapKey::Constant(Constant::Str(key), _), value) = arg
                        && is_credential(key)
                    {
                        self.credential(value);
                    }
                }
                let of_docker = object
                    .as_ref()
                    .is_some_and(|object| matches!(&*object.kind, ExprKind::Name(name) if &**name == "docker"));
                if let (true, "withRegistry" | "withServer", Some(Arg::Positional(id))) =
                    (of_docker, &**name, args.get(1))
                {
                    self.credential(id);
                }
            }
            _ => {}
        }
        let Some(call) = NamedCall::of(expr) else { return };
        let first = call.first().or_else(|| call.named("identifier"));
        match (call.name, first) {
            ("credentials", Some(id)) => self.credential(id),
            // In the block of an agent.
            ("registryCredentialsId", Some(id)) => self.credential(id),
            ("sshagent", _) => {
                if let Some(ExprKind::List(items)) =
                    call.first().or_else(|| call.named("credentials")).map(|e| &*e.kind)
                {
                    for item in items {
                        if let Arg::Positional(id) = item {
                            self.credential(id);
                        }
                    }
                }
            }
            ("library" | "lib", Some(name)) if !matches!(&*name.kind, ExprKind::Closure(_)) => self.library(name),
            _ => {}
        }
    }
}

fn is_credential(key: &str) -> bool {
    matches!(key, "credentialsId" | "registryCredentialsId" | "tokenCredentialId" | "webhookSecretId")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_are_asked_for() {
        let source = "@Library(['tools@main', 'more']) _\nlibrary 'third'\npipeline {\nagent { docker { image 'x'; registryCredentialsId 'hub' } }\n\
            libraries { lib('fourth@1') }\nenvironment { A = credentials('a') }\nstages { stage('s') { steps {\n\
            withCredentials([string(credentialsId: 'b', variable: 'B'), [$class: 'X', credentialsId: \"c-${x}\"]]) { echo 'x' }\n\
            script { docker.withRegistry('https://x', 'd') { echo 'y' }; docker.withRegistry('https://x') { echo 'z' } }\n\
            sshagent(['e']) { git url: 'u', credentialsId: 'a' } } } } }";
        let asks = asks(source);
        let names = |all: &[Asked]| all.iter().map(|asked| asked.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&asks.libraries), ["tools@main", "more", "third", "fourth@1"]);
        assert_eq!(names(&asks.credentials), ["hub", "a", "b", "c-${x}", "d", "e"]);
        assert_eq!(asks.credentials[3], Asked { name: "c-${x}".to_owned(), literal: false, line: 8 });
    }
}
