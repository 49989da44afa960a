//! Files that a run keeps, and what brings them back.

use model::outcome::Outcome;

use crate::engine::{run, steps};

#[test]
fn stashes_carry_files_between_nodes() {
    let ran = run("node { writeFile file: 'd/x.txt', text: 'kept'; writeFile file: 'y.log', text: ''; stash name: 's', includes: '**/*.txt' }
                   node { unstash 's'; sh 'cat d/x.txt'; echo \"${fileExists 'y.log'}\" }");
    ran.is(Outcome::Success).has("Stashed 1 file(s)").has("kept").has("false");
    steps("stash 'empty'").is(Outcome::Failure).has("No files included in stash");
    steps("stash name: 'empty', allowEmpty: true").is(Outcome::Success);
    steps("stash '../x'").is(Outcome::Failure);
    steps("unstash 'nope'").is(Outcome::Failure).has("No such saved stash");
}

#[test]
fn artifacts() {
    let ran = steps("writeFile file: 'a/b.txt', text: 'x'; archiveArtifacts artifacts: '**/*.txt', fingerprint: true");
    ran.is(Outcome::Success).has("Archiving artifacts");
    assert_eq!(ran.archived["a/b.txt"], "x");
    steps("archiveArtifacts 'none'")
        .is(Outcome::Failure)
        .has("No artifacts found that match the file pattern \"none\"");
    steps("archiveArtifacts artifacts: 'none', allowEmptyArchive: true").is(Outcome::Success);
    let ran = steps("writeFile file: 'm', text: 'y'; step([$class: 'ArtifactArchiver', artifacts: 'm'])");
    assert_eq!(ran.archived["m"], "y");
}

#[test]
fn what_was_archived_comes_back() {
    let kept = "writeFile file: 'a/b.txt', text: 'one'; writeFile file: 'c', text: 'two'; archive '**'; deleteDir()";
    let ran = steps(&format!(
        "{kept}; def name = 'c'; unarchive mapping: ['a/': \"x\", (\"${{name}}\"): 'd/e']; sh 'cat x/a/b.txt d/e'"
    ));
    ran.is(Outcome::Success).has("one").has("two");
    steps(&format!("{kept}; unarchive mapping: [b: '.']")).is(Outcome::Failure).has("no artifacts to unarchive in b");
    steps("unarchive()").is(Outcome::Failure).has("'mapping' has not been defined for this 'unarchive' step");
    steps("unarchive mapping: ['a']").is(Outcome::Failure).has("unarchive.mapping expects class java.util.Map");
}
