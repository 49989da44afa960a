//! Steps and directives, for real, on the host's tools.

use crate::project::{Project, sandboxes_work};

/// Runs steps and expects a code and lines of the log.
fn check(steps: &str, code: i32, expect: &[&str]) {
    if !sandboxes_work() {
        return;
    }
    let ran = Project::steps(steps).run(&[]);
    assert_eq!(ran.code, code, "{steps}\n{}\n{}", ran.stdout, ran.stderr);
    for line in expect {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
}

#[test]
fn sh_traces_and_returns() {
    check("sh 'echo one; echo two >&2'", 0, &["+ echo one", "one", "two"]);
    check(
        "script { def out = sh(script: 'echo value', returnStdout: true); echo \"got <${out.trim()}>\" }",
        0,
        &["got <value>"],
    );
    check("script { def code = sh(script: 'exit 3', returnStatus: true); echo \"code $code\" }", 0, &["code 3"]);
    check("sh 'false; echo not reached'", 1, &["script returned exit code 1"]);
    check("sh '''#!/bin/bash\nfalse\necho \"reached $BASH_VERSION\"'''", 0, &["reached 5"]);
    check("sh 'exit 7'", 1, &["script returned exit code 7"]);
}

#[test]
fn files_go_in_and_out() {
    check(
        "writeFile file: 'a/b.txt', text: 'hällo'\nsh 'cat a/b.txt'\nscript { echo \"<${readFile('a/b.txt')}> ${fileExists('a')} ${fileExists('x')}\" }",
        0,
        &["<hällo> true false"],
    );
    check("dir('x/y') { sh 'pwd'; script { echo pwd() } }", 0, &["/x/y"]);
    check(
        "writeFile file: 'd/f', text: 'x'\ndir('d') { deleteDir() }\nscript { echo \"left ${fileExists('d/f')}\" }",
        0,
        &["left false"],
    );
    check("readFile 'missing'", 1, &["java.nio.file.NoSuchFileException: /workspace"]);
    let caught =
        "script { try { readFile 'missing' } catch (java.nio.file.NoSuchFileException e) { echo 'it is not there' } }";
    check(caught, 0, &["it is not there"]);
}

#[test]
fn environment_reaches_processes() {
    check("withEnv(['A=1', 'PATH+X=/opt/x']) { sh 'echo \"$A $PATH\"' }", 0, &["1 /opt/x:"]);
    check("sh 'echo \"$JOB_NAME $BUILD_NUMBER $WORKSPACE $HOME\"; touch \"$HOME/writable\"'", 0, &[" 1 /workspace/"]);
}

#[test]
fn stashes_move_between_jobs() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent none\n options { skipDefaultCheckout() }\n stages {\n stage('A') { agent any steps { sh 'mkdir -p o; echo hi > o/f; ln -s f o/l'; stash name: 'a b', includes: 'o/**' } }\n \
         stage('B') { agent any steps { script { echo \"fresh ${fileExists('o')}\" }; unstash 'a b'; sh 'cat o/l' } } } }\n",
    );
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("fresh false") && ran.stdout.contains("hi"), "{}", ran.stdout);
    check("sh 'touch f'\nstash name: '../../x'", 1, &["is not a name for a stash"]);
}

#[test]
fn artifacts_are_kept_and_links_are_not() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps(
        "sh 'mkdir out; echo a > out/a.txt; ln -s /etc/passwd out/link; echo no > out/b.log'\narchiveArtifacts artifacts: 'out/*', excludes: '**/*.log'",
    );
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let artifacts = project.path().join(".cofferdam/artifacts/out");
    assert_eq!(std::fs::read_to_string(artifacts.join("a.txt")).unwrap(), "a\n");
    assert!(artifacts.join("link").symlink_metadata().is_err() && !artifacts.join("b.log").exists());
    check("archiveArtifacts artifacts: 'none/**'", 1, &["No artifacts found that match the file pattern"]);
}

#[test]
fn a_link_is_archived_as_the_file_of_the_workspace_that_it_leads_to() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps(
        "sh 'echo x > app-1.js; chmod 755 app-1.js; mkdir d; ln -s app-1.js app.js; ln -s app.js latest.js; ln -s $PWD/app-1.js whole.js'
        sh 'ln -s ../app-1.js d/up.js; ln -s d folder.js; ln -s /etc etc; ln -s etc/passwd through.js; ln -s loop.js loop.js; ln -s /etc/passwd out.js'
        archiveArtifacts 'latest.js, whole.js, d/*, folder.js, through.js, loop.js'
        archiveArtifacts 'out.js'",
    );
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let artifacts = project.path().join(".cofferdam/artifacts");
    for name in ["latest.js", "whole.js", "d/up.js"] {
        let file = artifacts.join(name);
        assert!(file.symlink_metadata().unwrap().is_file(), "{name}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "x\n", "{name}");
    }
    for name in ["folder.js", "through.js", "loop.js", "out.js"] {
        assert!(artifacts.join(name).symlink_metadata().is_err(), "{name}");
        assert!(ran.stdout.contains(&format!("not archived: {name} is a link that leads ")), "{name}: {}", ran.stdout);
    }
}

#[test]
fn what_lies_behind_a_link_is_not_cleaned() {
    check(
        "sh 'mkdir -p a/b c; touch a/b/y.txt c/z.txt; ln -s ../a/b c/l'
        cleanWs(patterns: [[pattern: '**/*.txt', type: 'INCLUDE'], [pattern: 'a/b/**', type: 'EXCLUDE']])
        sh 'test -e a/b/y.txt && test ! -e c/z.txt && test -L c/l && echo all is well'",
        0,
        &["all is well"],
    );
}

#[test]
fn what_a_run_has_archived_comes_back() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps(
        "sh 'mkdir -p out/deep; echo A > out/a.txt; echo B > out/deep/b.txt; echo C > c.txt; ln -s /etc/passwd out/link'
        archiveArtifacts 'out/**'
        archiveArtifacts 'c.txt'
        deleteDir()
        sh 'mkdir there; echo old > as; echo mine > out'
        catchError(buildResult: 'SUCCESS', stageResult: 'SUCCESS') { unarchive mapping: ['out/deep/': '.'] }
        sh 'rm out'
        unarchive mapping: ['out/': '.', '**/*.txt': 'all', 'c.txt': 'there', 'out/a.txt': 'as']
        sh 'find . -type f | sort; cat out/a.txt out/deep/b.txt all/c.txt there/c.txt as; test -O as'
        unarchive mapping: ['left.txt': '.']",
    );
    // What an earlier run has left is none of this one's.
    project.write(".cofferdam/artifacts/left.txt", "left");
    let ran = project.run(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let files =
        "./all/c.txt\n./all/out/a.txt\n./all/out/deep/b.txt\n./as\n./out/a.txt\n./out/deep/b.txt\n./there/c.txt\n";
    let own = |line: &str| line.trim_start().trim_start_matches("[S] ").to_owned() + "\n";
    let said: String = ran.stdout.lines().map(own).collect();
    assert!(said.contains(files) && said.contains("A\nB\nC\nC\nA\n"), "{}", ran.stdout);
    assert!(said.contains("not brought back: out/deep/b.txt: Not a directory"), "{}", ran.stdout);
    assert!(said.contains("no artifacts to unarchive in left.txt"), "{}", ran.stdout);
}

#[test]
fn archives_are_made_and_taken_apart_inside() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::steps(
        "sh 'mkdir -p in/x; echo A > in/a.txt; echo B > in/x/b.txt; chmod 755 in/a.txt'
        zip zipFile: 'out.zip', dir: 'in', archive: true
        unzip zipFile: 'out.zip', dir: 'to', glob: '**/b.txt'
        tar file: 'out.tgz', dir: 'in'
        untar file: 'out.tgz', dir: 'of-tar'
        sh 'cat to/x/b.txt; ls to; ls -l of-tar/a.txt'
        script {
            def read = unzip zipFile: 'out.zip', read: true, quiet: true
            echo \"read ${read.keySet()} ${read['a.txt'].trim()} ${unzip(zipFile: 'out.zip', test: true)} ${untar(file: 'out.zip', test: true)}\"
            try { zip 'out.zip' } catch (IOException e) { echo \"caught ${e.message}\" }
        }
        sh 'printf x > ../outside; tar -cPf bad.tar ../outside'
        untar file: 'bad.tar', dir: 'to'",
    );
    let ran = project.run(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for line in [
        "Compressed 2 entries.",
        "Extracting: x/b.txt -> /workspace/",
        "Extracted: 1 files",
        "-rwxr-xr-x",
        "read [a.txt, x/b.txt] A true false",
        "ERROR: ",
        "/out.zip exists.",
        "/to/../outside is out of bounds!",
    ] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    let archived = std::fs::read(project.path().join(".cofferdam/artifacts/out.zip")).unwrap();
    assert!(archived.starts_with(b"PK"));
}

#[test]
fn what_a_block_logs_is_in_a_file() {
    check(
        "tee('out/log.txt') { echo 'first'; sh 'set +x; echo second; echo third >&2; printf fourth' }\nsh 'echo after'
        script { echo \"<${readFile('out/log.txt').split('\\n').join('|')}>\" }
        tee('out') { sh 'echo to a folder' }",
        1,
        &["<first|+ set +x|second|third|fourth>", "to a folder", "tee: cannot write /workspace"],
    );
}

#[test]
fn outcomes_have_their_codes() {
    check("unstable('meh')", 3, &["meh", "UNSTABLE"]);
    check("error 'broken'", 1, &["broken", "FAILURE"]);
    check("catchError(buildResult: 'UNSTABLE') { sh 'false' }\necho 'goes on'", 3, &["goes on"]);
    check("timeout(time: 1, unit: 'SECONDS') { sh 'sleep 60' }", 124, &["ABORTED"]);
    check(
        "catchError { timeout(time: 1, unit: 'SECONDS') { sh 'sleep 60' } }\necho 'goes on'",
        124,
        &["goes on", "ABORTED"],
    );
    let causes = "script { try { timeout(time: 1, unit: 'SECONDS') { sh 'sleep 60' } } \
                  catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { \
                  echo \"${e.result}: ${e.getCauses()[0].shortDescription} ${e.causes[0].class.simpleName}\" } }";
    check(causes, 0, &["ABORTED: Timeout has been exceeded"]);
    check("retry(2) { echo 'again'; sh 'false' }", 1, &["again", "Retrying"]);
    check("error('x')\necho 'not reached'", 1, &[]);
}

#[test]
fn parallel_branches_all_end() {
    check(
        "script { parallel a: { sh 'echo A' }, b: { sh 'echo B; exit 1' }, c: { sh 'sleep 0.2; echo C' } }",
        1,
        &["A", "B", "C"],
    );
}

#[test]
fn the_commit_is_checked_out_and_dirty_takes_the_tree() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent any stages { stage('S') { steps { sh 'cat file; ls; echo \"at $GIT_COMMIT on $BRANCH_NAME\"' } } } }\n",
    );
    project
        .write("file", "committed\n")
        .write("sub/Jenkinsfile", "node { checkout scm; sh 'ls' }\n")
        .write("sub/inside", "")
        .commit();
    project.write("file", "changed\n").write("new", "");
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("committed") && !ran.stdout.contains("] new\n") && ran.stdout.contains("on trunk"),
        "{}",
        ran.stdout
    );
    let ran = project.run(&["--dirty"]);
    assert!(ran.stdout.contains("changed") && ran.stdout.contains("new"), "{}", ran.stdout);
    let sub = crate::project::run(&["run", "--network", "none", project.path().join("sub").to_str().unwrap()]);
    assert_eq!(sub.code, 0, "{sub:?}");
    assert!(
        sub.stdout.contains("inside") && !sub.stdout.lines().any(|line| line == "file"),
        "a folder inside a repository is its own project: {}",
        sub.stdout
    );
}

/// What a build asks git for: its version, its history, what it has changed.
#[test]
fn a_checkout_is_a_repository_of_its_own() {
    if !sandboxes_work() {
        return;
    }
    let steps = "sh 'git rev-parse HEAD; git describe --tags --dirty --always; git log --format=said:%s; git status --short; git branch -a'\n\
                 sh 'git config --get remote.origin.url; echo more >> file; git diff --stat; git fsck --strict --no-dangling'";
    let project =
        Project::new(&format!("pipeline {{ agent any stages {{ stage('S') {{ steps {{\n{steps}\n}} }} }} }}\n"));
    project
        .write("file", "1\n")
        .write("tests/t", "")
        .write(".gitattributes", "file filter=evil\ntests export-ignore\n");
    project.commit();
    // What the repository names as a filter does not run on the host.
    let fired = project.path().join(".git/FIRED");
    project.git(&["config", "filter.evil.smudge", &format!("touch {}; cat", fired.display())]);
    project.git(&["tag", "-a", "-m", "one", "v1.0"]);
    project.git(&["remote", "add", "origin", "https://me:secret@example.org/a.git"]);
    project.git(&["config", "core.hooksPath", "/tmp"]);
    project.write("file", "2\n").commit();
    // Not on the way to the commit.
    project.git(&["checkout", "-q", "-b", "private", "v1.0"]);
    project.write("unfinished", "private\n").commit();
    project.git(&["tag", "hidden"]);
    project.git(&["checkout", "-q", "trunk"]);
    let commit = project.git(&["rev-parse", "HEAD"]);
    // It did for this test's own `git checkout`: so it can.
    std::fs::remove_file(&fired).unwrap();
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let short = &commit[..7];
    for text in [
        &commit,
        &format!("v1.0-1-g{short}\n"),
        "said:one",
        "remotes/origin/trunk",
        "//example.org/a.git",
        "1 file changed",
    ] {
        assert!(ran.stdout.contains(text), "{text} is missing: {}", ran.stdout);
    }
    for text in
        ["private", "secret", "hidden", " M file", " D tests", &format!("{short}-dirty"), "??", "checked out without"]
    {
        assert!(!ran.stdout.contains(text), "{text} is there: {}", ran.stdout);
    }
    assert!(!fired.exists(), "a filter ran on the host");
    project.write("inner/.gitignore", "ignored\n").write("inner/own", "of inner\n").commit_folder("inner", "trunk");
    project.write("inner/ignored", "").write("inner/untracked", "");
    project
        .write("file", "3\n")
        .write("new", "")
        .write("Jenkinsfile", &project.text("Jenkinsfile").replace("git status", "ls inner; git status"));
    let ran = project.run(&["--dirty"]);
    assert!(ran.stdout.contains(&format!("v1.0-1-g{short}-dirty")) && ran.stdout.contains("?? new"), "{ran:?}");
    assert!(
        ran.stdout.contains("] own\n") && ran.stdout.contains("] untracked\n") && !ran.stdout.contains("] ignored\n"),
        "{ran:?}"
    );
    let source = format!("file://{}", project.path().display());
    project.git(&["clone", "-q", "--depth", "1", &source, "shallow"]);
    let shallow = crate::project::run(&["run", "--network", "none", project.path().join("shallow").to_str().unwrap()]);
    assert!(shallow.stdout.contains(short) && shallow.stdout.matches("said:one").count() == 1, "{shallow:?}");
}

#[test]
fn parameters_come_from_the_command_line() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent any\n parameters { string(name: 'V', defaultValue: 'd'); booleanParam(name: 'B', defaultValue: true) }\n options { skipDefaultCheckout() }\n \
         stages { stage('S') { when { expression { params.B } } steps { sh 'echo \"v=$V\"' } } } }\n",
    );
    assert!(project.run(&[]).stdout.contains("v=d"));
    assert!(project.run(&["-p", "V=given"]).stdout.contains("v=given"));
    let wrong = project.run(&["-p", "B=perhaps"]);
    assert!(wrong.code == 2 && wrong.stdout.contains("‘B’ is true or false"), "{wrong:?}");
    let skipped = project.run(&["-p", "B=false"]);
    assert!(skipped.stdout.contains("skipped due to when conditional") && skipped.code == 0, "{skipped:?}");
    // One that nobody asked for passes for nothing that the run knows of itself.
    let project = Project::new("node { sh 'echo \"branch=$BRANCH_NAME more=$MORE\"' }");
    let ran = project.run(&["--branch", "topic", "-p", "BRANCH_NAME=main", "-p", "MORE=x"]);
    assert!(ran.stdout.contains("branch=topic more=x"), "{ran:?}");
    let text = "properties([parameters([string(name: 'BRANCH_NAME')])])\nnode { sh 'echo \"branch=$BRANCH_NAME\"' }";
    let asked = Project::new(text).run(&["--branch", "topic", "-p", "BRANCH_NAME=main"]);
    assert!(asked.stdout.contains("branch=main"), "{asked:?}");
}

#[test]
fn a_run_stands_for_any_build() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "pipeline { agent none\n options { skipDefaultCheckout() }\n stages {\n \
         stage('A') { when { tag 'release-*' } steps { echo 'of a tag' } }\n \
         stage('B') { when { changeRequest target: 'main' } steps { echo 'of a change' } }\n \
         stage('C') { when { triggeredBy 'TimerTrigger' } steps { echo 'by the clock' } }\n \
         stage('D') { when { triggeredBy cause: 'UserIdCause', detail: 'ada' } steps { echo 'by ada' } }\n \
         stage('E') { agent { label 'gpu' } steps { sh 'echo \"n=$BUILD_NUMBER d=$DEVICE\"' } }\n \
         stage('F') { agent any steps { sh 'echo \"plain d=$DEVICE\"; echo \"$JOB_NAME is $JOB_BASE_NAME\"' } } }\n \
         post { fixed { echo 'fixed it' } regression { echo 'broke it' } } }\n",
    );
    let facts = ["--build-number=7", "--cause=user:ada", "--node-env=gpu:DEVICE=/dev/a:b", "-e", "CHANGE_ID=1"];
    let ran = project.run(&[&facts[..], &["--job-name=team/app"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("team/app is app"), "{}", ran.stdout);
    assert!(ran.stdout.contains("by ada") && ran.stdout.contains("n=7 d=/dev/a:b"), "{}", ran.stdout);
    assert!(ran.stdout.contains("plain d=\n") && !ran.stdout.contains("by the clock"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("fixed it") && !ran.stdout.contains("of a"), "{}", ran.stdout);
    let other = ["--cause=timer", "--previous-result=failure", "-e", "TAG_NAME=release-1", "-e", "CHANGE_ID=1", "-e"];
    let ran = project.run(&[&other[..], &["CHANGE_TARGET=main"]].concat());
    for line in ["of a tag", "of a change", "by the clock", "fixed it"] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("by ada"), "{}", ran.stdout);
    for wrong in ["--cause=moon", "--previous-result=GREEN", "--node-env=A=b", "--build-number=0", "--job-name=/a"] {
        assert_eq!(project.run(&[wrong]).code, 2, "{wrong}");
    }
}

#[test]
fn passwords_are_not_shown() {
    if !sandboxes_work() {
        return;
    }
    let text = "pipeline {
        agent any
        parameters { password(name: 'TOKEN', defaultValue: '') }
        stages { stage('s') { steps {
            echo \"has ${params.TOKEN}\"
            sh 'set +x; echo env $TOKEN; printf %s $TOKEN | base64; test ${#TOKEN} = 21 && echo it is whole'
        } } }
    }";
    for flags in
        [&["-p", "TOKEN=correct-horse-battery"][..], &["-p", "TOKEN=correct-horse-battery", "--output", "json"]]
    {
        let ran = Project::new(text).run(flags);
        assert_eq!(ran.code, 0, "{ran:?}");
        for said in ["has ****", "env ****", "it is whole"] {
            assert!(ran.stdout.contains(said), "{said}: {ran:?}");
        }
        let all = ran.stdout + &ran.stderr;
        assert!(!all.contains("correct-horse") && !all.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{all}");
    }
}

#[test]
fn what_came_since_a_commit_decides_which_stages_run() {
    let project = Project::new(
        "pipeline { agent none\n stages {\n \
         stage('docs') { when { changeset 'docs/**' } steps { echo 'in docs' } }\n \
         stage('code') { when { changeset '**/*.rs' } steps { echo 'in code' } }\n \
         stage('asked') { when { changelog '.*dependency.*' } steps { echo \"in asked ${currentBuild.changeSets[0].items.length}\" } }\n } }\n",
    );
    project.commit();
    project.write("docs/a.md", "a");
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "a dependency is explained"]);
    let ran = project.run(&["--changes-since", "HEAD~1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("in docs") && ran.stdout.contains("in asked 1"), "{ran:?}");
    assert!(!ran.stdout.contains("in code"), "{ran:?}");
    let plain = project.run(&[]);
    assert!(plain.stdout.contains("Probably because this is the first build") && !plain.stdout.contains("in docs"));
    let unknown = project.run(&["--changes-since", "nothing"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("--changes-since nothing"), "{unknown:?}");
}
