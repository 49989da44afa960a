//! XML that means harm, or too much of it. What it says otherwise is held against Groovy itself (`differential`).

use groovy::machine::{LimitKind, MachineLimits, PlainOutcome, run_plain};

use super::eval_limits::{DEPTH, FUEL, HEAP, SIZE, TEXT, check};

/// What a script answers, or class and message of what it throws.
fn eval(source: &str) -> String {
    match run_plain(source, "xml", &[], MachineLimits::default(), &mut |_| ()) {
        PlainOutcome::Finished { text, .. } => text,
        PlainOutcome::Threw(thrown) => format!("{}: {}", thrown.class(), thrown.message()),
        other => panic!("{source}: {other:?}"),
    }
}

fn nested(levels: usize) -> String {
    format!("def text = '<a>' * {levels} + 'x' + '</a>' * {levels}\n")
}

#[test]
fn elements_nest_as_deep_as_scripts_can_follow() {
    for class in ["XmlSlurper", "XmlParser"] {
        let read = format!("{}def root = new {class}().parseText(text)\n", nested(400));
        assert_eq!(
            eval(&format!("{read} root.text() + root.depthFirst().size() + root.breadthFirst().size()")),
            "x400400"
        );
        let deeper = format!("{}new {class}().parseText(text)", nested(401));
        let message = "org.xml.sax.SAXParseException: Elements are nested more than 400 levels deep.";
        assert_eq!(eval(&deeper), message, "{class}");
    }
}

#[test]
fn nothing_is_fetched_and_nothing_expanded() {
    let allowed = "def s = new XmlSlurper(false, true, true)\n";
    let refused = "def s = new XmlSlurper()\n";
    let doctype = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\">";
    let entity = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\"><!ENTITY y \"z\">]>";
    assert_eq!(eval(&format!("{allowed} s.parseText('{doctype}<a>1</a>').text()")), "1");
    for name in ["x", "y"] {
        let expected =
            format!("org.xml.sax.SAXParseException: The entity \"{name}\" was referenced, but not declared.");
        assert_eq!(eval(&format!("{allowed} s.parseText('{entity}<a>&{name};</a>')")), expected);
    }
    let feature = "s.setFeature('http://apache.org/xml/features/disallow-doctype-decl', false)";
    assert_eq!(eval(&format!("{refused} {feature}\n s.parseText('{doctype}<a>1</a>').text()")), "1");
    assert!(eval(&format!("{refused} s.parseText('{doctype}<a/>')")).contains("DOCTYPE is disallowed"));
    for source in
        ["'pom.xml'", "new File('pom.xml')", "'http://example.com/a.xml'", "new URL('http://example.com/a.xml')"]
    {
        let found = eval(&format!("{refused} s.parse({source})"));
        assert!(found.starts_with("java.lang.SecurityException"), "{source}: {found}");
    }
}

#[test]
fn what_is_read_is_paid_for() {
    // Each element is a value, however short it is.
    check("new XmlSlurper().parseText('<r>' + '<a/>' * 100000 + '</r>')", HEAP);
    check("def one = '<r>' + '<a/>' * 2000 + '</r>'; while (true) new XmlSlurper().parseText(one)", FUEL);
    // So is each attribute of one element, of which there are no more than Java has.
    let many = "def many = (0..<200000).collect { \"a${it}=''\" }.join(' ')\n";
    let outcome = run_plain(
        &format!("{many} new XmlSlurper().parseText(\"<a $many/>\")"),
        "xml",
        &[],
        MachineLimits::default(),
        &mut |_| (),
    );
    assert!(format!("{outcome:?}").contains("more than \\\"10000\\\" attributes"), "{outcome:?}");
    // A short prefix stands for a long name, and each attribute has it.
    let long = "def uri = 'u' * 100000\n def many = (0..<200).collect { \"x:a${it}='1'\" }.join(' ')\n";
    check(&format!("{long} new XmlSlurper().parseText(\"<r xmlns:x='$uri' $many/>\")"), HEAP);
    // Many declarations are looked through for each name.
    let many = "def many = (0..<3000).collect { \"xmlns:p$it='u'\" }.join(' ')\n";
    let source = format!("{many} new XmlSlurper().parseText(\"<r $many>${{'<p0:a/>' * 20000}}</r>\")");
    let limits = MachineLimits { fuel: 3_000_000, ..MachineLimits::default() };
    let outcome = run_plain(&source, "xml", &[], limits, &mut |_| ());
    assert!(matches!(&outcome, PlainOutcome::Limit(limit) if limit.what == LimitKind::Fuel), "{outcome:?}");
}

#[test]
fn the_place_of_a_mistake_is_known() {
    let read = "try { new XmlSlurper().parseText('<a>\\n<b/>\\n</c>') } catch (org.xml.sax.SAXException e)";
    assert_eq!(eval(&format!("{read} {{ e.lineNumber }}")), "3");
    assert_eq!(
        eval(&format!("{read} {{ e.toString().tokenize(';')[0..1] }}")),
        "[org.xml.sax.SAXParseException,  lineNumber: 3]"
    );
}

#[test]
fn a_text_that_is_set_is_the_text() {
    let read = "def root = new XmlSlurper().parseText('<p><v a=\"1\">1.0</v><m/></p>')\n";
    assert_eq!(eval(&format!("{read} root.v = '2.0'; root.v.@a = '2'; \"$root.v ${{root.v.@a}}\"")), "2.0 2");
    assert_eq!(eval(&format!("{read} root.v.@a = 3; root.m.@b = 'x'; root.v.@a.text() + root.m.@b")), "3x");
}

#[test]
fn what_is_written_is_paid_for_and_ends() {
    // Each short element deep inside gets a long line of its own.
    let deep = "def text = '<a>' * 399 + '<b/>' * 4000 + '</a>' * 399\n";
    check(&format!("{deep} groovy.xml.XmlUtil.serialize(text)"), TEXT);
    let small = "def text = '<a>' * 99 + '<b/>' * 99 + '</a>' * 99\n";
    check(&format!("{small} while (true) groovy.xml.XmlUtil.serialize(text)"), FUEL);
    let builder = "def builder = new groovy.xml.MarkupBuilder(new StringWriter())\n";
    check(&format!("{builder} while (true) builder.a(b: 'c')"), SIZE);
    check(&format!("{builder} def f; f = {{ a(f) }}; f.delegate = builder; f()"), DEPTH);
    let streaming = "def builder = new groovy.xml.StreamingMarkupBuilder()\n";
    check(&format!("{streaming} def f; f = {{ a(f) }}; builder.bind(f).toString()"), DEPTH);
    let read = "def root = new XmlSlurper().parseText('<a><b/></a>')\n";
    check(&format!("{read} root.b.replaceBody {{ mkp.yield(root.b) }}; groovy.xml.XmlUtil.serialize(root)"), DEPTH);
    check(&format!("{read} root.appendNode(root); groovy.xml.XmlUtil.serialize(root)"), DEPTH);
    let read = "def root = new XmlParser().parseText('<a><b/></a>')\n";
    check(&format!("{read} root.children().add(root); groovy.xml.XmlUtil.serialize(root)"), SIZE);
}
