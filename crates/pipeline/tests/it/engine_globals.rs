//! The objects that a pipeline finds ready: what scripts take out of them.

use model::change::{Change, ChangedFile, Edit};
use model::git::{Clearing, GitSource, Submodules};
use model::outcome::Outcome;
use model::request::Request;
use model::run::PastRun;
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::run;
use crate::engine_world::{Ran, World};

/// Runs a script of a branch of a project, after a run that failed.
fn of_branch(source: &str) -> Ran {
    let env = [("BRANCH_NAME", "main"), ("GIT_URL", "https://x/own.git")];
    let facts = RunFacts {
        job_name: "team/app/main".to_owned(),
        build_number: 9,
        previous: Some(Outcome::Failure),
        previous_number: Some(6),
        has_scm: true,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..RunFacts::default()
    };
    World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap()
}

/// What it checks out.
fn sources(ran: &Ran) -> Vec<Option<GitSource>> {
    let found = ran.requests.iter().filter_map(|request| match request {
        Request::Checkout { source, .. } => Some(source.clone().map(|source| *source)),
        _ => None,
    });
    found.collect()
}

fn git(url: &str, reference: Option<&str>) -> Option<GitSource> {
    Some(GitSource { url: url.to_owned(), reference: reference.map(str::to_owned), ..GitSource::default() })
}

#[test]
fn variables_are_found_in_any_case() {
    let ran = run("env.Mine = 'a'\necho \"${env.mine} ${MINE} ${env.Mine}\"\nnode { echo \"at ${workspace}\" }");
    ran.is(Outcome::Success).has("a a a").has("at /");
    // Two that differ in that alone stay two.
    run("env.low = 'a'; env.LOW = 'b'\necho \"${env.low}${env.LOW}\"").is(Outcome::Success).has("ab");
    run("env.X = null\necho \"[${env.X}]\"").is(Outcome::Success).has("[null]");
    run("echo nowhere").is(Outcome::Failure).has("No such property: nowhere");
}

#[test]
fn the_run_before_is_known_as_far_as_it_is() {
    let ran = of_branch(
        "def last = currentBuild.previousBuild
        echo \"${last.result} ${last.number} ${last.displayName} ${last.resultIsWorseOrEqualTo('UNSTABLE')} ${last.previousBuild}\"
        echo \"${currentBuild.getPreviousFailedBuild()?.id} ${currentBuild.previousSuccessfulBuild} ${currentBuild.number}\"",
    );
    ran.is(Outcome::Success).has("FAILURE 6 #6 true null").has("6 null 9");
    let kept = "echo \"${currentBuild.previousBuild.description} ${currentBuild.previousBuild.changeSets.size()}\"";
    of_branch(kept).is(Outcome::Success).has("null 0\n");
    of_branch("currentBuild.previousBuild.result = 'SUCCESS'").is(Outcome::Failure);
    of_branch("echo \"${currentBuild.previousBuild.rawBuild}\"").is(Outcome::Failure).has("RejectedAccessException");
    let refused = "RejectedAccessException: Scripts not permitted to use method";
    of_branch("currentBuild.getRawBuild().getCauses()").is(Outcome::Failure).has(refused);
    run("echo \"${currentBuild.previousBuild?.result}\"").is(Outcome::Success).has("null");
    run("env.A = 'b'\necho \"${currentBuild.buildVariables}\"").is(Outcome::Success).has("[A:b]");
}

#[test]
fn parameters_are_nobodys_to_change() {
    let declared = "properties([parameters([string(name: 'X', defaultValue: 'a')])])\n";
    for change in
        ["params.X = 'z'", "params.put('X', 'z')", "params << [X: 'z']", "params['X'] = 'z'", "params.with { X = 'z' }"]
    {
        let ran = run(&format!(
            "{declared}try {{ {change} }} catch (UnsupportedOperationException e) {{ echo 'refused' }}\necho params.X"
        ));
        ran.is(Outcome::Success).has("refused\n").has("\na\n");
    }
    run(&format!(
        "{declared}def all = params + [Y: 'b']\necho \"$all ${{params.collectEntries {{ k, v -> [v, k] }}}}\""
    ))
    .is(Outcome::Success)
    .has("[X:a, Y:b] [a:X]");
}

#[test]
fn runs_before_that_are_known_one_behind_another() {
    let past = |number, outcome, description: Option<&str>| PastRun {
        number,
        outcome,
        display_name: description.map(|_| format!("v{number}")),
        description: description.map(str::to_owned),
        started_at_ms: 1000 * number,
        duration_ms: 65_000,
    };
    let history = vec![
        past(8, Outcome::Failure, Some("said")),
        past(7, Outcome::NotBuilt, None),
        past(5, Outcome::Unstable, None),
        past(2, Outcome::Success, None),
    ];
    let facts = RunFacts {
        job_name: "app/main".to_owned(),
        build_number: 9,
        server_url: Some("https://ci".to_owned()),
        previous: Some(Outcome::Failure),
        previous_number: Some(8),
        history,
        ..RunFacts::default()
    };
    let source = "def at = currentBuild.previousBuild
        echo \"${at.displayName} ${at.fullDisplayName} ${at.description} ${at.absoluteUrl} ${at.startTimeInMillis} ${at.duration} ${at.durationString}\"
        echo \"${at.previousBuild.displayName} ${at.previousBuild.description} ${at.nextBuild.number}\"
        def all = []
        for (def one = at; one != null; one = one.previousBuild) { all << \"${one.number}:${one.result}\" }
        echo \"$all\"
        def kinds = { [it.previousCompletedBuild, it.previousBuiltBuild, it.previousFailedBuild, it.previousNotFailedBuild, it.previousSuccessfulBuild, it.previousBuildInProgress].collect { b -> b?.number } }
        echo \"${kinds(currentBuild)} ${kinds(at)} ${kinds(currentBuild.getPreviousSuccessfulBuild())}\"
        echo \"${at.previousBuild.previousBuild.resultIsBetterOrEqualTo('UNSTABLE')}\"
        currentBuild.previousBuild.previousBuild.displayName = 'x'";
    let ran = World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap();
    ran.is(Outcome::Failure)
        .has("v8 app/main v8 said https://ci/job/app/job/main/8/ 8000 65000 1 min 5 sec")
        .has("#7 null 9\n")
        .has("[8:FAILURE, 7:NOT_BUILT, 5:UNSTABLE, 2:SUCCESS]")
        .has("[8, 8, 8, 7, 2, null] [7, 5, null, 7, 2, null] [null, null, null, null, null, null]")
        .has("\ntrue\n");
}

#[test]
fn the_parts_of_scm_stand_for_the_project_itself() {
    let ran = of_branch(
        "node {
            echo \"${scm.userRemoteConfigs[0].url} ${scm.getBranches()[0].name} ${scm.doGenerateSubmoduleConfigurations}\"
            checkout([$class: 'GitSCM', branches: scm.branches, userRemoteConfigs: scm.userRemoteConfigs,
                extensions: scm.extensions + [[$class: 'CleanCheckout']]])
            checkout([$class: 'GitSCM', branches: scm.branches, userRemoteConfigs: [[url: scm.userRemoteConfigs[0].url]]])
            checkout([$class: 'GitSCM', branches: [[name: '*/other']], userRemoteConfigs: scm.userRemoteConfigs])
        }",
    );
    ran.is(Outcome::Success).has("https://x/own.git main false");
    let own = |source: Option<GitSource>| source.map(|source| GitSource { own: true, ..source });
    let cleared =
        own(git("https://x/own.git", None)).map(|source| GitSource { clearing: Clearing::Untracked, ..source });
    assert_eq!(sources(&ran), [cleared, None, own(git("https://x/own.git", Some("other")))]);
    let facts = RunFacts { has_scm: true, ..RunFacts::default() };
    let source =
        "node { checkout([$class: 'GitSCM', branches: [[name: 'x']], userRemoteConfigs: scm.userRemoteConfigs]) }";
    let run = |source: &str| World::new(Fixture { facts: facts.clone(), ..Fixture::default() }).run(source).unwrap();
    assert_eq!(sources(&run(source)), [own(git("", Some("x")))]);
    // An address that is missing or misspelt is not that of the project; that of a folder is null.
    for of in ["[]", "[[ur: 'https://x/y.git']]", "[[url: '']]"] {
        run(&format!("node {{ checkout([$class: 'GitSCM', userRemoteConfigs: {of}]) }}"))
            .is(Outcome::Failure)
            .has("Couldn't find any revision to build");
    }
    let null =
        "node { checkout scmGit(branches: scm.branches, userRemoteConfigs: [[url: scm.userRemoteConfigs[0].url]]) }";
    assert_eq!(sources(&run(null)), [None]);
}

#[test]
fn a_checkout_says_what_git_is_to_do_with_the_files() {
    let facts = RunFacts { has_scm: true, repository: Some("https://x/own.git".to_owned()), ..RunFacts::default() };
    let source = "node {
        echo \"at ${scm.userRemoteConfigs[0].url}\"
        checkout scmGit(branches: scm.branches, userRemoteConfigs: scm.userRemoteConfigs, extensions: [localBranch()])
        checkout([$class: 'GitSCM', branches: [[name: '*/a']], userRemoteConfigs: [[url: 'https://x/b.git', credentialsId: 'c']], extensions: [
            [$class: 'SubmoduleOption', disableSubmodules: false, parentCredentials: true, recursiveSubmodules: true, trackingSubmodules: false],
            [$class: 'SparseCheckoutPaths', sparseCheckoutPaths: [[path: 'docs/'], [path: '/x']]],
            [$class: 'LocalBranch', localBranch: 'mine'], [$class: 'RelativeTargetDirectory', relativeTargetDir: 'sub']]])
        checkout scmGit(userRemoteConfigs: scm.userRemoteConfigs, extensions: [submodule(disableSubmodules: true), lfs()])
    }";
    let ran = World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap();
    ran.is(Outcome::Success).has("at https://x/own.git\n").has("WARNING: checkout does nothing for lfs\n");
    let own = GitSource { own: true, url: "https://x/own.git".to_owned(), ..GitSource::default() };
    let other = git("https://x/b.git", Some("a")).map(|source| GitSource {
        credentials: Some("c".to_owned()),
        local_branch: Some("mine".to_owned()),
        submodules: Some(Submodules { recursive: true, latest: false, same_login: true }),
        sparse: vec!["docs/".to_owned(), "/x".to_owned()],
        ..source
    });
    assert_eq!(sources(&ran), [Some(GitSource { local_branch: Some("**".to_owned()), ..own }), other, None]);
}

#[test]
fn a_checkout_says_what_goes_from_its_folder() {
    let clearing = |extensions: &str| {
        let ran = of_branch(&format!(
            "node {{ checkout scmGit(branches: [[name: 'x']], userRemoteConfigs: [[url: 'https://x/b.git']], extensions: [{extensions}]) }}"
        ));
        sources(ran.is(Outcome::Success))[0].clone().unwrap().clearing
    };
    for (extensions, expect) in [
        ("cloneOption(shallow: true)", Clearing::Usual),
        ("cleanAfterCheckout()", Clearing::Untracked),
        (
            "cleanBeforeCheckout(deleteUntrackedNestedRepositories: true), [$class: 'CleanCheckout']",
            Clearing::Repositories,
        ),
        ("[$class: 'hudson.plugins.git.extensions.impl.WipeWorkspace'], cleanAfterCheckout()", Clearing::Everything),
    ] {
        assert_eq!(clearing(extensions), expect, "{extensions}");
    }
    for (extension, how) in
        [("[$class: 'NoSuchExt']", "named NoSuchExt"), ("logRotator()", "using symbol ‘logRotator’")]
    {
        let ran = of_branch(&format!(
            "node {{ checkout scmGit(userRemoteConfigs: [[url: 'https://x/b.git']], extensions: [{extension}]) }}"
        ));
        let words = format!("no known implementation of class hudson.plugins.git.extensions.GitSCMExtension is {how}");
        ran.is(Outcome::Failure).has(&words);
        assert_eq!(sources(&ran), []);
    }
}

#[test]
fn of_several_branches_each_may_be_the_one() {
    let ran = of_branch(
        "node {
            checkout scmGit(branches: [[name: 'refs/tags/v1'], [name: '*/b'], [name: '**']], userRemoteConfigs: [[url: 'https://x/b.git']])
            checkout scmGit(branches: [[name: '**'], [name: 'b']], userRemoteConfigs: [[url: 'https://x/b.git']])
            checkout scmGit(branches: [[name: ':^(?!x)']], userRemoteConfigs: [[url: 'https://x/b.git']])
        }",
    );
    ran.is(Outcome::Failure).has("the branch ‘:^(?!x)’ is a regular expression, which is not supported yet");
    let first = git("https://x/b.git", Some("refs/tags/v1"))
        .map(|source| GitSource { or_else: vec!["b".to_owned()], ..source });
    assert_eq!(sources(&ran), [first, git("https://x/b.git", None)]);
}

#[test]
fn addresses_and_branches_are_expanded() {
    let ran = of_branch(
        "node { checkout([$class: 'GitSCM', branches: [[name: 'refs/remotes/origin/${BRANCH_NAME}']],
            userRemoteConfigs: [[url: 'https://x/$BRANCH_NAME/$$a/${none}/$']]]) }",
    );
    assert_eq!(sources(ran.is(Outcome::Success)), [git("https://x/main/$a/${none}/$", Some("main"))]);
}

#[test]
fn the_binding_can_be_asked() {
    let ran = run("x = 1
        def known() { binding.hasVariable('x') }
        binding.setVariable('y', 2)
        echo \"${known()} ${getBinding().hasVariable('z')} ${y} ${binding.getVariable('x')} ${binding.variables.containsKey('y')}\"
        try { binding.getVariable('z') } catch (MissingPropertyException e) { echo 'none' }");
    ran.is(Outcome::Success).has("true false 2 1 true").has("none");
}

#[test]
fn a_workspace_without_a_name_is_one_of_its_own() {
    let ran = run("node { def outer = pwd(); ws { echo \"${pwd() != outer && pwd() == WORKSPACE}\" } }");
    ran.is(Outcome::Success).has("true");
}

#[test]
fn a_tool_is_what_the_place_has() {
    let programs = vec![("mvn".to_owned(), "#!/bin/sh\necho \"runs $*\"".to_owned())];
    let run =
        |source: &str| World::new(Fixture { programs: programs.clone(), ..Fixture::default() }).run(source).unwrap();
    run("node { def home = tool 'M3'; echo \"${home.startsWith('/') && fileExists(\"$home/programs/mvn\")}\" }")
        .is(Outcome::Success)
        .has("true");
    run("node { echo tool(name: 'any', type: 'git') }").is(Outcome::Success).has("\ngit\n");
    run("node { tool 'sonar' }")
        .is(Outcome::Failure)
        .has("No tool named sonar found")
        .has("there is no `sonar-scanner` here");
    run("node { tool 'LOCAL' }").is(Outcome::Failure).has("does not say which program it is");
}

/// Runs a script after two commits, of which one is by somebody whose name is a script.
fn after_changes(source: &str, is_change_request: bool) -> Ran {
    let file = |path: &str, edit| ChangedFile { path: path.to_owned(), edit };
    let changes = vec![
        Change {
            commit: "aa11".to_owned(),
            parent: Some("0000".to_owned()),
            author: "Ada L.".to_owned(),
            email: "ada@example.org".to_owned(),
            authored_s: 1_600_000_000,
            message: "Add the page\n\nfixes [DEPENDENCY] 7".to_owned(),
            files: vec![file("docs/Page.md", Edit::Added), file("docs/old.md", Edit::Deleted)],
        },
        Change {
            commit: "bb22".to_owned(),
            message: "more".to_owned(),
            files: vec![file("src/a.js", Edit::Edited)],
            ..Change::default()
        },
    ];
    let number = if is_change_request { vec![("CHANGE_ID".to_owned(), "3".to_owned())] } else { Vec::new() };
    let facts = RunFacts {
        build_number: 4,
        previous_commit: Some("0".repeat(40)),
        first_commit: is_change_request.then(|| "1".repeat(40)),
        env: number,
        ..RunFacts::default()
    };
    World::new(Fixture { facts, changes, ..Fixture::default() }).run(source).unwrap()
}

#[test]
fn what_came_since_the_run_before_is_known() {
    let ran = after_changes(
        r#"def sets = currentBuild.changeSets
        echo "sets ${sets.size()} ${sets[0].kind} ${sets[0].emptySet} ${sets == currentBuild.getChangeSets()}"
        for (int i = 0; i < sets.size(); i++) {
            def entries = sets[i].items
            for (int j = 0; j < entries.length; j++) {
                def e = entries[j]
                echo "${e.commitId} by ${e.author} (${e.author.fullName}, ${e.authorEmail}) on ${new Date(e.timestamp).time}: ${e.msg}"
                def files = new ArrayList(e.affectedFiles)
                for (int k = 0; k < files.size(); k++) { echo " ${files[k].editType.name} ${files[k].path}" }
            }
        }
        for (set in sets) { for (e in set) { echo "paths ${e.affectedPaths}" } }
        echo sets.collectMany { it.items.collect { it.comment.trim().readLines().last() } }.toString()"#,
        false,
    );
    ran.is(Outcome::Success)
        .has("sets 1 git false true\n")
        .has("aa11 by Ada L. (Ada L., ada@example.org) on 1600000000000: Add the page\n")
        .has(" add docs/Page.md\n")
        .has(" delete docs/old.md\n")
        .has(" edit src/a.js\n")
        .has("paths [docs/Page.md, docs/old.md]\n")
        .has("[fixes [DEPENDENCY] 7, more]\n");
    let asked: Vec<_> = ran.requests.iter().filter(|request| matches!(request, Request::Changes { .. })).collect();
    assert_eq!(asked, [&Request::Changes { since: "0".repeat(40) }], "it is asked once");
    // Nothing is asked where there was no run.
    let first = run("echo \"${currentBuild.changeSets.size()} ${currentBuild.changeSets.isEmpty()}\"");
    first.is(Outcome::Success).has("0 true");
    assert!(first.requests.iter().all(|request| !matches!(request, Request::Changes { .. })));
}

#[test]
fn stages_are_run_for_what_came() {
    let stage =
        |name: &str, when: &str| format!("stage('{name}') {{ when {{ {when} }} steps {{ echo 'in {name}' }} }}\n");
    let all = [
        ("glob", "changeset '**/*.js'", true),
        ("any-case", "changeset 'DOCS/*.md'", true),
        ("exact", "changeset pattern: 'DOCS/*.md', caseSensitive: true", false),
        ("regexp", "changeset pattern: '.*\\\\.js', comparator: 'REGEXP'", true),
        ("part", "changeset pattern: 'a', comparator: 'REGEXP'", false),
        ("equal", "changeset pattern: 'docs/old.md', comparator: 'EQUALS'", true),
        ("other", "changeset '*.py'", false),
        ("title", "changelog 'Add .* page'", true),
        ("line", "changelog '.*^fixes .DEPENDENCY. .+$'", true),
        ("line-alone", "changelog '^fixes .DEPENDENCY. .+$'", false),
        ("lacking", "changelog 'remove .*'", false),
        ("ahead", "changelog '^(?!WIP).*'", true),
        ("ahead-of-path", "changeset pattern: '(?!docs).*', comparator: 'REGEXP'", true),
        ("folder", "changeset 'src/'", false),
    ];
    let stages: String = all.iter().map(|(name, when, _)| stage(name, when)).collect();
    let ran = after_changes(&format!("pipeline {{ agent none\n stages {{ {stages} }} }}"), false);
    ran.is(Outcome::Success);
    for (name, _, is_run) in all {
        assert_eq!(ran.log.contains(&format!("in {name}\n")), is_run, "{name}: {}", ran.log);
    }
    let of_change = after_changes(
        &format!("pipeline {{ agent none\n stages {{ {} }} }}", stage("js", "changeset '**/*.js'")),
        true,
    );
    of_change.is(Outcome::Success).has("Examining changelog from all builds of this change request.").has("in js\n");
    assert!(of_change.requests.contains(&Request::Changes { since: "1".repeat(40) }));
}

/// Runs a script where other projects are, one of each end.
fn among_others(source: &str) -> Ran {
    let ends = [("team/good", Outcome::Success), ("bad", Outcome::Failure), ("team/odd", Outcome::Unstable)];
    let facts = RunFacts { job_name: "team/app".to_owned(), build_number: 2, ..RunFacts::default() };
    let projects = ends.map(|(name, outcome)| (name.to_owned(), outcome)).to_vec();
    World::new(Fixture { facts, projects, ..Fixture::default() }).run(source).unwrap()
}

#[test]
fn a_run_of_another_project_is_started_and_waited_for() {
    let ran = among_others(
        "def other = build job: 'good', parameters: [string(name: 'A', value: 'b'), booleanParam(name: 'YES', value: true), [$class: 'StringParameterValue', name: 'OLD', value: 'c']]
        echo \"${other.result} ${other.number} ${other.fullDisplayName} ${other.projectName} ${other.duration} ${other.buildVariables.A} ${other.resultIsBetterOrEqualTo('UNSTABLE')} ${other.getResult()}\"
        def bad = build job: '/bad', propagate: false
        echo \"${bad.currentResult} ${build(job: 'bad', wait: false)}\"",
    );
    ran.is(Outcome::Success)
        .has("Scheduling project: good\n")
        .has("Build team/good #7 completed: SUCCESS\n")
        .has("SUCCESS 7 team/good #7 good 2500 b true SUCCESS\n")
        .has("FAILURE null\n");
    let wishes: Vec<_> = ran
        .requests
        .iter()
        .filter_map(|request| if let Request::Build(wish) = request { Some(wish) } else { None })
        .collect();
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(wishes[0].names, ["team/good", "good"]);
    assert_eq!(wishes[0].parameters, [text("A", "b"), text("YES", "true"), text("OLD", "c")]);
    assert!(wishes[0].waits && !wishes[2].waits);
    among_others("build 'bad'")
        .is(Outcome::Failure)
        .has("bad #7 completed with status FAILURE (propagate: false to ignore)");
    among_others("build 'odd'; echo 'on'").is(Outcome::Unstable);
    let caught = "try { build 'bad' } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo \"caught ${e.result}\" }";
    among_others(caught).is(Outcome::Success).has("caught FAILURE\n");
    among_others("build 'none'").is(Outcome::Failure).has("No item named team/none found");
    among_others("build '../../x'").is(Outcome::Failure).has("No item named ../../x found");
}

#[test]
fn a_run_knows_how_long_it_has_taken_so_far() {
    run("node { sleep 65; def b = currentBuild\necho \"${b.durationString} ${b.getDurationString()} ${b.duration} ${b.getDuration() / 1000}\" }")
        .is(Outcome::Success)
        .has("1 min 5 sec and counting 1 min 5 sec and counting 65000 65\n");
}
