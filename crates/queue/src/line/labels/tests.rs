//! What expressions mean, how they print, and where their errors are.

use super::*;

fn parsed(text: &str) -> Expression {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn labels(text: &str) -> Labels {
    text.split_whitespace().collect()
}

#[track_caller]
fn check_fits(text: &str, fits: &[&str], others: &[&str]) {
    let expression = parsed(text);
    for (list, expect) in [(fits, true), (others, false)] {
        for of_agent in list {
            assert_eq!(expression.evaluate(&labels(of_agent)), expect, "{text} at an agent with `{of_agent}`");
        }
    }
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = text.parse::<Expression>().map(|parsed| parsed.to_string()).unwrap_err();
    assert_eq!(error.to_string(), format!("label expression `{text}`: {expect}"));
}

/// Of labels that agents have, `lacks` with `+` and `spare` with `-`.
#[track_caller]
fn check_difference(text: &str, of_agent: &str, expect: Option<&str>) {
    let difference = parsed(text).difference(&labels(of_agent)).map(|difference| {
        let lacks = difference.lacks.iter().map(|label| format!("+{label}"));
        let spare = difference.spare.iter().map(|label| format!("-{label}"));
        lacks.chain(spare).collect::<Vec<_>>().join(" ")
    });
    assert_eq!(difference.as_deref(), expect, "{text} at an agent with `{of_agent}`");
}

#[test]
fn each_operator_means_what_it_means_in_jenkins() {
    check_fits("linux", &["linux", "a linux"], &["", "Linux", "linux2"]);
    check_fits("!linux", &["", "a"], &["linux"]);
    check_fits("a && b", &["a b"], &["a", "b", ""]);
    check_fits("a || b", &["a b", "a", "b"], &[""]);
    check_fits("a -> b", &["a b", "b", ""], &["a"]);
    check_fits("a <-> b", &["a b", ""], &["a", "b"]);
    check_fits("a <-> b <-> c", &["a b c", "a", "b", "c"], &["", "a b", "b c", "a c"]);
    check_fits("", &["", "a"], &[]);
    check_fits(" \t", &["", "a"], &[]);
}

#[test]
fn operators_bind_in_the_order_of_the_grammar() {
    check_fits("a || b && c", &["a", "b c"], &["b", "c"]);
    check_fits("!a && b", &["b"], &["a", "a b", ""]);
    check_fits("a || b -> c", &["", "c", "a c"], &["a", "b"]);
    check_fits("a -> b <-> c", &["b c", "a", "c"], &["b", "a c", ""]);
    check_fits("linux && (docker || !arm)", &["linux", "linux docker arm"], &["linux arm", "docker"]);
}

#[test]
fn names_may_have_what_is_no_operator() {
    check_fits("a-b", &["a-b"], &["a", "b"]);
    check_fits("a->b", &["", "a b", "a->b"], &["a"]);
    check_fits("a-->b", &["a- b"], &["a-"]);
    check_fits("-", &["-"], &[""]);
    check_fits("jdk=17.0_ü", &["jdk=17.0_ü"], &["jdk"]);
    check_fits(r#""a""#, &["a"], &[""]);
    let quoted = parsed(r#""build host (old)" && "a\"b\\\t""#);
    assert!(quoted.evaluate(&["build host (old)", "a\"b\\\t"].into_iter().collect()));
}

#[test]
fn errors_name_the_place() {
    check_error("a &&", "expected a label or `(`, found the end at character 5");
    check_error("a b", "expected an operator or the end, found the name `b` at character 3");
    check_error("&& a", "expected a label or `(`, found `&&` at character 1");
    check_error("(a || b", "expected an operator or `)`, found the end at character 8");
    check_error("a)", "expected an operator or the end, found `)` at character 2");
    check_error("!!a", "expected a label or `(`, found `!` at character 2");
    check_error("ü & a", "`&` is no operator, and no name without quotes has it, at character 3");
    check_error("a -> 'b'", "`'` is no operator, and no name without quotes has it, at character 6");
    check_error("a > b", "`>` is no operator, and no name without quotes has it, at character 3");
    check_error("a || \"b", "a quoted name does not end; it begins at character 6");
    check_error("\"a\nb\"", "a quoted name does not end; it begins at character 1");
    check_error(r#"a || "b\""#, "a quoted name does not end; it begins at character 6");
    check_error(r#""b\x""#, r"`\x` stands for nothing at character 3");
    let chained = "`->` cannot follow another without brackets, for (a->b)->c is not a->(b->c), at character 6";
    check_error("a->b->c", &chained.replace("character 6", "character 5"));
    check_error("()", "expected a label or `(`, found `)` at character 2");
}

#[test]
fn nothing_is_longer_or_deeper_than_it_may_be() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(parsed(&nested(MAX_DEPTH as usize)), parsed("a"));
    check_error(&nested(MAX_DEPTH as usize + 1), "more than 64 brackets stand in each other at character 65");
    assert!(parsed(&"a".repeat(MAX_BYTES)).evaluate(&labels(&"a".repeat(MAX_BYTES))));
    let error = "ü".repeat(MAX_BYTES / 2 + 1).parse::<Expression>().unwrap_err();
    assert_eq!((error.problem, error.at), (Problem::TooLong, MAX_BYTES));
    let long = vec!["a"; 1000].join("||");
    assert!(parsed(&long).evaluate(&labels("a")));
}

#[test]
fn what_is_printed_parses_to_the_same() {
    for (text, expect) in [
        ("a&&(b||c)", "a && (b || c)"),
        ("(a&&b)||c", "a && b || c"),
        ("(a&&(b&&c))", "a && b && c"),
        ("a->(b->c)", "a -> (b -> c)"),
        ("(a->b)->c", "(a -> b) -> c"),
        ("a<->(b<->c)", "a <-> (b <-> c)"),
        ("!(!a)", "!(!a)"),
        ("!(a||b)", "!(a || b)"),
        ("a->b<->c", "a -> b <-> c"),
        (r#""a b"||"c""#, r#""a b" || c"#),
        (r#""""#, r#""""#),
        (r#""it's \"\\\n""#, r#""it's \"\\\n""#),
        ("  ", ""),
    ] {
        let expression = parsed(text);
        assert_eq!(expression.to_string(), expect, "{text}");
        assert_eq!(parsed(expect), expression, "{text}");
    }
}

#[test]
fn what_an_agent_lacks_is_the_shortest_way() {
    check_difference("linux && arm", "linux", Some("+arm"));
    check_difference("linux && arm", "windows", Some("+arm +linux"));
    check_difference("(a && b) || c", "d", Some("+c"));
    check_difference("(a && b) || (c && d)", "d a", Some("+b"));
    check_difference("linux && !old", "linux old", Some("-old"));
    check_difference("linux && !old", "old", Some("+linux -old"));
    check_difference("a -> b", "a", Some("-a"));
    check_difference("!(a -> b)", "b", Some("+a -b"));
    check_difference("a <-> b", "a", Some("-a"));
    check_difference("!(a || b)", "a b", Some("-a -b"));
    check_difference("!(a && b)", "a b", Some("-a"));
    check_difference("a", "a", Some(""));
}

#[test]
fn no_way_is_told_where_none_is_found() {
    check_difference("a && !a", "", None);
    check_difference("a && (!a || b)", "", None);
    check_difference("!(a -> a)", "", None);
}

#[test]
fn two_expressions_are_one() {
    for (one, other, expect) in [
        ("", "c", "c"),
        ("a", "", "a"),
        ("", "", ""),
        ("a", "c", "a && c"),
        ("a && b", "c && d", "a && b && c && d"),
        ("a || b", "c", "(a || b) && c"),
    ] {
        let parse = |text: &str| text.parse().unwrap_or_else(|_| Expression::any());
        let both = parse(one).and(parse(other));
        assert_eq!(both.to_string(), expect);
        assert_eq!(both, parse(expect));
    }
    assert_eq!(Expression::label("a").to_string(), "a");
}
