//! `when { … }`: all conditions must hold.

use std::pin::Pin;
use std::rc::Rc;

use groovy::value::Pattern;
use model::change::Change;

use super::glob;
use super::interpreter::Interpreter;
use crate::declarative::model::{Condition, ConditionKind, When, WhenTest};
use crate::declarative::pattern;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::globals::changes;

/// Java's `MULTILINE` and `DOTALL`.
const LINES: i32 = 8 | 32;

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

/// A regular expression of Java.
struct Regex(Pattern);

impl Regex {
    fn new(source: &str, flags: i32) -> Result<Self, Fault> {
        pattern::check(source).map_err(bad)?;
        Pattern::new(source, flags).map(Regex).map_err(|e| bad(format!("{e}\n{source}")))
    }

    fn is_whole(&self, text: &str) -> Result<bool, Fault> {
        Ok(self.0.matches(text).map_err(|e| bad(e.0))?.is_some())
    }
}

fn bad(why: String) -> Fault {
    Fault::raised("java.util.regex.PatternSyntaxException", why)
}

/// So much of a message is looked at: no step of a pattern is counted.
const MOST_OF_MESSAGE: usize = 64 << 10;

fn beginning(message: &str) -> &str {
    &message[..message.floor_char_boundary(MOST_OF_MESSAGE)]
}

/// Whether something holds of one of these; they are looked at up to that one.
fn any<T>(all: impl IntoIterator<Item = T>, holds: impl Fn(T) -> Result<bool, Fault>) -> Result<bool, Fault> {
    for one in all {
        if holds(one)? {
            return Ok(true);
        }
    }
    Ok(false)
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
                // An empty pattern is any tag.
                Some(_) if self.text("pattern").await?.is_some_and(|p| p.is_empty()) => {
                    Ok(self.var("TAG_NAME").is_some())
                }
                Some(_) => self.matches("pattern", self.var("TAG_NAME").as_deref(), "GLOB").await,
                None => Ok(self.var("TAG_NAME").is_some()),
            },
            WhenTest::Changelog => self.changelog().await,
            WhenTest::Changeset => self.changeset().await,
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
            "REGEXP" => Regex::new(&pattern, 0)?.is_whole(actual),
            _ => Ok(glob::matches(&pattern, actual, false)),
        }
    }

    /// What came since the run before; of a pull request, since its first.
    async fn changes(&self) -> Result<Rc<[Change]>, Fault> {
        let (core, scope) = (&self.it.core, self.scope);
        let facts = &core.facts;
        if self.var("CHANGE_ID").is_some() {
            core.say(scope, "Examining changelog from all builds of this change request.");
            let all = changes::since(core, scope, facts.first_commit.as_deref()).await?;
            if !all.is_empty() {
                return Ok(all);
            }
        }
        let changes = changes::since(core, scope, facts.previous_commit.as_deref()).await?;
        if changes.is_empty() {
            let why = match facts.previous_commit {
                Some(_) => "Nothing came since the build before.",
                None if facts.build_number <= 1 => "Probably because this is the first build.",
                None => "The commit of the build before is not known.",
            };
            core.say(scope, &format!("Warning, empty changelog. {why}"));
        }
        Ok(changes)
    }

    /// Does what a commit says match: its first line, or all of it, whose first and last lines may have more?
    ///
    /// Source: `ChangeLogConditional` of pipeline-model-definition; `GitChangeSet` of git, which ends each line.
    async fn changelog(&self) -> Result<bool, Fault> {
        let pattern = self.text("pattern").await?.unwrap_or_default();
        let title = Regex::new(&pattern, 0)?;
        let within = Regex::new(&format!(r"^[^\r\n]*?{pattern}[^\r\n]*?$"), LINES)?;
        any(&*self.changes().await?, |change| {
            let message = format!("{}\n", beginning(change.message.trim_end_matches('\n')));
            Ok(title.is_whole(beginning(change.title()))? || within.is_whole(&message)?)
        })
    }

    /// Does the path of a changed file match?
    async fn changeset(&self) -> Result<bool, Fault> {
        let changes = self.changes().await?;
        let pattern = self.text("pattern").await?.unwrap_or_default();
        let comparator = self.text("comparator").await?.unwrap_or_default().to_ascii_uppercase();
        let is_exact = self.it.flag(self.scope, self.kind.arg("caseSensitive")).await?;
        let paths = || changes.iter().flat_map(|change| &change.files).map(|file| file.path.as_str());
        Ok(match comparator.as_str() {
            "EQUALS" => paths().any(|path| path == pattern),
            "REGEXP" => {
                let regex = Regex::new(&pattern, 0)?;
                any(paths(), |path| regex.is_whole(path))?
            }
            _ => paths().any(|path| glob::matches(&pattern, path, is_exact)),
        })
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

    /// What is named begins the name of a cause's class, as a pattern in any case; who it was counts for users alone.
    ///
    /// Source: `Utils.shouldRunBeAllowed` of pipeline-model-definition.
    async fn triggered_by(&self) -> Result<bool, Fault> {
        const OF_USER: &str = "UserIdCause";
        let wanted = self.text("cause").await?.unwrap_or_default();
        let detail = self.text("detail").await?;
        let pattern = Regex::new(&format!(r"(?i)\.*{wanted}.*"), 0)?;
        any(&self.it.core.facts.causes, |cause| {
            let name = cause.class.rsplit(['.', '$']).next().unwrap_or_default();
            match name == OF_USER && wanted == OF_USER {
                true => Ok(detail.as_ref().is_none_or(|detail| cause.user.as_ref() == Some(detail))),
                false => pattern.is_whole(name),
            }
        })
    }
}
