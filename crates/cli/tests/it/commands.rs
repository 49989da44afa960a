//! The commands that run nothing.

use crate::project::{Project, run, sandboxes_work};

#[test]
fn lint_reports_every_error_with_its_place() {
    let project = Project::new(
        "pipeline {\n  agent any\n  stages {\n    stage('a') {\n      steps {\n        ehco 'x'\n      }\n    }\n  }\n  psot { }\n}\n",
    );
    let file = project.path().join("Jenkinsfile");
    let json = run(&["lint", "--output", "json", file.to_str().unwrap()]);
    assert_eq!(json.code, 5, "{json:?}");
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["valid"], false);
    let lines: Vec<_> = report["diagnostics"].as_array().unwrap().iter().map(|d| d["line"].as_u64().unwrap()).collect();
    assert!(lines.contains(&6) && lines.contains(&10), "{report}");
    let text = run(&["lint", file.to_str().unwrap()]);
    assert_eq!(text.code, 5);
    assert!(
        text.stdout.contains("ehco") && text.stdout.contains("echo"),
        "the nearest name is offered: {}",
        text.stdout
    );
}

#[test]
fn lint_takes_many_files_and_names_each() {
    let good = Project::new("node { echo 'x' }\n");
    let bad = Project::new("node { echo 'x' \n");
    let files = [good.path().join("Jenkinsfile"), bad.path().join("Jenkinsfile"), bad.path().join("missing")];
    let words: Vec<_> = files.iter().map(|f| f.to_str().unwrap()).collect();
    let ran = run(&[&["lint", "--output", "json"], words.as_slice()].concat());
    let reports: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let valid: Vec<_> = reports.iter().map(|r| r["valid"].as_bool().unwrap()).collect();
    assert_eq!(valid, [true, false, false], "{ran:?}");
    assert_ne!(ran.code, 0);
}

#[test]
fn groovy_prints_and_gives_the_last_value() {
    let project = Project::new("println([1, 2, 3].collect { it * 2 })\n'a' + 1\n");
    let file = project.path().join("Jenkinsfile");
    let ran = run(&["groovy", "--value", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "[2, 4, 6]\na1\n"), "{ran:?}");
    project.write("throws.groovy", "def f() { throw new IllegalStateException('no') }\nf()\n");
    let ran = run(&["groovy", project.path().join("throws.groovy").to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("java.lang.IllegalStateException: no") && ran.stderr.contains("throws.groovy:1"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_value_is_shown_as_the_script_would_show_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.groovy");
    for (script, value) in [
        ("class A { String toString() { 'A!' } }\n[\"x ${new A()}\", new A()]", "[x A!, A!]\n"),
        ("\"${-> 'lazy'}\"", "lazy\n"),
        ("null", "null\n"),
    ] {
        std::fs::write(&file, script).unwrap();
        let ran = run(&["groovy", "--value", file.to_str().unwrap()]);
        assert_eq!((ran.stdout.as_str(), ran.code), (value, 0), "{ran:?}");
    }
    assert_eq!(run(&["lint", dir.path().to_str().unwrap()]).code, 2, "a folder is no definition");
}

#[test]
fn plan_says_what_would_run_where_and_runs_nothing() {
    let project = Project::new(
        "pipeline { agent none\n stages {\n stage('A') { agent { docker 'test.invalid/none:1' } steps { sh 'touch ran' } }\n \
         stage('B') { agent { docker { image 'x:1'; args '--privileged' } } steps { echo 'x' } }\n \
         stage('C') { when { branch 'never' } agent any steps { echo 'x' } } } }\n",
    );
    let ran = run(&["plan", "--output", "json", project.path().to_str().unwrap()]);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let jobs = plan["jobs"].as_array().unwrap();
    assert_eq!(jobs[0]["image"], "test.invalid/none:1");
    assert_eq!(jobs[0]["present"], false);
    assert_eq!(jobs[0]["rung"], "container");
    assert!(jobs[1]["why"].as_str().unwrap().contains("--privileged"), "{plan}");
    assert_eq!(jobs[1]["rung"], "microvm");
    let refused = jobs[1]["refused"].is_string();
    assert_eq!(refused, jobs[1]["driver"].is_null(), "{plan}");
    assert!(plan.to_string().contains("skipped due to when conditional"), "{plan}");
    assert!(!project.path().join("ran").exists());
    assert_eq!(ran.code, if refused { 7 } else { 0 }, "a job that cannot be had here decides the exit code");
}

/// Nobody is asked: there is no such socket.
#[test]
fn plan_knows_of_engines_elsewhere_and_of_monitors() {
    let project =
        Project::new("pipeline { agent { docker 'test.invalid/a:1' } stages { stage('A') { steps { sh 'make' } } } }");
    let path = project.path().to_str().unwrap();
    for (option, driver) in [("--docker", "docker"), ("--swarm", "swarm")] {
        let nowhere = [option, "unix:///no/such.sock", "--docker-shared"];
        let ran = run(&[&["plan", "--output", "json", "--network", "none"], &nowhere[..], &[path]].concat());
        let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let job = &plan["jobs"][0];
        assert_eq!((&job["driver"], &job["rung"], ran.code), (&driver.into(), &"container".into(), 0), "{plan}");
        let named = ["--docker-network", "builds", "--rung", "microvm"];
        let why = run(&[&["why"], &nowhere[..], &named, &[path]].concat());
        let against = format!("not {driver}: rung container is below microvm");
        assert!(why.stdout.contains(&against), "{why:?}");
        // Where sandboxes of this host would have one.
        let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        if rustix::process::geteuid().is_root() && resolvers.contains("nameserver") {
            let ran = run(&[&["plan"], &nowhere[..], &[path]].concat());
            assert!(ran.code == 2 && ran.stderr.contains("--docker-network NAME"), "{ran:?}");
        }
    }
    assert_eq!(run(&["plan", "--docker", "no endpoint", path]).code, 2);
    let nowhere =
        crate::project::cofferdam().args(["plan", "--monitor", "firecracker", path]).env("PATH", "/none").output();
    assert_eq!(nowhere.unwrap().status.code(), Some(2));
}

/// That an engine is this machine's is known of its address.
#[test]
fn plan_refuses_an_engine_as_a_run_does() {
    let project = Project::new(
        "pipeline { agent none\n stages {\n stage('A') { agent { docker 'test.invalid/a:1' } steps { sh 'make' } }\n \
         stage('B') { agent any\n steps { sh 'make' } } } }",
    );
    let path = project.path().to_str().unwrap();
    for engine in ["unix:///no/such.sock", "tcp://127.0.0.1:2376"] {
        for option in ["--docker", "--swarm"] {
            let words = [option, engine, "--docker-certs", "/no/certs", "--docker-network", "builds", path];
            let ran = run(&[&["plan", "--output", "json"], &words[..]].concat());
            let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            let (job, driver) = (&plan["jobs"][0], option.trim_start_matches('-'));
            let refused = job["refused"].as_str().unwrap_or_else(|| panic!("{plan}"));
            assert!(
                refused.contains(&format!("driver {driver}: ")) && refused.contains("--docker-shared"),
                "{refused}"
            );
            assert!(job["driver"].is_null() && ran.code == 7, "{plan}");
            assert_ne!(plan["jobs"][1]["refused"], job["refused"], "a job without an image is not for it: {plan}");
            let why = run(&[&["why"], &words[..]].concat()).stdout;
            assert!(why.contains("not container: another was asked for, and nothing is taken instead"), "{why}");
        }
    }
    let guide = include_str!("../../../../docs/guide/plan.md");
    let example = guide.lines().find_map(|line| line.strip_prefix("$ cofferdam ").filter(|it| it.contains("--docker")));
    let words: Vec<_> = example.unwrap().split(' ').chain([path]).collect();
    let ran = run(&words);
    assert!(ran.stdout.contains("test.invalid/a:1 on rung container, to be pulled\n"), "{ran:?}");
}

#[test]
fn plan_keeps_what_branches_do_apart() {
    let project = Project::new(
        "pipeline { agent none\n options { skipDefaultCheckout() }\n stages { stage('P') { parallel {\n \
         stage('A') { agent { docker 'test.invalid/a:1' } steps { sh 'make a' } }\n \
         stage('B') { agent { docker 'test.invalid/b:1' } steps { sh 'make b' } } } } } }\n",
    );
    let path = project.path().to_str().unwrap();
    let lines = run(&["plan", path]).stdout;
    let lines: Vec<_> = lines.lines().map(|line| line.trim_end_matches(" on rung container, to be pulled")).collect();
    let expect = [
        "stage P",
        "  stage A",
        "    sandbox test.invalid/a:1",
        "    sh make a",
        "  stage B",
        "    sandbox test.invalid/b:1",
        "    sh make b",
    ];
    assert_eq!(lines, expect);
    let plan: serde_json::Value = serde_json::from_str(&run(&["plan", "--output", "json", path]).stdout).unwrap();
    assert_eq!((&plan["jobs"][1]["stage"], &plan["jobs"][1]["image"]), (&"P › B".into(), &"test.invalid/b:1".into()));
}

#[test]
fn plan_does_not_wait() {
    let project = Project::new("node { sleep 3600; timeout(5) { sh 'x' }; waitUntil { fileExists('f') } }\n");
    assert_eq!(run(&["plan", project.path().to_str().unwrap()]).code, 0);
    let polls = Project::new("node { while (sh(script: 'x', returnStatus: true) == 0) { sleep 60 } }\n");
    let ran = run(&["plan", polls.path().to_str().unwrap()]);
    assert!(ran.stderr.contains("the plan ends here"), "{ran:?}");
}

#[test]
fn plan_goes_on_behind_what_only_a_run_knows_and_says_so() {
    let project = Project::new(
        "pipeline { agent none\n stages {\n stage('A') { agent any\n steps { script { env.V = readFile('v').split(':')[1] } } }\n \
         stage('B') { agent { docker 'test.invalid/b:1' } steps { sh 'make' } } }\n post { failure { echo 'x' } } }\n",
    );
    let path = project.path().to_str().unwrap();
    let ran = run(&["plan", path]);
    assert!(ran.stdout.contains("test.invalid/b:1") && ran.stdout.contains("sh make"), "{ran:?}");
    assert!(ran.stderr.contains("something may be missing"), "{ran:?}");
    let ran = run(&["plan", "--output", "json", path]);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["jobs"][1]["image"], "test.invalid/b:1");
    assert!(plan["incomplete"].as_str().unwrap().contains("Index 1 out of bounds"), "{plan}");
    // What a credential or a program would say is a stand-in, and no variable that is missing.
    let told = Project::new(
        "pipeline { agent any\n environment { HUB = credentials('hub'); WHO = \"${HUB_USR}!\"; V = sh(script: 'x', returnStdout: true).trim(); NO = \"${env.CHANGE_ID ?: ''}\" }\n \
         stages { stage('A') { steps { sh \"push ${WHO} ${V} ${HUB_PSW} <${env.NO}>\" } } } }\n",
    );
    let ran = run(&["plan", told.path().to_str().unwrap()]);
    assert!(
        ran.stdout.contains("sh push user! V credential <null>") && ran.stdout.contains("credentials hub"),
        "{ran:?}"
    );
    let whole = Project::new("pipeline { agent any\n stages { stage('A') { steps { sh 'make' } } } }\n");
    let ran = run(&["plan", "--output", "json", whole.path().to_str().unwrap()]);
    assert!(!ran.stdout.contains("incomplete"), "{ran:?}");
    // Nothing fails, and what is left out is not known to be.
    for asks in [
        "if (sh(script: 'x', returnStdout: true).trim() == 'y') { node('other') { } }",
        "if (sh(script: 'x', returnStatus: true) != 0) { node('other') { } }",
        "if (readFile('x').contains('q')) { node('other') { } }",
        "findFiles(glob: '*.gradle').each { node('g') { } }",
        "if (input(message: 'x', parameters: [booleanParam(name: 'G')])) { node('other') { } }",
    ] {
        let project = Project::new(&format!("node {{ {asks} }}\n"));
        let ran = run(&["plan", "--output", "json", project.path().to_str().unwrap()]);
        let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(plan["incomplete"].as_str().is_some_and(|why| why.contains("may decide")), "{asks}: {plan}");
    }
}

#[test]
fn what_will_fail_is_said_before_anything_runs() {
    let definition = "pipeline { agent any\n stages { stage('A') { steps { script {\n nodeNames() } } } } }\n";
    let project = Project::new(definition);
    let warning = "warning: Jenkinsfile:3: the step \"nodeNames\" does not run here";
    let plan = run(&["plan", project.path().to_str().unwrap()]);
    assert!(plan.stderr.contains(warning), "{plan:?}");
    let ran = project.run(&[]);
    assert!(ran.stderr.starts_with(warning) && ran.code != 0, "{ran:?}");
}

#[test]
fn usage_errors_have_their_own_code() {
    assert_eq!(run(&["run", "--no-such-flag"]).code, 2);
    assert_eq!(run(&["run", "/no/such/folder"]).code, 2);
    let empty = tempfile::tempdir().unwrap();
    let ran = run(&["run", empty.path().to_str().unwrap()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("Jenkinsfile") && ran.stderr.contains("--file"), "{}", ran.stderr);
}

#[test]
fn clean_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("none");
    let ran = run(&["clean", "--home", home.to_str().unwrap()]);
    assert!(matches!(ran.code, 0 | 7) && !home.exists(), "{ran:?}");
}

#[test]
fn completion_and_man_know_every_command() {
    let bash = run(&["completion", "bash"]);
    assert!(bash.code == 0 && bash.stdout.contains("shell-on-failure"), "{bash:?}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", dir.path().to_str().unwrap()]).code, 0);
    assert!(dir.path().join("cofferdam-run.1").exists());
    assert!(run(&["man"]).stdout.contains(".TH"));
}

#[test]
fn image_commands_name_what_is_wrong() {
    let ran = run(&["image", "pull", "UPPER CASE"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = run(&["image", "rm", "test.invalid/none:9"]);
    assert_ne!(ran.code, 0);
}

#[test]
fn a_reader_that_goes_away_ends_no_command_badly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for words in [&["doctor"][..], &["completion", "bash"], &["man"], &["image", "ls"]] {
        let both = (writer.try_clone().unwrap(), writer.try_clone().unwrap());
        let ended = crate::project::cofferdam().args(words).stdout(both.0).stderr(both.1).status().unwrap();
        // A panic would be 101; a host that makes no sandboxes is 7.
        assert!(matches!(ended.code(), Some(0 | 7)), "{words:?}: {ended:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_whole_is_no_success() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let ended = crate::project::cofferdam().args(["completion", "bash"]).stdout(full).status().unwrap();
    assert_eq!(ended.code(), Some(7));
}

#[test]
fn a_project_may_bring_steps_of_its_own() {
    let project = Project::new("tellTeam 'x'\nnode { echo \"n=${countWords(text: 'a b')}\" }\n");
    project
        .write(
            ".cofferdam/steps/tellTeam.toml",
            "groovy = 'tell.groovy'\n[parameters]\nmessage = { required = true }\n",
        )
        .write(".cofferdam/steps/tell.groovy", "def call(Map args) { echo \"told ${args.message}\" }\n")
        .write("more/countWords.toml", "exec = 'count.sh'\noutput = 'json'\n[parameters]\ntext = { type = 'string' }\n")
        .write("more/count.sh", "echo \"$ARG_text\" | wc -w\n");
    let (file, more) = (project.path().join("Jenkinsfile"), project.path().join("more"));
    let lint = |words: &[&str]| run(&[&["lint", file.to_str().unwrap()], words].concat());
    assert_eq!(lint(&["--steps", more.to_str().unwrap()]).code, 0);
    let without = lint(&[]);
    assert!(without.code == 5 && without.stdout.contains("unknown step \"countWords\""), "{without:?}");
    let plan = run(&["plan", project.path().to_str().unwrap(), "--steps", more.to_str().unwrap()]);
    assert_eq!(plan.code, 0, "{plan:?}");
    project.write("more/countWords.toml", "exec = '../x'\n");
    let wrong = lint(&["--steps", more.to_str().unwrap()]);
    assert!(wrong.code == 5 && wrong.stderr.contains("no plain text file"), "{wrong:?}");
    if sandboxes_work() {
        project.write(
            "more/countWords.toml",
            "exec = 'count.sh'\noutput = 'json'\n[parameters]\ntext = { type = 'string' }\n",
        );
        let ran = project.run(&["--steps", more.to_str().unwrap()]);
        assert!(ran.code == 0 && ran.stdout.contains("told x") && ran.stdout.contains("n=2"), "{ran:?}");
    }
}

#[test]
fn a_run_names_its_pages_as_one_of_a_server_would() {
    let project = Project::new("echo \"<${BUILD_URL}> ${JENKINS_URL} ${env.JOB_URL} ${currentBuild.absoluteUrl}\"\n");
    let shown = |args: &[&str]| project.run(args).stdout;
    let (job, url) = ("team/app", "http://localhost/job/team/job/app/");
    let own = shown(&["--job-name", job, "--build-number", "7"]);
    assert!(own.contains(&format!("<{url}7/> http://localhost/ {url} {url}7/")), "{own}");
    let told = shown(&["--job-name", job, "-e", "BUILD_URL=https://ci.example/7"]);
    assert!(told.contains("<https://ci.example/7> http://localhost/"), "{told}");
}

#[test]
fn a_node_has_its_own_name_for_a_label() {
    let project = Project::new("node { echo \"<$NODE_LABELS>\" }\nnode('linux') { echo \"<$NODE_LABELS>\" }\n");
    let shown = project.run(&[]).stdout;
    assert!(shown.contains("<built-in>\n") && shown.contains("<built-in linux>\n"), "{shown}");
}
