//! `when { … }`: all conditions must hold.

use std::pin::Pin;
use std::rc::Rc;

use regex::RegexBuilder;

use super::glob;
use super::interpreter::Interpreter;
use crate::declarative::model::{Condition, ConditionKind, When, WhenTest};
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;

/// Largest compiled regular expression, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Do the conditions hold? They are looked at in order, up to the first that does not.
pub(super) async fn holds(it: &Rc<Interpreter>, scope: &Scope, when: &When) -> Result<bool, Fault> {
    all(it, scope, &when.conditions).await
}

async fn all(it: &Rc<Interpreter>, scope: &Scope, conditions: &[Condition]) -> Result<bool, Fault> {
    for condition in conditions {
        if !one(it, scope, condition).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The parser bounds how deep conditions stand in each other.
fn one<'a>(
    it: &'a Rc<Interpreter>,
    scope: &'a Scope,
    condition: &'a Condition,
) -> Pin<Box<dyn Future<Output = Result<bool, Fault>> + 'a>> {
    Box::pin(async move {
        match &condition.kind {
            ConditionKind::AllOf(inner) => all(it, scope, inner).await,
            ConditionKind::AnyOf(inner) => {
                for condition in inner {
                    if one(it, scope, condition).await? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            ConditionKind::Not(inner) => Ok(!one(it, scope, inner).await?),
            ConditionKind::Expression(closure) => Ok(it.run(scope, closure).await?.truth()),
            ConditionKind::Test { test, .. } => {
                let asked = Asked { it, scope, kind: &condition.kind };
                asked.holds(*test).await.map_err(|f| f.at(condition.span))
            }
        }
    })
}

/// A condition about the facts of the run.
struct Asked<'a> {
    it: &'a Rc<Interpreter>,
    scope: &'a Scope,
    kind: &'a ConditionKind,
}

impl Asked<'_> {
    async fn holds(&self, test: WhenTest) -> Result<bool, Fault> {
        match test {
            WhenTest::Branch => {
                let names = ["BRANCH_NAME", "GIT_LOCAL_BRANCH", "GIT_BRANCH"];
                let branch = names.iter().find_map(|n| self.var(n));
                self.matches("pattern", branch.as_deref(), "GLOB").await
            }
            WhenTest::BuildingTag => Ok(self.var("TAG_NAME").is_some()),
            WhenTest::Tag => match self.kind.arg("pattern") {
                Some(_) => self.matches("pattern", self.var("TAG_NAME").as_deref(), "GLOB").await,
                None => Ok(self.var("TAG_NAME").is_some()),
            },
            WhenTest::Changelog | WhenTest::Changeset => {
                let text = "Warning, empty changelog. Probably because this is the first build.";
                self.it.core.say(self.scope, text);
                Ok(false)
            }
            WhenTest::ChangeRequest => self.change_request().await,
            WhenTest::Environment => self.environment().await,
            WhenTest::Equals => self.equals().await,
            WhenTest::IsRestartedRun => Ok(self.it.core.facts.restart_from.is_some()),
            WhenTest::TriggeredBy => self.triggered_by().await,
        }
    }

    /// A variable that is set and not empty.
    fn var(&self, name: &str) -> Option<String> {
        self.it.core.env_var(self.scope, name).filter(|v| !v.is_empty())
    }

    async fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.kind.arg(name) {
            Some(expr) => Ok(Some(self.it.text(self.scope, expr).await?)),
            None => Ok(None),
        }
    }

    /// Does `actual` match the pattern in that argument?
    async fn matches(&self, argument: &str, actual: Option<&str>, default: &str) -> Result<bool, Fault> {
        let comparator = self.text("comparator").await?.unwrap_or_else(|| default.to_owned());
        let pattern = self.text(argument).await?.unwrap_or_default();
        let Some(actual) = actual else { return Ok(false) };
        match comparator.to_ascii_uppercase().as_str() {
            "EQUALS" => Ok(pattern == actual),
            "REGEXP" => {
                let built = RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(REGEX_BYTES).build();
                let regex = built.map_err(|e| Fault::illegal(format!("‘{pattern}’ is not a pattern: {e}")))?;
                Ok(regex.is_match(actual))
            }
            _ => Ok(glob::matches(&pattern, actual, false)),
        }
    }

    async fn change_request(&self) -> Result<bool, Fault> {
        if self.var("CHANGE_ID").is_none() {
            return Ok(false);
        }
        for (argument, variable) in [
            ("id", "CHANGE_ID"),
            ("target", "CHANGE_TARGET"),
            ("branch", "CHANGE_BRANCH"),
            ("fork", "CHANGE_FORK"),
            ("url", "CHANGE_URL"),
            ("title", "CHANGE_TITLE"),
            ("author", "CHANGE_AUTHOR"),
            ("authorDisplayName", "CHANGE_AUTHOR_DISPLAY_NAME"),
            ("authorEmail", "CHANGE_AUTHOR_EMAIL"),
        ] {
            let asked = self.kind.arg(argument).is_some();
            if asked && !self.matches(argument, self.var(variable).as_deref(), "EQUALS").await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn environment(&self) -> Result<bool, Fault> {
        let name = self.text("name").await?.unwrap_or_default();
        let expected = self.text("value").await?.unwrap_or_default();
        let actual = self.it.core.env_var(self.scope, &name).unwrap_or_default();
        let ignore_case = self.it.flag(self.scope, self.kind.arg("ignoreCase")).await?;
        Ok(if ignore_case { actual.to_lowercase() == expected.to_lowercase() } else { actual == expected })
    }

    async fn equals(&self) -> Result<bool, Fault> {
        let mut sides = Vec::new();
        for name in ["expected", "actual"] {
            sides.push(match self.kind.arg(name) {
                Some(expr) => self.it.eval(self.scope, expr).await?,
                None => groovy::value::Value::Null,
            });
        }
        Ok(sides[0].equals(&sides[1]))
    }

    async fn triggered_by(&self) -> Result<bool, Fault> {
        let wanted = self.text("cause").await?.unwrap_or_default();
        let detail = self.text("detail").await?;
        Ok(self.it.core.facts.causes.iter().any(|cause| {
            let named = cause.class == wanted || cause.class.split(['.', '$']).any(|part| part == wanted);
            let detailed = detail.as_ref().is_none_or(|d| {
                cause.user.as_ref() == Some(d) || cause.description.split_whitespace().any(|word| word == d)
            });
            named && detailed
        }))
    }
}
