//! `post { always { … } }`.

use std::collections::HashSet;

use groovy::ast::Stmt;

use crate::catalogue::nearest;
use crate::declarative::messages;
use crate::declarative::model::{Post, PostBranch, PostCondition};
use crate::declarative::shape::block_of;
use crate::lint::did_you_mean;

use super::Reader;
use super::steps::steps;

impl Reader<'_> {
    pub(super) fn post(&mut self, stmt: &Stmt) -> Option<Post> {
        let Some(block) = block_of(stmt) else {
            self.error(stmt.span, messages::expected_block());
            self.error(stmt.span, messages::empty_section("post"));
            return None;
        };
        let names = || PostCondition::ALL.iter().map(|c| c.name());
        let mut seen: HashSet<&str> = HashSet::new();
        let mut branches = Vec::new();
        for line in block.stmts() {
            if self.is_full() {
                break;
            }
            let Some(branch) = block_of(line) else {
                self.error(line.span, messages::invalid_post_content(messages::list(names())));
                continue;
            };
            self.branch(branch.body);
            if !seen.insert(branch.name) {
                self.error(line.span, messages::duplicate_condition(branch.name));
            }
            match PostCondition::from_name(branch.name) {
                Some(condition) => branches.push(PostBranch { condition, steps: steps(&branch) }),
                None => {
                    let hint = did_you_mean(&nearest(branch.name, names()));
                    let text = messages::invalid_condition(branch.name, messages::list(names()));
                    self.error_with_hint(line.span, text, hint);
                }
            }
        }
        if seen.is_empty() {
            self.error(stmt.span, messages::empty_section("post"));
        }
        Some(Post { branches, span: stmt.span })
    }
}
