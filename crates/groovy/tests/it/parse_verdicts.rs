//! Accepts and rejects exactly what Groovy 2.4.21 does, on a table of snippets.

const TABLE: &str = include_str!("data/verdicts.txt");

#[test]
fn verdicts_are_those_of_groovy() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in TABLE.split("\n%% ").skip(1) {
        let (verdict, text) = case.split_once('\n').expect("a case has a verdict and a text");
        let text = text.replace("<CR>", "\r");
        let parsed = groovy::parser::read(&text);
        count += 1;
        if parsed.has_errors() != (verdict == "reject") {
            wrong.push(format!("{verdict}: {text:?} → {:?}", parsed.diagnostics.first()));
        }
    }
    assert!(count > 800, "the table has {count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
