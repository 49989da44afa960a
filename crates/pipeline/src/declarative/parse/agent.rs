//! `agent any`, `agent { docker 'maven:3' }`, `agent { docker { image 'maven:3' } }`.

use groovy::ast::{Closure, Constant, Expr, ExprKind, Stmt, Text};

use crate::catalogue::{Entry, Kind};
use crate::declarative::messages;
use crate::declarative::model::{Agent, AgentField, AgentValue};
use crate::declarative::shape::{BlockCall, Called, Given, block_of, call_of, closure_of, stmts, word_of};

use super::Reader;

/// The kinds that need no configuration and stand without braces.
const BARE: [&str; 2] = ["any", "none"];

/// More fields than this are an attack: no agent type has so many.
const MAX_FIELDS: usize = 1000;

impl Reader<'_> {
    pub(super) fn agent(&mut self, stmt: &Stmt) -> Option<Agent> {
        match block_of(stmt) {
            Some(block) => self.agent_block(stmt, &block),
            None => self.agent_word(stmt),
        }
    }

    fn agent_word(&mut self, stmt: &Stmt) -> Option<Agent> {
        let Some(called) = call_of(stmt) else {
            self.error(stmt.span, messages::expected_agent());
            return None;
        };
        let word = match called.args.as_slice() {
            [] => {
                self.error(stmt.span, messages::no_argument_for_agent());
                return None;
            }
            [Given::One(expr)] => match word_of(expr) {
                Some(word) if BARE.contains(&&**word) => Some((word, expr.span)),
                Some(_) => None,
                None => {
                    self.error(expr.span, messages::expected_string());
                    None
                }
            },
            _ => None,
        };
        let Some((kind, kind_span)) = word else {
            self.error(stmt.span, messages::invalid_agent());
            return None;
        };
        Some(Agent { kind: kind.clone(), kind_span, fields: Vec::new(), span: stmt.span })
    }

    fn agent_block(&mut self, stmt: &Stmt, block: &BlockCall<'_>) -> Option<Agent> {
        let content: Vec<&Stmt> = block.stmts().collect();
        let called = match content.as_slice() {
            [] => {
                self.error(stmt.span, messages::expected_agent());
                None
            }
            [only] => {
                let called = call_of(only);
                if called.is_none() {
                    self.error(only.span, messages::expected_agent());
                }
                called
            }
            [_, second, ..] => {
                self.error(second.span, messages::one_agent());
                return None;
            }
        };
        let Some(called) = called else {
            self.error(stmt.span, messages::no_agent_type(messages::list(self.catalogue.names(Kind::Agent))));
            return None;
        };
        let word = self.name_of(&called)?;
        let value = self.agent_value(word, &called)?;
        // `label` with fields is what `node` is.
        let kind: Text = match (&value, called.name) {
            (Configured::Fields(_), _) if word == "label" => "node".into(),
            (_, Some(name)) => name.clone(),
            (_, None) => return None,
        };
        if BARE.contains(&&*kind) {
            return Some(Agent { kind, kind_span: called.name_span, fields: Vec::new(), span: stmt.span });
        }
        let Some(entry) = self.catalogue.find(Kind::Agent, &kind) else {
            let names = messages::list(self.catalogue.names(Kind::Agent));
            let hint = self.did_you_mean(&kind, Kind::Agent);
            self.error_with_hint(called.name_span, messages::invalid_agent_type(&kind, names), hint);
            return None;
        };
        let fields = self.agent_fields(entry, value, &called)?;
        Some(Agent { kind, kind_span: called.name_span, fields, span: stmt.span })
    }

    /// The configuration of an agent type: its one argument.
    fn agent_value(&mut self, kind: &str, called: &Called<'_>) -> Option<Configured> {
        match called.args.as_slice() {
            [] => {
                self.error(called.name_span, messages::no_argument_for_key(kind));
                None
            }
            [Given::One(expr)] => Some(match closure_of(expr) {
                Some(closure) => Configured::Fields(self.agent_map(closure)),
                None => {
                    self.value(expr);
                    Configured::Single((*expr).clone())
                }
            }),
            // A map in brackets or named arguments: Jenkins' model takes it for a text.
            [Given::Map(..)] => Some(Configured::Map),
            _ => {
                self.error(called.name_span, messages::too_many_for_key(kind));
                None
            }
        }
    }

    /// `key value` lines in braces.
    fn agent_map(&mut self, closure: &Closure) -> Vec<AgentField> {
        let mut fields: Vec<AgentField> = Vec::new();
        for stmt in stmts(closure) {
            let Some(called) = call_of(stmt) else {
                self.error(stmt.span, messages::expected_map_method());
                continue;
            };
            let Some(name) = called.name else {
                self.name_of(&called);
                continue;
            };
            let value = match called.args.as_slice() {
                [] => {
                    self.error(called.name_span, messages::no_argument_for_key(name));
                    continue;
                }
                [Given::One(expr)] => match closure_of(expr) {
                    Some(closure) => AgentValue::Fields(self.agent_map(closure)),
                    None => {
                        self.value(expr);
                        AgentValue::Expr((*expr).clone())
                    }
                },
                [Given::Map(..)] => match called.written {
                    [groovy::ast::Arg::Positional(expr)] => AgentValue::Expr(expr.clone()),
                    _ => continue,
                },
                _ => {
                    self.error(called.name_span, messages::too_many_for_key(name));
                    continue;
                }
            };
            // The last of several wins, as in a map.
            let field = AgentField { name: name.clone(), name_span: called.name_span, value };
            match fields.iter().position(|f| f.name == *name) {
                Some(known) => fields[known] = field,
                None if fields.len() < MAX_FIELDS => fields.push(field),
                None => {
                    self.error(stmt.span, format!("An agent has at most {MAX_FIELDS} config options"));
                    break;
                }
            }
        }
        fields
    }

    fn agent_fields(&mut self, entry: &Entry, value: Configured, called: &Called<'_>) -> Option<Vec<AgentField>> {
        match value {
            Configured::Fields(fields) => {
                for parameter in entry.required() {
                    if !fields.iter().any(|f| &*f.name == parameter.name) {
                        let text = messages::missing_agent_parameter(entry.name, parameter.name);
                        self.error(called.name_span, text);
                    }
                }
                for field in &fields {
                    if entry.parameter(&field.name).is_none() && !entry.open {
                        let names = messages::list(entry.parameters.iter().map(|p| p.name));
                        let text = messages::invalid_agent_parameter(&field.name, entry.name, names);
                        self.error(field.name_span, text);
                    }
                }
                Some(fields)
            }
            single => {
                let mut required = entry.required();
                let first = required.next();
                if required.next().is_some() {
                    let names = messages::list(entry.required().map(|p| p.name));
                    self.error(called.name_span, messages::multiple_agent_parameters(entry.name, names));
                    return None;
                }
                let Configured::Single(expr) = single else { return Some(Vec::new()) };
                // `dockerfile true` says only that it is wanted.
                let flag = matches!(&*expr.kind, ExprKind::Constant(Constant::Bool(_)));
                Some(
                    first
                        .filter(|_| !flag)
                        .map(|p| AgentField {
                            name: p.name.into(),
                            name_span: expr.span,
                            value: AgentValue::Expr(expr.clone()),
                        })
                        .into_iter()
                        .collect(),
                )
            }
        }
    }
}

/// How an agent type is configured.
enum Configured {
    /// `docker { image 'x' }`
    Fields(Vec<AgentField>),
    /// `docker 'x'`
    Single(Expr),
    /// `docker image: 'x'`
    Map,
}
