//! `matrix { axes { … } excludes { … } stages { … } }`.

use std::collections::HashSet;

use groovy::ast::{Expr, ExprKind, Stmt, Text};
use groovy::span::Span;

use crate::declarative::messages;
use crate::declarative::model::{Axis, Directives, Exclude, ExcludeAxis, Matrix, Stage};
use crate::declarative::shape::{BlockCall, Given, block_of, call_of, called, is_variable_name, word_of};

use super::Reader;

/// More cells than this are a mistake or an attack: each is a run of all stages at the same time. Jenkins sets no limit.
const MAX_CELLS: usize = 4096;

/// An axis, of the matrix or of an exclude, as far as it was read.
#[derive(Default)]
struct AxisRead {
    name: Option<(Text, Span)>,
    values: Vec<Text>,
    inverse: bool,
}

impl Reader<'_> {
    pub(super) fn matrix(&mut self, stmt: &Stmt) -> Option<Matrix> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("matrix"));
            self.error(stmt.span, messages::required_section("axes"));
            self.error(stmt.span, messages::required_section("stages"));
            return None;
        };
        let mut directives = Directives::default();
        let (mut axes, mut excludes): (Vec<Axis>, Vec<Exclude>) = Default::default();
        let mut stages: Option<Vec<Stage>> = None;
        let mut seen = HashSet::new();
        for line in block.stmts() {
            let Some(name) = self.section_name(line, &mut seen) else { continue };
            match name {
                "axes" => axes = self.axes(line),
                "excludes" => excludes = self.excludes(line),
                "stages" => stages = self.stages("stages", line, true),
                _ if self.directive(name, line, &mut directives) => {}
                _ => self.error(line.span, messages::undefined_section(name)),
            }
        }
        for required in ["axes", "stages"] {
            if !seen.contains(required) {
                self.error(stmt.span, messages::required_section(required));
            }
        }
        let cells = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.values.len()));
        if cells.is_none_or(|c| c > MAX_CELLS) {
            let text = format!("The matrix has more than {MAX_CELLS} cells");
            self.error_with_hint(stmt.span, text, Some("split it into several stages".to_owned()));
            axes.clear();
        }
        Some(Matrix { axes, excludes, directives, stages: stages?, span: stmt.span })
    }

    fn section_name<'a>(&mut self, line: &'a Stmt, seen: &mut HashSet<&'a str>) -> Option<&'a str> {
        let Some(called) = call_of(line) else {
            self.error(line.span, messages::invalid_section(self.text(line.span)));
            return None;
        };
        let name = self.name_of(&called)?;
        if !seen.insert(name) {
            self.error(line.span, messages::multiple_of_section(name));
        }
        Some(name)
    }

    fn axes(&mut self, stmt: &Stmt) -> Vec<Axis> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("axes"));
            self.error(stmt.span, messages::no_axes());
            return Vec::new();
        };
        let read = self.axis_list(&block, stmt.span, false);
        read.into_iter()
            .filter_map(|(axis, span)| Some(Axis { name: axis.name?.0, values: axis.values, span }))
            .collect()
    }

    fn excludes(&mut self, stmt: &Stmt) -> Vec<Exclude> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("excludes"));
            self.error(stmt.span, messages::no_excludes());
            return Vec::new();
        };
        let mut excludes = Vec::new();
        let mut empty = true;
        for line in block.stmts() {
            empty = false;
            let Some(block) = block_of(line) else {
                self.error(line.span, messages::expected_block_for("exclude"));
                self.error(line.span, messages::no_axes());
                continue;
            };
            let axes = self.axis_list(&block, line.span, true);
            let axis =
                |axis: AxisRead| Some(ExcludeAxis { name: axis.name?.0, values: axis.values, inverse: axis.inverse });
            excludes.push(Exclude { axes: axes.into_iter().filter_map(|(read, _)| axis(read)).collect() });
        }
        if empty {
            self.error(stmt.span, messages::no_excludes());
        }
        excludes
    }

    fn axis_list(&mut self, block: &BlockCall<'_>, span: Span, in_exclude: bool) -> Vec<(AxisRead, Span)> {
        let mut axes: Vec<(AxisRead, Span)> = Vec::new();
        let mut names = HashSet::new();
        for line in block.stmts() {
            if self.is_full() {
                break;
            }
            let axis = self.axis(line, in_exclude);
            if let Some((name, name_span)) = &axis.name
                && !names.insert(name.clone())
                && !name.is_empty()
            {
                self.error(*name_span, messages::duplicate_axis(name));
            }
            axes.push((axis, line.span));
        }
        if axes.is_empty() {
            self.error(span, messages::no_axes());
        }
        axes
    }

    fn axis(&mut self, stmt: &Stmt, in_exclude: bool) -> AxisRead {
        let mut axis = AxisRead::default();
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block_for("axis"));
            self.error(stmt.span, messages::required_section("name"));
            self.error(stmt.span, messages::required_section("values"));
            return axis;
        };
        let mut seen = HashSet::new();
        for line in block.stmts() {
            let Some(name) = self.section_name(line, &mut seen) else { continue };
            let Some(called) = call_of(line) else { continue };
            match name {
                "name" => self.axis_name(&called.args, line.span, &mut axis),
                "values" => {
                    if seen.contains("notValues") {
                        self.error(line.span, messages::values_or_not_values());
                    }
                    self.axis_values(&called.args, line.span, &mut axis);
                }
                "notValues" if in_exclude => {
                    if seen.contains("values") {
                        self.error(line.span, messages::values_or_not_values());
                    }
                    axis.inverse = true;
                    self.axis_values(&called.args, line.span, &mut axis);
                }
                _ => self.error(line.span, messages::undefined_section(name)),
            }
        }
        if !seen.contains("name") {
            self.error(stmt.span, messages::required_section("name"));
        }
        let has_values = seen.contains("values") || in_exclude && seen.contains("notValues");
        if !has_values {
            self.error(stmt.span, messages::required_section("values"));
        }
        axis
    }

    fn axis_name(&mut self, args: &[Given<'_>], span: Span, axis: &mut AxisRead) {
        match args {
            [] => self.error(span, messages::no_argument_for_field("name")),
            [Given::One(expr)] => {
                let word = word_of(expr);
                if word.is_none() {
                    self.error(expr.span, messages::expected_string());
                }
                let name = word.cloned().unwrap_or_else(|| "".into());
                if !is_variable_name(&name) {
                    self.error(expr.span, messages::invalid_variable_name(&name));
                }
                axis.name = Some((name, expr.span));
            }
            [Given::Map(_, span)] => self.error(*span, messages::expected_string()),
            _ => self.error(span, messages::too_many_for_field("name")),
        }
    }

    fn axis_values(&mut self, args: &[Given<'_>], span: Span, axis: &mut AxisRead) {
        if args.is_empty() {
            self.error(span, messages::required_section("values"));
        }
        let mut seen: HashSet<Text> = axis.values.iter().cloned().collect();
        for given in args {
            if self.is_full() {
                break;
            }
            let Given::One(expr) = given else {
                self.error(given.span(), messages::expected_string_but_got(self.text(given.span())));
                continue;
            };
            match self.axis_value(expr) {
                Some(text) => {
                    if !seen.insert(text.clone()) {
                        self.error(expr.span, messages::duplicate_axis_value(&text));
                    }
                    axis.values.push(text);
                }
                None => {
                    let source = self.text(expr.span);
                    let plain = matches!(&*expr.kind, ExprKind::GString(_)) || called(expr).is_some();
                    let got = if plain { source.to_owned() } else { format!("${{{source}}}") };
                    self.error(expr.span, messages::expected_string_but_got(got));
                }
            }
        }
    }

    fn axis_value(&mut self, expr: &Expr) -> Option<Text> {
        if called(expr).is_some() {
            return None;
        }
        self.value(expr).literal.map(|literal| literal.text().into())
    }
}
