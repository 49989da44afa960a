//! `publishChecks`.

use model::annotation::Level;
use model::event::Event;
use model::outcome::Outcome;

use crate::engine::run;

#[test]
fn remarks_on_lines_are_told() {
    let remarks = "[[path: 'a.c', startLine: 3, endLine: 4, message: 'unused\\nand more', annotationLevel: 'FAILURE'], \
                    [path: 'b.c', startLine: 1, endLine: 1, startColumn: 2, endColumn: 5, message: 'odd', title: 'Hm']]";
    let ran = run(&format!("publishChecks name: 'lint', title: 'two', summary: 'S', annotations: {remarks}"));
    let ran = ran.is(Outcome::Success).has("\nlint: two\nS\na.c:3: failure: unused\nb.c:1: warning: Hm: odd\n");
    let told = ran.events.iter().find_map(|event| match event {
        Event::Annotated { annotations, .. } => Some(annotations.clone()),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told[0].last_line, told[0].level, told[1].columns), (4, Level::Failure, Some((2, 5))));
    run("publishChecks name: 'lint'").is(Outcome::Success).has("\nlint\n");
    run("publishChecks annotations: [[path: 'a']]")
        .is(Outcome::Failure)
        .has("Missing required parameter: \"startLine\"");
    run("publishChecks annotations: [[path: 'a', startLine: 1, endLine: 1, message: 'm', annotationLevel: 'BAD']]")
        .is(Outcome::Failure)
        .has("BAD is none of NOTICE");
}
