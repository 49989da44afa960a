//! Cases of several builds: what Jenkins' test does from one to the next, and which of the case's texts are of which build.

use model::outcome::Outcome;

use super::{Build, Case, Fixture};

/// Lines of the table that are one test: what the second one says is of the second build.
const JOINED: &[&str] = &[
    "RestartDeclarativePipelineActionTest#sameJenkinsfileNonMultibranch",
    "RestartDeclarativePipelineActionTest#sameCheckoutMultibranch",
];

/// What a build has of its own. The texts of a case stand in the order of its builds.
#[derive(Clone)]
struct Part {
    result: Outcome,
    /// So many texts its log has.
    has: usize,
    /// So many it lacks.
    lacks: usize,
    /// It begins with this stage.
    from: Option<&'static str>,
    /// Variables of the run.
    env: Vec<(&'static str, &'static str)>,
    params: Vec<(&'static str, &'static str)>,
    /// Files that the repository has by then.
    files: Vec<(&'static str, &'static str)>,
    /// So many of the commits of the case are there by then; `None`: all.
    commits: Option<usize>,
}

impl Part {
    fn new(result: Outcome, has: usize, lacks: usize) -> Part {
        let (env, params, files) = (Vec::new(), Vec::new(), Vec::new());
        Part { result, has, lacks, from: None, env, params, files, commits: None }
    }

    fn from(self, stage: &'static str) -> Part {
        Part { from: Some(stage), ..self }
    }

    fn of(self, env: &[(&'static str, &'static str)]) -> Part {
        Part { env: env.to_vec(), ..self }
    }
}

/// Whether this line goes on with what the one before has begun: then it is no case of its own.
pub(super) fn joins(first: Option<&mut Case>, line: &Case) -> bool {
    let Some(first) = first.filter(|first| first.id == line.id && JOINED.contains(&line.id.as_str())) else {
        return false;
    };
    first.log_contains.extend(line.log_contains.iter().cloned());
    first.log_excludes.extend(line.log_excludes.iter().cloned());
    true
}

/// The builds of a case: most have one.
pub(super) fn of(case: &Case, fixture: Fixture) -> Vec<Build> {
    let parts = parts(&case.id);
    if parts.is_empty() {
        return vec![Build { case: case.clone(), fixture }];
    }
    let (mut contains, mut excludes) = (case.log_contains.iter(), case.log_excludes.iter());
    let mut previous = None;
    let builds = parts.into_iter().zip(1..).map(|(part, number)| {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let (env, params, files): (Vec<_>, Vec<_>, Vec<_>) =
            (owned(&part.env), owned(&part.params), owned(&part.files));
        let mut fixture = fixture.clone();
        fixture.files.extend(files);
        fixture.facts.env.extend(env);
        fixture.facts.params.extend(params);
        fixture.facts.build_number = number;
        fixture.facts.previous = previous.replace(part.result);
        fixture.facts.restart_from = part.from.map(str::to_owned);
        fixture.changes.truncate(part.commits.unwrap_or(usize::MAX));
        if fixture.changes.is_empty() {
            fixture.facts.previous_commit = None;
        }
        // What came since the first build of a request is what came since.
        let is_request = fixture.facts.env.iter().any(|(name, _)| name == "CHANGE_ID");
        fixture.facts.first_commit = fixture.facts.previous_commit.clone().filter(|_| is_request);
        let case = Case {
            result: Some(part.result.name().to_owned()),
            log_contains: contains.by_ref().take(part.has).cloned().collect(),
            log_excludes: excludes.by_ref().take(part.lacks).cloned().collect(),
            ..case.clone()
        };
        Build { case, fixture }
    });
    builds.collect()
}

fn parts(id: &str) -> Vec<Part> {
    let (class, method) = id.split_once('#').unwrap_or((id, ""));
    match class {
        "RestartDeclarativePipelineActionTest" => restarts(method),
        "WhenStageMultibranchTest" | "WhenStageTest" => branches(method),
        _ => Vec::new(),
    }
}

/// Runs that begin with a stage of the one before. What Jenkins' test asks the page beside that (whether it may, what the page
/// says) is a server's, and tested there.
fn restarts(method: &str) -> Vec<Part> {
    let fails = |has, lacks| Part::new(Outcome::Failure, has, lacks);
    let succeeds = |has, lacks| Part::new(Outcome::Success, has, lacks);
    match method {
        "simpleRestart" => vec![fails(2, 0), succeeds(3, 1).from("restart")],
        "skippedParallelStagesMarkedNotExecuted" => vec![fails(3, 0), succeeds(3, 2).from("restart")],
        "nestedStagesSkippedOnRestart" => vec![fails(0, 0), succeeds(8, 0).from("restart")],
        "stashAndRestart" => vec![fails(0, 0), succeeds(3, 0).from("restart")],
        "testDoRestartPipeline" => vec![succeeds(0, 0), succeeds(0, 0).from("foo"), fails(0, 0).from("foo-not")],
        "notPresentStageName" => vec![fails(2, 0), fails(0, 0).from("not-present")],
        "emptyStageName" => vec![fails(2, 0), fails(0, 0).from("")],
        // The definition stays that of the first; the checkout is what the branch is by then.
        "sameJenkinsfileNonMultibranch" => {
            let later = Part { files: vec![("newFile", "exists")], ..succeeds(3, 2).from("restart") };
            vec![fails(0, 0), later]
        }
        // Of a branch it is the same commit.
        "sameCheckoutMultibranch" => {
            let of = [("BRANCH_NAME", "master")];
            vec![fails(0, 0).of(&of), succeeds(3, 2).of(&of).from("restart")]
        }
        "changelogChangesetAndRestart" => {
            let of = [("BRANCH_NAME", "master")];
            vec![succeeds(0, 0).of(&of), fails(0, 0).of(&of), succeeds(3, 1).of(&of).from("restart")]
        }
        // What the second was given, the third has.
        "parametersAndRestart" => {
            let given = vec![("flag", "false"), ("someParam", "changed")];
            let second = Part { params: given.clone(), ..fails(0, 0) };
            vec![succeeds(0, 0), second, Part { params: given, ..succeeds(5, 1).from("restart") }]
        }
        _ => Vec::new(),
    }
}

/// A build of each branch, tag or change request that is looked at.
fn branches(method: &str) -> Vec<Part> {
    let succeeds = |has, lacks| Part::new(Outcome::Success, has, lacks);
    let tag = |name, part: Part| part.of(&[("BRANCH_NAME", name), ("TAG_NAME", name)]);
    let request = |id, name, target, more: &[(&'static str, &'static str)], part: Part| {
        let own = [
            ("BRANCH_NAME", name),
            ("CHANGE_BRANCH", name),
            ("CHANGE_ID", id),
            ("CHANGE_TARGET", target),
            ("CHANGE_URL", "http://changes.example.com/of/this"),
            ("CHANGE_AUTHOR", "bob"),
            ("CHANGE_AUTHOR_DISPLAY_NAME", "Bob Smith"),
            ("CHANGE_AUTHOR_EMAIL", "bob@example.com"),
        ];
        part.of(&[&own[..], more].concat())
    };
    match method {
        "whenTag" => vec![
            tag("some-random-tag", succeeds(2, 1)),
            tag("release-1", succeeds(4, 0)),
            tag("release-master", succeeds(1, 1)),
        ],
        "whenChangesetPR" | "whenChangelogPR" => {
            let texts = if method == "whenChangesetPR" { [(3, 2), (3, 3), (4, 3)] } else { [(2, 1), (2, 2), (3, 2)] };
            let build = |commits, (has, lacks)| Part {
                commits: Some(commits),
                ..request("1", "CR-1", "master", &[], succeeds(has, lacks))
            };
            (0..).zip(texts).map(|(commits, texts)| build(commits, texts)).collect()
        }
        "whenChangeRequest" => vec![
            succeeds(1, 7).of(&[("BRANCH_NAME", "master")]),
            request("1", "CR-1", "master", &[], succeeds(10, 0)),
            request("2", "CR-2", "release-2", &[("CHANGE_FORK", "fork")], succeeds(4, 2)),
            request("10", "CR-10", "master", &[], succeeds(2, 0)),
        ],
        _ => Vec::new(),
    }
}
