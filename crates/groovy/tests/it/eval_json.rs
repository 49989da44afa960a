//! json-lib's objects, which is what `readJSON` gives: they are maps and lists, and have methods and a text of their own.
//! Source: `JSONObject`, `JSONArray` of jenkinsci/json-lib, and what Groovy 2.4 makes of a map that has methods.

use groovy::machine::{MachineLimits, PlainOutcome, run_plain};

use super::eval_limits::{DEPTH, FUEL, HEAP, SIZE, check};

const READ: &str = r#"import net.sf.json.*
def j = JSONObject.fromObject('{"s": "x", "n": 12, "d": 1.50, "t": "7", "b": true, "f": "FALSE", "z": null, "o": {"k": [1, 2]}, "a": [{"q": 1}, "w"]}')
"#;

/// What a script answers, or class and message of what it throws.
fn eval(source: &str) -> String {
    let source = format!("{READ}{source}");
    match run_plain(&source, "json", &[], MachineLimits::default(), &mut |_| ()) {
        PlainOutcome::Finished { text, .. } => text,
        PlainOutcome::Threw(thrown) => format!("{}: {}", thrown.class(), thrown.message()),
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn they_are_written_as_json_where_java_writes_them_and_as_maps_where_groovy_does() {
    let text = r#"{"s":"x","n":12,"d":1.5,"t":"7","b":true,"f":"FALSE","z":null,"o":{"k":[1,2]},"a":[{"q":1},"w"]}"#;
    assert_eq!(eval("j.toString()"), text);
    assert_eq!(eval("String.valueOf(j)"), text);
    assert_eq!(eval("(String) j"), text);
    assert_eq!(eval("new StringBuilder().append(j.o).toString()"), r#"{"k":[1,2]}"#);
    assert_eq!(eval("\"${j.o} ${j.a}\""), "[k:[1, 2]] [[q:1], w]");
    assert_eq!(eval("'' + j.o"), "[k:[1, 2]]");
    assert_eq!(eval("j.o.toString(2)"), "{\"k\": [\n  1,\n  2\n]}");
    assert_eq!(eval("j.a.toString()"), r#"[{"q":1},"w"]"#);
    assert_eq!(eval("groovy.json.JsonOutput.toJson(j.subMap(['z', 'o']))"), r#"{"z":null,"o":{"k":[1,2]}}"#);
}

#[test]
fn they_are_asked_for_a_kind() {
    assert_eq!(
        eval("[j.getString('s'), j.getString('n'), j.getString('o'), j.getString('z')]"),
        r#"[x, 12, {"k":[1,2]}, null]"#
    );
    assert_eq!(
        eval("[j.getInt('n'), j.getInt('t'), j.getInt('d'), j.getLong('n'), j.getDouble('d')]"),
        "[12, 7, 1, 12, 1.5]"
    );
    assert_eq!(eval("[j.getBoolean('b'), j.getBoolean('f'), j.has('z'), j.has('y')]"), "[true, false, true, false]");
    assert_eq!(eval("j.getJSONObject('o').getJSONArray('k').getInt(1)"), "2");
    assert_eq!(eval("j.getJSONObject('z').isNullObject()"), "true");
    assert_eq!(eval("j.getString('y')"), "net.sf.json.JSONException: JSONObject[\"y\"] not found.");
    assert_eq!(eval("j.getInt('s')"), "net.sf.json.JSONException: JSONObject[\"s\"] is not a number.");
    assert_eq!(eval("j.getBoolean('s')"), "net.sf.json.JSONException: JSONObject[\"s\"] is not a Boolean.");
    assert_eq!(eval("j.getJSONArray('o')"), "net.sf.json.JSONException: JSONObject[\"o\"] is not a JSONArray.");
    assert_eq!(eval("j.a.getJSONObject(1)"), "net.sf.json.JSONException: JSONArray[1] is not a JSONObject.");
    assert_eq!(
        eval(
            "[j.optString('y'), j.optString('y', 'e'), j.optInt('s'), j.optInt('y', 3), j.optJSONArray('o'), j.opt('y')]"
        ),
        "[, e, 0, 3, null, null]"
    );
    assert_eq!(eval("[j.a.getString(1), j.a.optString(9, '-'), j.a.getJSONObject(0).q]"), "[w, -, 1]");
    assert_eq!(eval("j.a.getString(2)"), "java.lang.IndexOutOfBoundsException: Index 2 out of bounds for length 2");
}

#[test]
fn they_are_maps_and_lists() {
    assert_eq!(
        eval("[j instanceof Map, j.o.k instanceof List, j.getClass().name, j.a.getClass().simpleName]"),
        "[true, true, net.sf.json.JSONObject, JSONArray]"
    );
    assert_eq!(eval("Map m = j.o\nList l = j.a\n[m.is(j.o), l.is(j.a)]"), "[true, true]");
    assert_eq!(eval("j.o.collect { k, v -> k + v.sum() }"), "[k3]");
    assert_eq!(
        eval("[j.o == [k: [1, 2]], j.z == null, j.z ? 1 : 0, j.z.getClass().simpleName]"),
        "[true, false, 1, JSONNull]"
    );
    assert_eq!(
        eval(
            "[(j.o + [a: 1]).getClass().simpleName, j.o.findAll { true }.getClass().simpleName, (j.a + 1).getClass().simpleName]"
        ),
        "[LinkedHashMap, LinkedHashMap, ArrayList]"
    );
    assert_eq!(
        eval("[j.a.join(', '), j.a.join(', ', true), j.keys().next(), j.names().size()]"),
        r#"[{"q":1}, "w", {"q":1}, w, s, 9]"#
    );
    assert_eq!(
        eval("JSONObject.fromObject('[1]')"),
        "net.sf.json.JSONException: 'object' is an array. Use JSONArray instead"
    );
    assert_eq!(eval("JSONArray.fromObject([1, [a: null]]).toString()"), r#"[1,{"a":null}]"#);
    assert_eq!(eval("JSONSerializer.toJSON('{\"a\": [1]}').a.size()"), "1");
}

#[test]
fn what_they_are_given_becomes_json() {
    let made = "def n = new JSONObject()\nn.put('a', [1, [b: \"g${1 + 1}\"]])\nn.c = 'd'\nn['e'] = 5L\n";
    assert_eq!(eval(&format!("{made} n.toString()")), r#"{"a":[1,{"b":"g2"}],"c":"d","e":5}"#);
    assert_eq!(eval(&format!("{made} n.getJSONArray('a').getJSONObject(1).getString('b')")), "g2");
    assert_eq!(
        eval(&format!("{made} n.put('c', null)\n n.element('x', 1).discard('a').toString()")),
        r#"{"e":5,"x":1}"#
    );
    assert_eq!(eval(&format!("{made} n.accumulate('c', 'f').accumulate('c', 'g').c.toString()")), r#"["d","f","g"]"#);
    assert_eq!(
        eval("def l = new JSONArray()\nl.add(1)\nl << [a: 2]\nl.element('x')\nl[0] = 9\nl.toString()"),
        r#"[9,{"a":2},"x"]"#
    );
}

#[test]
fn what_holds_itself_or_never_ends_meets_a_limit() {
    let cycle =
        "def l = []\n l << l\n l << l\n def j = new net.sf.json.JSONObject()\n j.put('l', l)\n j.toString().size() > 0";
    let ended = run_plain(cycle, "json", &[], MachineLimits::default(), &mut |_| ());
    let PlainOutcome::Threw(thrown) = ended else { panic!("{ended:?}") };
    assert_eq!(thrown.class(), "net.sf.json.JSONException");
    check("def l = (1..10000).toList()\n def j = new net.sf.json.JSONObject()\n while (true) j.put('l', l)", FUEL);
    check("def j = new net.sf.json.JSONArray()\n while (true) j.add([1, 2, 3])", HEAP);
    // What holds itself ends at its depth, however wide it is.
    let wide = "def a = new net.sf.json.JSONArray()\n a.addAll((1..20000).toList())\n a[0] = a\n";
    for ends in [
        "try { a.toString() } catch (e) { e.class.simpleName }",
        "try { groovy.json.JsonOutput.toJson(a) } catch (e) { e.class.simpleName }",
    ] {
        let ended = run_plain(&format!("{wide}{ends}"), "json", &[], MachineLimits::default(), &mut |_| ());
        let PlainOutcome::Finished { text, .. } = ended else { panic!("{ended:?}") };
        assert!(text.ends_with("Exception"), "{text}");
    }
}

#[test]
fn closures_that_never_end_as_json_meet_a_limit() {
    let to_json = "groovy.json.JsonOutput.toJson";
    check(&format!("def f; f = {{ a(f) }}; {to_json}(f)"), DEPTH);
    check(&format!("def l = [{{ a 1 }}]; l << l; {to_json}(l)"), DEPTH);
    check(&format!("def l = (1..100).collect {{ {{ -> a 1 }} }}; while (true) {to_json}(l)"), FUEL);
    let builder = "def w = new StringWriter(); def b = new groovy.json.StreamingJsonBuilder(w)\n";
    check(&format!("{builder} def f; f = {{ a(f) }}; b(f)"), DEPTH);
    check(&format!("{builder} while (true) b.a {{ b 1 }}"), SIZE);
}
