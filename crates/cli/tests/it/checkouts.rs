//! Checkouts with what git does beside having files: branches, a part of the files, repositories within repositories. The repositories of
//! others are served in a network of the test's own, which stands for the internet.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::project::{Project, Ran, finish, sandboxes_work};
use crate::server::git_server;

/// Where repositories of others are. An address of relays that are no more (RFC 7526): nobody has it outside either.
const OUTSIDE: &str = "192.88.99.34";
/// Around a command: a network with one neighbour, which serves a folder of repositories. Words: the server's program, the folder.
const WORLD: &str = r#"set -e; program=$1 folder=$2 outside=$3; shift 3
ip link set lo up
setpriv --pdeathsig KILL unshare --net python3 -c "$program" 80 "$folder" 0.0.0.0 & server=$!
trap 'kill $server' EXIT
while [ "$(readlink /proc/$server/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do kill -0 $server; done
inside() { nsenter --target $server --net "$@"; }
ip link add world0 type veth peer name out0 netns $server
ip addr add 192.88.99.1/24 dev world0; ip link set world0 up; ip route add default via $outside
inside ip addr add $outside/24 dev out0; inside ip link set out0 up
for i in $(seq 600); do git ls-remote "http://$outside/lib.git" >/dev/null 2>&1 && break; sleep 0.1; done
"$@"
"#;

/// Runs a project with a way out, in a world with these repositories.
fn run_in_world(project: &Project, repositories: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "bash", "-c", WORLD, "world"])
        .args([git_server::PROGRAM, repositories.to_str().unwrap(), OUTSIDE, env!("CARGO_BIN_EXE_cofferdam")])
        .args(["run", "--progress", "plain"])
        .args(args)
        .arg(project.path())
        .env("COFFERDAM_HOME", crate::project::home())
        .stdin(Stdio::null());
    finish(command.output().unwrap())
}

fn can_make_a_world() -> bool {
    let has = |tool: &&str| ["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(tool).exists());
    if let Some(missing) = ["unshare", "setpriv", "nsenter", "ip", "python3", "git"].iter().find(|tool| !has(tool)) {
        println!("skipped: {missing} is not installed");
        return false;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: networks are made by root only");
        return false;
    }
    sandboxes_work()
}

/// `lib.git` with a branch `dev`, and `part.git` inside it, by an address that says only that it is beside it.
fn repositories() -> Project {
    let all = Project::new("");
    all.write("part/what", "the part\n").commit_folder("part", "main");
    all.git(&["clone", "-q", "--bare", "part", "part.git"]);
    all.write("lib/top", "the library\n").write("lib/docs/page", "a page\n").commit_folder("lib", "main");
    let file = ["-C", "lib", "-c", "protocol.file.allow=always"];
    let served = all.path().join("part.git");
    all.git(&[&file[..], &["submodule", "--quiet", "add", served.to_str().unwrap(), "inner"]].concat());
    all.git(&["-C", "lib", "config", "--file", ".gitmodules", "submodule.inner.url", "../part.git"]);
    all.git(&["-C", "lib", "commit", "-qam", "with a part"]);
    all.git(&["-C", "lib", "tag", "v1"]);
    all.git(&["-C", "lib", "checkout", "-qb", "dev"]);
    all.write("lib/top", "in development\n").write("lib/new", "new\n");
    all.git(&["-C", "lib", "add", "new"]);
    all.git(&["-C", "lib", "commit", "-qam", "on"]);
    all.git(&["clone", "-q", "--bare", "lib", "lib.git"]);
    all
}

#[test]
fn repositories_of_others_come_as_the_extensions_say() {
    if !can_make_a_world() {
        return;
    }
    let served = repositories();
    let project = Project::new(
        r#"def get(dir, branch, extensions) {
    checkout([$class: 'GitSCM', branches: [branch].flatten().collect { [name: it] }, userRemoteConfigs: [[url: 'http://OUTSIDE/lib.git']],
        extensions: extensions + [[$class: 'RelativeTargetDirectory', relativeTargetDir: dir]]])
}
node {
    get('plain', '*/dev', [])
    sh 'cd plain; echo "plain: $(cat top), $(git rev-parse --abbrev-ref HEAD), $(ls inner | wc -l)"'
    def vars = get('whole', '*/dev', [[$class: 'LocalBranch'], [$class: 'SubmoduleOption', recursiveSubmodules: true]])
    sh "cd whole; echo \"whole: \$(cat top), \$(git symbolic-ref --short HEAD), \$(cat inner/what), ${vars.GIT_LOCAL_BRANCH}\"; git status --porcelain"
    get('named', 'main', [localBranch('mine'), sparseCheckout(sparseCheckoutPaths: [[path: 'docs/']])])
    sh 'cd named; echo "named: $(ls | xargs), $(git symbolic-ref --short HEAD)"; git status --porcelain'
    sh 'touch plain/mine'
    vars = get('plain', ['nosuch', 'refs/tags/v1', '*/main'], [])
    sh "cd plain; echo \"again: \$(ls | xargs), \$(cat top), ${vars.GIT_BRANCH}\"; rmdir inner"
    get('plain', ['main'], [submodule(), cleanBeforeCheckout()])
    sh 'cd plain; echo "cleared: $(ls | xargs), $(git -C inner rev-parse --abbrev-ref HEAD)"; git status --porcelain'
}"#
        .replace("OUTSIDE", OUTSIDE)
        .as_str(),
    );
    let ran = run_in_world(&project, served.path(), &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for line in [
        "plain: in development, HEAD, 0",
        "whole: in development, dev, the part, dev",
        "named: docs, mine",
        "again: docs inner mine top, the library, refs/tags/v1",
        "cleared: docs inner top, HEAD",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}\n{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn the_project_itself_comes_as_the_extensions_say() {
    if !can_make_a_world() {
        return;
    }
    let served = repositories();
    let project = Project::new(
        r#"def get(dir, branches, extensions) {
    checkout([$class: 'GitSCM', branches: branches, userRemoteConfigs: scm.userRemoteConfigs,
        extensions: extensions + [[$class: 'RelativeTargetDirectory', relativeTargetDir: dir]]])
}
node {
    echo "its address: ${scm.userRemoteConfigs[0].url}"
    get('whole', scm.branches, [localBranch(), [$class: 'SubmoduleOption'], sparseCheckout(sparseCheckoutPaths: [[path: '/inner'], [path: 'mine']])])
    sh 'cd whole; echo "whole: $(ls | xargs), $(cat mine), $(git symbolic-ref --short HEAD), $(cat inner/what)"'
    get('parts', scm.branches, [[$class: 'SubmoduleOption']])
    sh 'cd parts; echo "parts: $(git rev-parse --abbrev-ref HEAD), $(cat inner/what), $(git -C inner rev-parse --abbrev-ref HEAD)"; git status --porcelain'
    get('other', [[name: '*/local']], [localBranch('x')])
    sh 'cd other; echo "other: $(cat mine), $(git symbolic-ref --short HEAD)"'
    get('remote', [[name: '*/dev']], [])
    sh 'echo "remote: $(cat remote/top)"'
}"#,
    );
    // The project is a clone with a branch that nobody else has, and without one that the other side has.
    let clone = served.path().join("lib.git");
    project.git(&["init", "-q", "-b", "main"]);
    project.git(&["pull", "-q", clone.to_str().unwrap(), "main"]);
    project.git(&["remote", "add", "origin", &format!("http://me:secret@{OUTSIDE}/lib.git")]);
    for branch in ["local", "main"] {
        project.git(&["checkout", "-qB", branch]);
        project.write("mine", &format!("mine on {branch}\n"));
        project.git(&["add", "-A"]);
        project.git(&["commit", "-qm", branch]);
    }
    let ran = run_in_world(&project, served.path(), &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for line in [
        &*format!("its address: http://{OUTSIDE}/lib.git"),
        "whole: inner mine, mine on main, main, the part",
        "parts: HEAD, the part, HEAD",
        "other: mine on local, x",
        "remote: in development",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}\n{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_checkout_takes_away_what_the_one_before_brought() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        r#"def get(names, extensions = []) {
    checkout scmGit(branches: names.collect { [name: it] }, userRemoteConfigs: scm.userRemoteConfigs, extensions: extensions)
}
def show(what) {
    sh "echo \"${what}: \$(find . -name .git -prune -o -type f -print | sort | xargs) [\$(git status --short | xargs)]\""
}
node {
    checkout scm
    show('first')
    sh 'touch untracked; ln -s /etc out'
    get(['*/other'])
    show('other')
    sh 'rm out; mkdir -p gone/built; touch gone/built/x; git init -q here; touch here/mine'
    get(['main'])
    show('back')
    get(['main'], [cleanAfterCheckout()])
    show('clean')
    get(['main'], [[$class: 'CleanBeforeCheckout', deleteUntrackedNestedRepositories: true], sparseCheckout(sparseCheckoutPaths: [[path: 'gone/']])])
    show('sparse')
    sh 'touch untracked'
    get(['refs/tags/v1'], [[$class: 'WipeWorkspace']])
    show('wiped')
    def vars = get(['nosuch', 'other'])
    show("several: ${vars.GIT_BRANCH}")
    sh 'mkdir swap/mine; touch swap/mine/x'
    get(['main'], [localBranch('x')])
    show('in the way')
    sh 'rm swap; mkdir swap; touch swap/x'
    get(['main'], [localBranch('x')])
    show('passed over')
}"#,
    );
    project.write("a", "a\n").write("gone/deep/b", "b\n").write("swap", "s\n").commit_folder(".", "main");
    project.git(&["tag", "v1"]);
    project.git(&["checkout", "-qb", "other"]);
    project.git(&["rm", "-qr", "gone", "swap"]);
    project.write("swap/inner", "s\n").write("ofile", "o\n");
    project.git(&["add", "-A"]);
    project.git(&["commit", "-qm", "other"]);
    project.git(&["checkout", "-q", "main"]);
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for line in [
        "first: ./Jenkinsfile ./a ./gone/deep/b ./swap []",
        "other: ./Jenkinsfile ./a ./ofile ./swap/inner ./untracked [?? out ?? untracked]",
        "back: ./Jenkinsfile ./a ./gone/built/x ./gone/deep/b ./here/mine ./swap ./untracked [?? gone/built/ ?? here/ ?? untracked]",
        "clean: ./Jenkinsfile ./a ./gone/deep/b ./here/mine ./swap [?? here/]",
        "sparse: ./gone/deep/b []",
        "wiped: ./Jenkinsfile ./a ./gone/deep/b ./swap []",
        "several: other: ./Jenkinsfile ./a ./ofile ./swap/inner []",
        "in the way: ./Jenkinsfile ./a ./gone/deep/b ./swap []",
        "not checked out: swap: ",
        "passed over: ./Jenkinsfile ./a ./gone/deep/b ./swap/x [D swap]",
    ] {
        assert!(ran.stdout.contains(line) || ran.stderr.contains(line), "{line}: {}\n{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn what_a_checkout_brought_is_known_without_a_repository() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new("");
    let definition = "node { checkout scm; sh 'ls | xargs; touch untracked'
        checkout scmGit(branches: [[name: 'other']], userRemoteConfigs: scm.userRemoteConfigs); sh 'ls | xargs' }";
    project.write("part/Jenkinsfile", definition).write("part/a", "a").commit_folder(".", "main");
    project.git(&["checkout", "-qb", "other"]);
    project.git(&["mv", "part/a", "part/b"]);
    project.git(&["commit", "-qm", "other"]);
    project.git(&["checkout", "-q", "main"]);
    let ran = crate::project::run(&["run", "--network", "none", project.path().join("part").to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("Jenkinsfile a\n") && ran.stdout.contains("Jenkinsfile b untracked\n"), "{ran:?}");
}
