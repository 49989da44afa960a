//! What came into the repository since the run before: for `currentBuild.changeSets` and `when { changeset … changelog … }`.

use std::rc::Rc;

use groovy::value::Value;
use model::change::{Change, ChangedFile, Edit};
use model::request::{Reply, Request};

use crate::engine::Core;
use crate::engine::fault::Fault;
use crate::engine::scope::Scope;
use crate::engine::values;
use crate::steps::{objects, unexpected};

/// The commits since another, the oldest first; none where it is not known which. They are asked for once.
///
/// # Errors
/// The world could not tell.
pub(crate) async fn since(core: &Core, scope: &Scope, commit: Option<&str>) -> Result<Rc<[Change]>, Fault> {
    let Some(commit) = commit else { return Ok(Rc::from([])) };
    if let Some(known) = core.run.changes.borrow().get(commit) {
        return Ok(Rc::clone(known));
    }
    let changes = match core.ask(Request::Changes { since: commit.to_owned() }).await? {
        Reply::Changes(Some(changes)) => changes,
        Reply::Changes(None) => {
            let text = format!("Commit {commit} is not part of this history: what came since is not known");
            core.say(scope, &text);
            Vec::new()
        }
        reply => return Err(unexpected(&reply)),
    };
    let changes: Rc<[Change]> = changes.into();
    core.run.changes.borrow_mut().insert(commit.to_owned(), Rc::clone(&changes));
    Ok(changes)
}

/// `currentBuild.changeSets`: a list of one, or of none where nothing came.
///
/// Source: `RunWrapper.getChangeSets` of workflow-support, `GitChangeSetList` of the git plugin.
pub(super) async fn sets(core: Rc<Core>, scope: Scope) -> Result<Value, Fault> {
    if let Some(known) = core.run.change_sets.borrow().clone() {
        return Ok(known);
    }
    let changes = since(&core, &scope, core.facts.previous_commit.as_deref()).await?;
    let sets = match changes.is_empty() {
        true => Vec::new(),
        false => {
            let rows = Value::list(changes.iter().map(row).collect());
            vec![objects::of(&core, &scope, "changes", vec![rows]).await?]
        }
    };
    let sets = Value::list(sets);
    *core.run.change_sets.borrow_mut() = Some(sets.clone());
    Ok(sets)
}

/// What the maker of these objects is told of a commit.
fn row(change: &Change) -> Value {
    let id = change.email.split('@').next().filter(|id| !id.is_empty()).unwrap_or(&change.author);
    values::map([
        ("commit", values::text(&change.commit)),
        ("parent", values::opt_text(change.parent.as_deref())),
        ("author", values::text(&change.author)),
        ("email", values::text(&change.email)),
        ("id", values::text(id)),
        ("title", values::text(change.title())),
        ("message", values::text(&format!("{}\n", change.message))),
        ("timestamp", Value::Long(change.authored_s.saturating_mul(1000))),
        ("files", Value::list(change.files.iter().map(file).collect())),
    ])
}

fn file(file: &ChangedFile) -> Value {
    let (edit, what) = match file.edit {
        Edit::Added => ("add", "added"),
        Edit::Edited => ("edit", "modified"),
        Edit::Deleted => ("delete", "removed"),
    };
    let fields = [("path", file.path.as_str()), ("edit", edit), ("what", what)];
    values::map(fields.into_iter().map(|(name, value)| (name, values::text(value))))
}
