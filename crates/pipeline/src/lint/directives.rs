//! Directives that are known and that nobody acts on: what is lost without them.

use groovy::ast::{Arg, Expr, ExprKind};
use groovy::diagnostic::Diagnostic;
use groovy::span::Span;
use model::run::InstalledTool;

use crate::catalogue::{Catalogue, Kind, Support};
use crate::declarative::model::{Pipeline, StageContent, Tool};
use crate::steps::tool::installed;

use super::tree::{NamedCall, Node, literal};

/// Options whose absence changes what happens, and how.
const OPTIONS: [(&str, &str); 13] = [
    ("authorizationMatrix", NOT_HERE),
    ("buildBlocker", WAITS_FOR_NONE),
    ("buildBlockerProperty", WAITS_FOR_NONE),
    ("lockableResource", WAITS_FOR_NONE),
    ("lockableResourcesProperty", WAITS_FOR_NONE),
    ("notificationProperty", NO_MESSAGE),
    ("office365ConnectorWebhooks", NO_MESSAGE),
    ("overrideIndexTriggers", "what starts a run of a branch is said at the server"),
    ("promotion", "nothing is promoted"),
    ("quietPeriod", "a run does not wait before it starts"),
    ("rateLimit", UNLIMITED),
    ("rateLimitBuilds", UNLIMITED),
    ("throttleJobProperty", "what runs at the same time is not limited by it"),
];
const NOT_HERE: &str = "who may do what is said at the server";
const WAITS_FOR_NONE: &str = "a run waits for none of them";
const NO_MESSAGE: &str = "no message is sent";
const UNLIMITED: &str = "the number of runs in a time is not limited";

/// Parameters that are more than a text, and what they are not.
const PARAMETERS: [(&str, &str); 7] = [
    ("activeChoice", NO_CHOICES),
    ("activeChoiceHtml", NO_CHOICES),
    ("base64File", NO_FILE),
    ("file", NO_FILE),
    ("fileParam", NO_FILE),
    ("reactiveChoice", NO_CHOICES),
    ("stashedFile", NO_FILE),
];
const NO_FILE: &str = "no file is given to a run";
const NO_CHOICES: &str = "its script is not run, and any text may be given";

/// What only says that a push starts a run: at a server the webhooks of the forge do that for each project.
const OF_A_PUSH: [&str; 8] = [
    "bitBucketTrigger",
    "bitbucketPush",
    "bitbucketTriggers",
    "giteaPush",
    "githubPullRequests",
    "githubPush",
    "gitlab",
    "gogs",
];

/// Looks at the directives of a pipeline, and at what scripts say with `properties([…])`.
/// `there` are the tools that are there.
pub(super) fn check(pipeline: Option<&Pipeline>, all: &[Node<'_>], there: &[InstalledTool]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(pipeline) = pipeline {
        let calls = |kind, calls: &[(&str, Span)], found: &mut Vec<_>| {
            found.extend(calls.iter().filter_map(|(name, span)| finding(kind, name, *span)));
        };
        let options: Vec<_> = pipeline.options.iter().map(|it| (&*it.call.name, it.call.name_span)).collect();
        let parameters: Vec<_> = pipeline.parameters.iter().map(|it| (&*it.name, it.name_span)).collect();
        let triggers: Vec<_> = pipeline.triggers.iter().map(|it| (&*it.name, it.name_span)).collect();
        calls(Kind::Property, &options, &mut found);
        calls(Kind::Parameter, &parameters, &mut found);
        calls(Kind::Trigger, &triggers, &mut found);
        let lacks = |tool: &&Tool| literal(&tool.name).and_then(|name| installed(there, &tool.kind, name)).is_none();
        found.extend(tools(pipeline).into_iter().filter(lacks).map(|tool| {
            let text = format!("the tool \"{}\" is not installed: what the image or the host has is used", tool.kind);
            Diagnostic::warning(tool.kind_span, text)
                .with_hint("an image with it, or `--tool NAME=FOLDER`")
                .of_rule("unsupported-directive")
        }));
    }
    for call in all.iter().filter_map(Node::expr).filter_map(NamedCall::of).filter(|call| call.name == "properties") {
        for property in call.first().or_else(|| call.named("properties")).into_iter().flat_map(items) {
            let kind = match property.name {
                "parameters" => Kind::Parameter,
                "pipelineTriggers" => Kind::Trigger,
                name => {
                    found.extend(finding(Kind::Property, name, property.span));
                    continue;
                }
            };
            let inner = property.first().into_iter().flat_map(items);
            found.extend(inner.filter_map(|call| finding(kind, call.name, call.span)));
        }
    }
    found
}

/// The calls in a list.
fn items(list: &Expr) -> impl Iterator<Item = NamedCall<'_>> {
    let items = match &*list.kind {
        ExprKind::List(items) => &items[..],
        _ => &[],
    };
    items.iter().filter_map(|item| match item {
        Arg::Positional(item) => NamedCall::of(item),
        _ => None,
    })
}

/// All `tools { … }`.
fn tools(pipeline: &Pipeline) -> Vec<&Tool> {
    let mut tools: Vec<_> = pipeline.tools.iter().collect();
    let mut open: Vec<_> = pipeline.stages.iter().collect();
    while let Some(stage) = open.pop() {
        tools.extend(&stage.directives.tools);
        match &stage.content {
            StageContent::Steps(_) => {}
            StageContent::Stages(stages) | StageContent::Parallel(stages) => open.extend(stages),
            StageContent::Matrix(matrix) => {
                tools.extend(&matrix.directives.tools);
                open.extend(&matrix.stages);
            }
        }
    }
    tools
}

fn finding(kind: Kind, name: &str, span: Span) -> Option<Diagnostic> {
    let catalogue = Catalogue::get();
    let is_known = |kind| catalogue.find(kind, name).is_some_and(|it| it.support == Support::Known && !it.fixture);
    let of = |list: &[(&str, &'static str)]| list.iter().find(|(it, _)| *it == name).map(|(_, lost)| *lost);
    let (what, lost) = match kind {
        Kind::Trigger => ("trigger", (!OF_A_PUSH.contains(&name)).then_some("it never starts a run")?),
        Kind::Parameter => ("parameter", of(&PARAMETERS)?),
        _ => ("option", of(&OPTIONS)?),
    };
    // `quietPeriod` is an option of the interpreter, others are the project's.
    if !(is_known(kind) || kind == Kind::Property && is_known(Kind::Option)) {
        return None;
    }
    let text = format!("the {what} \"{name}\" has no effect here: {lost}");
    let found = Diagnostic::warning(span, text).of_rule("unsupported-directive");
    Some(match kind {
        Kind::Trigger => found.with_hint("runs are started by `cron`, `pollSCM`, `upstream`, and a server's webhooks"),
        _ => found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_lost_is_known_and_has_no_effect() {
        let span = Span::default();
        for name in OPTIONS.map(|(name, _)| name) {
            assert!(finding(Kind::Property, name, span).is_some(), "{name}");
        }
        for name in PARAMETERS.map(|(name, _)| name) {
            assert!(finding(Kind::Parameter, name, span).is_some(), "{name}");
        }
        for name in OF_A_PUSH {
            assert!(
                Catalogue::get().find(Kind::Trigger, name).is_some_and(|it| it.support == Support::Known),
                "{name}"
            );
        }
    }
}
