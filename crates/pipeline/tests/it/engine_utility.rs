//! Steps that read and write data, and those that look at files.

use model::outcome::Outcome;
use model::request::{Reply, Request};
use pipeline::conformance::Fixture;
use pipeline::engine::RunFacts;

use crate::engine::{run, steps};
use crate::engine_world::World;

#[test]
fn json_is_read_and_written() {
    let ran = steps(
        r#"def j = readJSON text: '{"z": [1, 2.5, null], "a": {"b": "c"}, "n": null}'
        echo "${j.keySet()} ${j.z[1]} ${j.a.b} null=${j.n} ${j.n ? 'true' : 'false'} ${j.n == null}"
        def p = readJSON text: '{"n": null}', returnPojo: true
        echo "pojo ${p.n == null}"
        echo "text ${writeJSON(json: j, returnText: true)}"
        echo 'as java ' + j.a.toString() + ' ' + j.getString('n') + j.getJSONArray('z').getInt(0) + j.optString('none', '-')
        echo "plain ${p.getClass().simpleName} ${j.getClass().name} ${net.sf.json.JSONObject.fromObject(a: 1).toString()}"
        writeJSON file: 'x.json', json: [a: 1, b: ["x y"]], pretty: 2
        echo "<${readFile('x.json')}> ${readJSON(file: 'x.json').b[0]}""#,
    );
    ran.is(Outcome::Success)
        .has("[z, a, n] 2.5 c null=null true false")
        .has("pojo true")
        .has(r#"as java {"b":"c"} null1-"#)
        .has(r#"plain LinkedHashMap net.sf.json.JSONObject {"a":1}"#)
        .has(r#"text {"z":[1,2.5,null],"a":{"b":"c"},"n":null}"#)
        .has("<{\n  \"a\": 1,\n  \"b\": [\"x y\"]\n}> x y");
    let fails = |source: &str, text: &str| steps(source).is(Outcome::Failure).has(text).outcome();
    fails("readJSON text: '{'", "net.sf.json.JSONException: Found starting '{' but missing '}' at the end.");
    let ran = steps(
        "def j = readJSON text: '''{ // of\n a: [1,,2,], 'b': null, \"a\": 3 }'''\necho \"${j.a} ${j.b == null} ${readJSON(text: '{b: null}', returnPojo: true)}\"",
    );
    ran.is(Outcome::Success).has("[1, null, 2, 3] false [b:null]");
    fails("readJSON text: '12'", "net.sf.json.JSONException: Invalid JSON String");
    fails("readJSON([:])", "At least one of file or text needs to be provided to readJSON.");
    fails("readJSON file: 'a', text: 'b'", "At most one of file or text must be provided to readJSON.");
    fails("readJSON file: 'none.json'", "none.json does not exist.");
    fails("readYaml()", "At least one of file or text needs to be provided to readYaml.");
    fails("writeYaml data: 'x', file: ''", "either file or returnText must be provided to writeYaml");
    fails("writeYaml data: 1, returnText: true, file: 'x'", "cannot provide both returnText and file to writeYaml");
    fails(
        "writeYaml data: 1, returnText: true, charset: 'x'",
        "cannot provide both returnText and charset to writeYaml",
    );
    fails("readManifest([:])", "At least one of file or text needs to be provided to readManifest.");
    fails("writeTOML file: 'x'", "You have to provide a toml object to save for writeTOML.");
    fails("writeCSV file: 'x'", "You have to provide a list of records to save for writeCSV.");
    fails("writeCSV records: []", "You have to provide a file for writeCSV.");
    fails("writeJSON json: [a: 1]", "You have to provide either file or returnText to writeJSON.");
    run("readJSON file: 'x'").is(Outcome::Failure).has("such as: node");
    // A text needs no machine.
    run("echo \"${readJSON(text: '[1]')[0]}\"").is(Outcome::Success);
}

#[test]
fn yaml_is_read_and_written() {
    let ran = steps(
        r#"def y = readYaml text: '''
base: &b
  on: yes
  port: 0x10
own:
  <<: *b
  port: '8'
'''
        echo "y ${y.own} ${y.base.port + 1}"
        def all = readYaml text: "a: 1\n---\n- b\n"
        echo "all ${all.size()} ${all[1][0]}"
        writeYaml file: 'x.yml', data: [a: [1, 'yes'], s: "1.0"]
        echo "<${readFile('x.yml')}>"
        writeYaml file: 'x.yml', datas: [[a: 1], [b: 2]], overwrite: true
        echo "<${readFile('x.yml')}>${writeYaml(data: [q: null], returnText: true)}"
        writeYaml file: 'x.yml', data: [a: 1]"#,
    );
    ran.is(Outcome::Failure)
        .has("y [true:true, port:8] 17")
        .has("all 2 b")
        .has("<a:\n- 1\n- 'yes'\ns: '1.0'\n>")
        .has("<a: 1\n---\nb: 2\n>q: null\n")
        .has("x.yml already exist.");
    steps("def y = readYaml text: 'd: 2026-11-30\\ns: \"2026-11-30\"'; echo \"${y.d.class.name} ${y.d.format('yyyy')} ${writeYaml(data: y, returnText: true)}\"")
        .has("java.util.Date 2026 d: 2026-11-30T00:00:00Z\ns: '2026-11-30'\n");
    steps("readYaml text: 'a: !foo b'").has("could not determine a constructor for the tag !foo");
    steps("writeYaml file: 'x', data: [a: currentBuild]").has("data parameter has invalid content (no-basic classes)");
}

#[test]
fn other_formats_are_read_and_written() {
    let ran = steps(
        r#"writeFile file: 'a.properties', text: 'a=1\nb=${a}2'
        def p = readProperties file: 'a.properties', defaults: [d: 'x'], text: 'c=3', interpolate: true
        echo "p ${p}"
        echo "none ${readProperties(file: 'none', text: 'z=1')}"
        writeCSV file: 'x.csv', records: [['k', 'v, w'], [1, 2]]
        echo "csv ${readCSV(file: 'x.csv')}"
        echo "toml ${readTOML(text: 'a = 1\n[b]\nc = "d"')} <${writeTOML(toml: [x: [1]], returnText: true)}>"
        def m = readManifest text: 'Main-Class: X\n\nName: n\nA: b\n'
        echo "mf ${m.main['Main-Class']} ${m.entries['n']['A']}"
        echo "v ${compareVersions(v1: '1.10', v2: '1.9')} ${compareVersions v1: '1', v2: '1.0'}""#,
    );
    ran.is(Outcome::Success)
        .has("p [d:x, a:1, b:12, c:3]")
        .has("none does not exist, omitting from properties gathering")
        .has("none [z:1]")
        .has("csv [[k, v, w], [1, 2]]")
        .has("toml [a:1, b:[c:d]] <x = [1]\n>")
        .has("mf X b")
        .has("v 1 0");
    let empty = |given: &str, text: &str| {
        run(&format!("compareVersions(failIfEmpty: true, {given})")).is(Outcome::Failure).has(text);
    };
    empty("v1: '', v2: ''", "ERROR: Both parameters are empty.");
    empty("v1: '1', v2: ''", "ERROR: v2 is empty.");
    let ordered = "[['', ''], ['', '1'], ['1', '']].collect { compareVersions(v1: it[0], v2: it[1]) }";
    run(&format!("echo \"${{{ordered}}}\"")).has("[0, -1, 1]");
    let refused = "readCSV text: 'a', format: 1";
    steps(refused)
        .is(Outcome::Failure)
        .has("readCSV.format expects class org.apache.commons.csv.CSVFormat but received");
}

/// Source: the help of `ReadCSVStep`, and `CSVFormat`, `CSVParser` and `CSVRecord` of commons-csv.
#[test]
fn records_have_the_names_of_a_header() {
    // Jenkins' plugin imports its package into every pipeline.
    run("import org.apache.commons.csv.CSVFormat\necho \"${CSVFormat.TDF == org.apache.commons.csv.CSVFormat.TDF}\"")
        .has("true");
    let ran = run(r#"node {
        def all = readCSV text: 'key,value\na,b\nc', format: CSVFormat.DEFAULT.withHeader()
        echo "all ${all.size()} ${all[0].get('key')} ${all[0][1]} ${all[0]['value']} ${all[1].toMap()} ${all[1].isSet('value')} ${all[0].collect { it }}"
        def own = readCSV text: '# no\n 1 ;"x;y"\n', format: CSVFormat.DEFAULT.builder().setDelimiter(';' as char).setHeader('n', 't').setTrim(true).setCommentMarker('#' as char).build()
        echo "own ${own*.toMap()} ${own[0].recordNumber}"
        try { own[0].get('none') } catch (IllegalArgumentException e) { echo e.message }
        def twice = readCSV text: 'A,a,A\n1,2,3', format: CSVFormat.EXCEL.withFirstRecordAsHeader().withIgnoreHeaderCase()
        echo "twice ${twice[0].get('a')}"
        writeCSV file: 'x.tsv', records: own + [[2, null]], format: CSVFormat.TDF.withHeader('n', 't').withRecordSeparator('\n').withNullString('-')
        echo "<${readFile 'x.tsv'}>" }"#);
    ran.is(Outcome::Success)
        .has("all 2 a b b [key:c] false [a, b]")
        .has("own [[n:1, t:x;y]] 1")
        .has("Mapping for none not found, expected one of [n, t]")
        .has("twice 3")
        .has("<n\tt\n1\tx;y\n2\t-\n>");
}

#[test]
fn a_model_of_maven_is_read() {
    let ran = steps(
        r#"writeFile file: 'pom.xml', text: '''<project><parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version></parent>
<artifactId>a</artifactId><version>${revision}</version><properties><revision>2-SNAPSHOT</revision></properties>
<modules><module>m1</module></modules><dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId></dependency></dependencies>
<build><finalName>f</finalName></build></project>'''
        def pom = readMavenPom()
        echo "${pom.version} ${pom.getArtifactId()} ${pom.groupId} ${pom.parent.version} ${pom.packaging} ${pom.properties.revision}"
        echo "${pom.modules} ${pom.dependencies[0].artifactId} ${pom.dependencies[0].type} ${pom.build.finalName} ${pom}"
        readMavenPom file: 'none.xml'"#,
    );
    ran.is(Outcome::Failure)
        .has("${revision} a null 1 jar 2-SNAPSHOT")
        .has("[m1] y jar f g:a:jar:${revision}")
        .has("none.xml does not exist.");
}

/// Jenkins' plugin imports the package into every pipeline.
#[test]
fn a_model_has_the_class_that_maven_has() {
    let source = r#"writeFile file: 'pom.xml', text: '<project><artifactId>a</artifactId><parent><groupId>g</groupId></parent></project>'
        Model read = readMavenPom()
        Parent up = read.parent
        Dependency more = new Dependency(groupId: 'g', artifactId: 'b', version: '2')
        read.addDependency(more)
        writeMavenPom model: read
        echo "${readMavenPom().dependencies[0]} ${up.groupId} ${read.getClass().name}"
        def made = new Model()
        made.artifactId = 'n'
        made.properties.p = 'q'
        writeMavenPom model: made, file: 'n.xml'
        def again = readMavenPom(file: 'n.xml')
        echo "again ${again.artifactId} ${again.properties} ${again.packaging} ${made.dependencies}""#;
    steps(source)
        .is(Outcome::Success)
        .has("Dependency {groupId=g, artifactId=b, version=2, type=jar} g org.apache.maven.model.Model")
        .has("again n [p:q] jar []");
    let own = "class Model { def name = 'own' }\necho new Model().name";
    run(own).is(Outcome::Success).has("\nown\n");
}

#[test]
fn a_model_is_written_as_maven_writes_it() {
    let ran = steps(
        r#"writeFile file: 'pom.xml', text: '''<project><packaging>jar</packaging><version>1</version><artifactId>a</artifactId><modelVersion>4.0.0</modelVersion>
            <parent><groupId>g</groupId><version>2</version></parent><modules><module>m1</module></modules><properties><a.b>x &amp; y</a.b></properties>
            <dependencies><dependency><artifactId>y</artifactId><exclusions><exclusion><groupId>*</groupId></exclusion></exclusions></dependency></dependencies>
            <build><plugins><plugin><configuration><source>8</source></configuration></plugin></plugins></build></project>'''
        def pom = readMavenPom()
        pom.version = "${pom.version}.1"
        pom.properties.added = '<'
        writeMavenPom model: pom, file: 'new/pom.xml'
        echo readFile('new/pom.xml')
        assert readMavenPom(file: 'new/pom.xml').version == '1.1'
        writeMavenPom model: [version: '1']"#,
    );
    let written =
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
        xsi:schemaLocation=\"http://maven.apache.org/POM/4.0.0 http://maven.apache.org/xsd/maven-4.0.0.xsd\">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>g</groupId>
    <version>2</version>
  </parent>
  <artifactId>a</artifactId>
  <version>1.1</version>
  <modules>
    <module>m1</module>
  </modules>
  <properties>
    <a.b>x &amp; y</a.b>
    <added>&lt;</added>
  </properties>
  <dependencies>
    <dependency>
      <artifactId>y</artifactId>
      <exclusions>
        <exclusion>
          <groupId>*</groupId>
        </exclusion>
      </exclusions>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <configuration>
          <source>8</source>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>";
    ran.is(Outcome::Failure).has(written).has("a model is what readMavenPom gives, not java.util.LinkedHashMap");
    for (inner, lost) in [
        (
            "<build><plugins><plugin><configuration><a x='1'>b</a></configuration></plugin></plugins></build>",
            "the attributes of <a>",
        ),
        (
            "<build><plugins><plugin><configuration><args><arg>1</arg><arg>2</arg></args></configuration></plugin></plugins></build>",
            "several <arg> in <args>",
        ),
        (
            "<build><plugins><plugin><extensions>true</extensions></plugin></plugins></build>",
            "the text of <extensions>",
        ),
        (
            "<build><plugins><plugin><configuration><includes><x>1</x></includes></configuration></plugin></plugins></build>",
            "<x> in <includes>",
        ),
    ] {
        let source = format!(
            "writeFile file: 'pom.xml', text: \"\"\"<project>{inner}</project>\"\"\"\nwriteMavenPom model: readMavenPom()"
        );
        steps(&source).is(Outcome::Failure).has(&format!("would lose what the model was read with: {lost}"));
    }
    let odd = "writeFile file: 'pom.xml', text: '<project/>'\ndef pom = readMavenPom()\npom.properties['a b'] = 1\nwriteMavenPom model: pom";
    steps(odd).is(Outcome::Failure).has("writeMavenPom: ‘a b’ is no name of an element");
}

#[test]
fn files_are_found_touched_and_hashed() {
    let ran = steps(
        r#"writeFile file: 'd/a.txt', text: 'hello'
        writeFile file: 'b.txt', text: ''
        def found = findFiles(glob: '**/*.txt')
        echo "found ${found.length} ${found[1].path} ${found[1].name} ${found[1].length} ${found[1].directory} ${found[0]}"
        echo "here ${findFiles().collect { "$it" }} ${findFiles()[1].isDirectory()}"
        echo "touched ${touch(file: 'new', timestamp: 5000).lastModified} ${fileExists('new')}"
        echo "md5 ${md5('d/a.txt')} ${sha256(file: 'd/a.txt').size()}"
        verifySha1 file: 'd/a.txt', hash: 'AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D'
        prependToFile file: 'd/a.txt', content: 'oh, '
        prependToFile file: 'fresh', content: 'x'
        echo "${readFile('d/a.txt')} ${readFile('fresh')}"
        archiveArtifacts artifacts: 'd/*', fingerprint: true
        verifySha1 file: 'd/a.txt', hash: '00'"#,
    );
    ran.is(Outcome::Failure)
        .has("found 2 d/a.txt a.txt 5 false b.txt")
        .has("here [b.txt, d/] true")
        .has("touched 5000 true")
        .has("md5 5d41402abc4b2a76b9719d911017c592 64")
        .has("oh, hello x")
        .has("Recording fingerprints")
        .has("SHA1 hash mismatch: expected: '00', actual: '");
    // As in Jenkins, where there is no file there is nothing to tell.
    steps("echo \"<${sha1('none')} ${readCSV(file: 'none')}>\"").is(Outcome::Success).has("<null []>");
    steps("verifySha1 file: 'none', hash: '0'").is(Outcome::Failure).has("File not found: none");
}

/// Source: `FileExistsStep` of workflow-basic-steps.
#[test]
fn the_folder_itself_is_what_no_name_means() {
    let said =
        "The fileExists step was called with a null or empty string, so the current directory will be checked instead.";
    for name in ["null", "''"] {
        steps(&format!("echo \"there ${{fileExists({name})}}\"")).is(Outcome::Success).has(said).has("there true");
    }
}

#[test]
fn properties_may_refer_to_what_is_made_of_a_text() {
    let ran = steps(
        r#"echo "${readProperties(interpolate: true, text: 'a=${urlEncoder:x y}\nb=${base64Encoder:hi}\nc=<${a}> ${base64Decoder:aGk=}')}"
        echo "${readProperties(interpolate: true, text: 'a=${urlDecoder:%}')}""#,
    );
    ran.is(Outcome::Success)
        .has("a:x+y, b:aGk=, c:<x+y> hi")
        .has("Got exception while interpolating the variables: ‘%’ is not encoded as an address")
        .has("[a:${urlDecoder:%}]");
}

#[test]
fn data_may_begin_with_a_mark() {
    let ran = steps(
        r#"writeFile file: 'a.json', text: '\uFEFF{"a": 1}'; writeFile file: 'b.yml', text: '\uFEFFb: 2'
        writeFile file: 'c.groovy', text: '\uFEFFreturn 3'; writeFile file: 'pom.xml', text: '\uFEFF<project><version>4</version></project>'
        echo "${readJSON(file: 'a.json').a} ${readYaml(file: 'b.yml').b} ${load('c.groovy')} ${readMavenPom().version}""#,
    );
    ran.is(Outcome::Success).has("1 2 3 4");
}

/// Source: `LockStep.validate` and `LockStepResource.validate`.
#[test]
fn a_lock_is_asked_for_in_words_that_are_known() {
    run("lock(resource: 'a', inversePrecedence: true, priority: 3) { echo 'in' }")
        .is(Outcome::Failure)
        .has("The \"inverse precedence\" option is not compatible with \"queue priority\" option!")
        .lacks("\nin\n");
    run("try { lock(label: 'x', resourceSelectStrategy: 'nosuch') { } } catch (IllegalArgumentException e) { echo e.message }")
        .is(Outcome::Success)
        .has("The strategy \"nosuch\" is not supported. Valid options are sequential, random.");
    run("lock(label: 'x', resourceSelectStrategy: 'Random', inversePrecedence: true) { echo 'in' }")
        .is(Outcome::Success)
        .has("\nin\n");
}

#[test]
fn branches_exclude_each_other() {
    let ran = run("def inside = 0, most = 0
        def work = { inside++; most = Math.max(most, inside); sleep 1; inside-- }
        parallel a: { lock('x') { work() } }, b: { lock(resource: 'x', variable: 'GOT') { work(); echo \"got ${GOT} ${GOT0}\" } },
            c: { lock(label: 'pool', quantity: 2, extra: [[resource: 'x']]) { work() } }, d: { lock('other') { echo 'beside' } }
        echo \"most ${most}\"");
    ran.is(Outcome::Success)
        .has("Trying to acquire lock on [Resource: x]\n")
        .has("[Resource: x] is not free, waiting for execution ...")
        .has("Lock acquired on [{Label: pool, Quantity: 2},{Resource: x}]")
        .has("Lock released on resource [Resource: x]")
        .has("got x x")
        .has("beside")
        .has("most 1");
    run("parallel a: { lock('x') { sleep 5 } }, b: { sleep 1; lock(resource: 'x', skipIfLocked: true) { echo 'not this' } }")
        .is(Outcome::Success)
        .has("[Resource: x] is not free, skipping execution ...")
        .lacks("not this");
    // Who fails releases, and who is interrupted waits no more.
    run("try { lock('x') { error 'no' } } catch (e) { }\nlock('x') { echo 'again' }").is(Outcome::Success).has("again");
    run("parallel a: { lock('x') { sleep 100 } }, b: { sleep 1; timeout(time: 2, unit: 'SECONDS') { lock('x') { echo 'not this' } } }")
        .is(Outcome::Aborted)
        .lacks("not this");
    run("parallel a: { lock('x') { sleep 100 } }, b: { sleep 1; lock(resource: 'x', timeoutForAllocateResource: 2, timeoutUnit: 'SECONDS') { } }")
        .is(Outcome::Failure)
        .has("[Resource: x] is not free, waiting for execution ... (timeout: 2 seconds)")
        .has("[Resource: x] timed out waiting for resource allocation after 2 seconds");
    run("lock(resource: 'a', extra: [[resource: 'b'], [label: 'c']], variable: ' v ') { echo \"had $v\" }")
        .is(Outcome::Success)
        .has("Trying to acquire lock on [{Resource: a},{Resource: b},{Label: c}]\nResource [a] did not exist. Created.\nResource [b] did not exist. Created.\nLock acquired on [")
        .lacks("[c] did not")
        .has("had a,b,c");
    run("lock(resource: 'a', priority: 3) { }").has("Lock acquired on [Resource: a, Priority: 3]");
    run("lock([:]) { }").is(Outcome::Failure).has("Either resource label or resource name must be specified.");
    let newest = "def order = []
        parallel a: { lock(resource: 'x', inversePrecedence: true) { sleep 9 } }, b: { sleep 1; lock('x') { order << 'b' } },
            c: { sleep 2; lock('x') { order << 'c' } }, d: { sleep 3; lock(resource: 'x', priority: 1) { order << 'd' } }
        echo \"order ${order}\"";
    run(newest).has("order [d, b, c]");
    run(&newest.replace("sleep 2; lock('x')", "sleep 2; lock(resource: 'x', inversePrecedence: true)"))
        .has("order [d, c, b]");
}

#[test]
fn runs_exclude_each_other() {
    let run = |text: &str| {
        let mut world = World::new(Fixture::default());
        world.locked.insert("x".to_owned(), 60_000);
        world.run(text).unwrap()
    };
    let ran = run("lock('x') { echo 'mine' }");
    ran.is(Outcome::Success)
        .has("[Resource: x] is not free, waiting for execution ...\nLock acquired on [Resource: x]\n");
    let held = |request: &Request| matches!(request, Request::Unlock { .. });
    assert_eq!(ran.requests.iter().filter(|request| held(request)).count(), 1);
    let skipped = run("lock(resource: 'x', skipIfLocked: true) { echo 'mine' }\nlock('y') { echo 'free' }");
    skipped.is(Outcome::Success).has("[Resource: x] is not free, skipping execution ...").has("free").lacks("mine");
    // Whoever does not get it keeps no other branch from it.
    run("try { lock(resource: 'x', timeoutForAllocateResource: 2, timeoutUnit: 'SECONDS') { } } catch (e) { echo e.message }
        try { timeout(time: 3, unit: 'SECONDS') { lock('x') { } } } catch (e) { echo 'too long' }
        lock('x') { echo 'mine' }")
        .is(Outcome::Success)
        .has("[Resource: x] timed out waiting for resource allocation after 2 seconds")
        .has("too long")
        .has("mine");
    // Branches of the run stand in one line before that.
    let ran =
        run("parallel a: { lock('x') { sleep 1 } }, b: { lock('x') { sleep 1 } }, c: { lock('x') { error 'no' } }");
    ran.is(Outcome::Failure);
    assert_eq!(ran.requests.iter().filter(|request| held(request)).count(), 3);
}

#[test]
fn milestones_are_passed_in_order() {
    let run = |text: &str, newer: Option<i64>| {
        let mut world = World::new(Fixture::default());
        world.milestone = newer;
        world.run(text).unwrap()
    };
    let ran = run("milestone()\nmilestone(5)\nmilestone label: 'x'\nmilestone 9", None);
    ran.is(Outcome::Success);
    for ordinal in [0, 5, 6, 9] {
        ran.has(&format!("Trying to pass milestone {ordinal}\n"));
    }
    run("milestone 2\nmilestone 2", None).is(Outcome::Failure).has("Invalid ordinal 2, as the previous one was 2");
    run("parallel a: { milestone 1 }, b: { }", None)
        .is(Outcome::Failure)
        .has("Using a milestone step inside parallel is not allowed");
    run("parallel a: { milestone ordinal: 1, unsafe: true }, b: { }\nparallel c: { milestone 2 }", None)
        .is(Outcome::Success);
    run("milestone 1\necho 'first'\nmilestone 2\necho 'never'", Some(1))
        .is(Outcome::NotBuilt)
        .has("Superseded by #7")
        .lacks("first");
    run("milestone 2\necho 'on'", Some(1)).is(Outcome::Success).has("on");
}

#[test]
fn power_shell_is_what_the_place_has() {
    let with = |programs: &[(&str, &str)]| {
        let programs = programs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        World::new(Fixture { programs, ..Fixture::default() })
    };
    let program = "#!/bin/sh\necho \"args $1 $2 $3\"; cat \"$4\"; exit 3\n";
    let ran =
        with(&[("pwsh", program)]).run("node { echo \"code ${powershell(script: 'Get-Date', returnStatus: true)}\" }");
    ran.unwrap().is(Outcome::Success).has("args -NoProfile -NonInteractive -File").has("Get-Date").has("code 3");
    let ran = with(&[]).run("node { pwsh 'Get-Date' }").unwrap();
    ran.is(Outcome::Failure).has("pwsh: this place has no PowerShell").has("script returned exit code 127");
}

#[test]
fn texts_are_evaluated() {
    run("echo \"${evaluate('def f() { 41 }; return f() + 1')}\"").is(Outcome::Success).has("\n42\n");
}

/// A plan has no files: what is read there is empty.
#[test]
fn a_plan_finds_no_files() {
    let job = model::ids::JobId(1);
    let request = Request::FindFiles { job, files: Default::default(), folders: false, is_shallow: false };
    assert_eq!(model::planning::reply(&request), Reply::Found(Vec::new()));
}

#[test]
fn in_a_plan_every_file_is_empty_and_nothing_ends_for_it() {
    let facts = RunFacts { planning: true, ..Fixture::default().facts };
    let source = "node { writeFile file: 'x.json', text: ''; writeFile file: 'pom.xml', text: ''
        def a = readJSON file: 'x.json'; def b = readJSON text: ''; def c = readMavenPom()
        echo \"${a.version} ${b.size()} ${c.version}\" }";
    World::new(Fixture { facts, ..Fixture::default() }).run(source).unwrap().is(Outcome::Success).has("null 0 null");
    World::new(Fixture::default()).run(source).unwrap().is(Outcome::Failure);
}
