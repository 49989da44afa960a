//! Lexer and parser on any text: no panic, spans inside the text, the tree can be printed and dropped. The bounded form
//! of this, for every toolchain, is `crates/groovy/tests/it/parse_mutation.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let parsed = groovy::parse(&text);
    for diagnostic in &parsed.diagnostics {
        assert!(text.get(diagnostic.span.start as usize..diagnostic.span.end as usize).is_some());
    }
    for stmt in &parsed.script.body {
        assert!(text.get(stmt.span.start as usize..stmt.span.end as usize).is_some());
    }
    let printed = groovy::parser::sexpr::script(&parsed.script);
    assert!(parsed.has_errors() || !printed.contains("<error>"));
});
