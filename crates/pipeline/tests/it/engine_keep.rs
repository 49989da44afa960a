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
    steps("archive includes: 'none/', excludes: 'pants'\narchive 'none/'")
        .is(Outcome::Success)
        .has("The archive step is deprecated, please use archiveArtifacts instead.\nNo files found to archive for pattern \"none/\", excluding \"pants\"; continuing.")
        .has("No files found to archive for pattern \"none/\"; continuing.");
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

/// Source: `CopyArtifact`, and its selectors.
#[test]
fn artifacts_of_other_runs_are_copied() {
    steps(
        "copyArtifacts projectName: 'library', filter: '*.jar', target: 'lib', flatten: true
         echo readFile('lib/copied')
         copyArtifacts(projectName: 'library', selector: lastSuccessful(stable: true)); echo readFile('copied')
         copyArtifacts(projectName: 'library', selector: specific('12')); echo readFile('copied')
         step([$class: 'CopyArtifact', projectName: 'library', selector: [$class: 'SpecificBuildSelector', buildNumber: '13']])
         echo readFile('copied')
         copyArtifacts 'library', selector: lastCompleted(); echo readFile('copied')
         env.OF = 'library'; copyArtifacts projectName: '${OF}', filter: '$OF/*', target: 'in-${OF}'; echo readFile('in-library/copied')
         copyArtifacts projectName: 'none', optional: true
         copyArtifacts projectName: 'library', filter: 'none', optional: true
         echo 'goes on'",
    )
    .is(Outcome::Success)
    .has("Copied 1 artifact from \"library\" build number 7")
    .has("LastSuccessful true")
    .has("LastStable false")
    .has("Number(12) false")
    .has("Number(13) false")
    .has("LastCompleted false")
    .has("Unable to find project for artifact copy: none")
    .has("Failed to copy artifacts from library with filter: none")
    .has("goes on");
    let fails = |source: &str, text: &str| steps(source).is(Outcome::Failure).has(text).outcome();
    fails("copyArtifacts projectName: 'none'", "Unable to find project for artifact copy: none");
    fails("copyArtifacts projectName: 'library', filter: 'none'", "Failed to copy artifacts from library");
    fails("copyArtifacts projectName: 'library', selector: specific('x')", "‘x’ is no number of a run");
    fails("copyArtifacts projectName: 'library', selector: upstream()", "the selector upstream is not supported");
    fails("copyArtifacts projectName: 'library', parameters: 'A=b'", "runs are not looked for by their parameters");
}
