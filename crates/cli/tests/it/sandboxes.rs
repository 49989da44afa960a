//! Images: what users of Jenkins' docker agent expect of them.

use crate::images::{busybox_image, import};
use crate::project::{Project, finish, sandboxes_work};

fn pipeline(agent: &str, steps: &str) -> Project {
    Project::new(&format!(
        "pipeline {{\n agent {{ docker {agent} }}\n options {{ skipDefaultCheckout() }}\n stages {{ stage('S') {{ steps {{\n{steps}\n}} }} }}\n}}\n"
    ))
}

/// Runs steps in a busybox image with that config and expects lines.
fn check(name: &str, config: &str, agent: &str, steps: &str, expect: &[&str]) {
    if !sandboxes_work() {
        return;
    }
    let entrypoint =
        [("entry.sh", "#!/bin/sh\necho ran > /tmp/entry\nexec \"$@\"\n"), ("wrong.sh", "#!/bin/sh\nexit 3\n")];
    let Some(image) = busybox_image(name, config, &entrypoint) else { return };
    let ran = pipeline(&agent.replace("IMAGE", &image), steps).run(&[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for line in expect {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
}

#[test]
fn the_image_runs_as_an_unprivileged_user_with_a_home() {
    check(
        "plain",
        r#"{"Env":["PATH=/bin","FROM_IMAGE=yes"]}"#,
        "'IMAGE'",
        "sh 'id; echo \"$FROM_IMAGE\"; touch \"$HOME/x\" file; whoami'",
        &["uid=1000", "yes", "jenkins"],
    );
}

#[test]
fn users_by_name_and_number_and_root() {
    let config = r#"{"User":"builder","Env":["PATH=/bin"]}"#;
    check("user", config, "{ image 'IMAGE'; args '-u builder' }", "sh 'id; touch x'", &["uid=1234(builder)"]);
    check("user", config, "{ image 'IMAGE'; args '-u 4321:99' }", "sh 'id; touch x'", &["uid=4321", "gid=99"]);
    check(
        "user",
        config,
        "{ image 'IMAGE'; args '-u root' }",
        "sh 'id; touch /etc/x /x; cat /proc/self/status | grep CapBnd'",
        &["uid=0(root)"],
    );
}

#[test]
fn entry_points_do_not_stand_in_the_way() {
    check("entry", r#"{"Entrypoint":["/entry.sh"],"Env":["PATH=/bin"]}"#, "'IMAGE'", "sh 'echo step'", &["step"]);
    check("wrong", r#"{"Entrypoint":["/wrong.sh"],"Env":["PATH=/bin"]}"#, "'IMAGE'", "sh 'echo step'", &["step"]);
    check(
        "cleared",
        r#"{"Entrypoint":["/wrong.sh"],"Env":["PATH=/bin"]}"#,
        "{ image 'IMAGE'; args '--entrypoint=\"\"' }",
        "sh 'echo step'",
        &["step"],
    );
}

/// CVE-2021-29136, CVE-2021-41103, CVE-2022-23648: what an image says of itself is data, and no path of the host is made of it.
#[test]
fn a_hostile_configuration_reaches_no_path_of_the_host() {
    if !sandboxes_work() {
        return;
    }
    let canary = tempfile::tempdir().unwrap();
    let out = format!("/..{}", "/..".repeat(20)) + canary.path().to_str().unwrap();
    let configs = [
        format!(r#"{{"Volumes":{{"{out}/made":{{}}}},"Env":["PATH=/bin"]}}"#),
        format!(
            r#"{{"WorkingDir":"{out}/made","Entrypoint":["/bin/sh","-c","touch {out}/made"],"Env":["PATH=/bin"]}}"#
        ),
        format!(r#"{{"User":"{out}/made","Env":["PATH=/bin","HOME={out}/made"]}}"#),
        r#"{"User":"../../root:../..","Env":["=","PATH=/bin"]}"#.to_owned(),
    ];
    let mut worked = 0;
    for (number, config) in configs.iter().enumerate() {
        let Some(image) = busybox_image(&format!("hostile{number}"), config, &[]) else { return };
        for agent in [format!("'{image}'"), format!("{{ image '{image}'; args '-w {out}/made --entrypoint /bin/sh' }}")]
        {
            let ran = pipeline(&agent, "sh 'echo $((40 + 2)) steps'").run(&[]);
            let told = ran.code == 0 && ran.stdout.contains("42 steps") || matches!(ran.code, 1 | 2 | 7);
            assert!(told && !ran.stderr.contains("panicked"), "{config}: {ran:?}");
            worked += usize::from(ran.code == 0);
            assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 0, "{config}");
        }
    }
    assert!(worked >= configs.len(), "{worked} of {} runs worked", configs.len() * 2);
}

#[test]
fn the_working_directory_is_that_of_the_entry_point_and_steps_run_in_the_workspace() {
    check(
        "workdir",
        r#"{"Entrypoint":["/bin/sh","-c","pwd > $HOME/where"],"Env":["PATH=/bin"]}"#,
        "{ image 'IMAGE'; args '-w /some/where' }",
        "sh 'i=0; until test -s $HOME/where || test $i -gt 99999; do i=$((i+1)); done; echo entry in $(cat $HOME/where), step in $PWD'",
        &["entry in /some/where, step in /workspace/"],
    );
}

#[test]
fn a_file_system_of_no_size_is_not_one_without_a_limit() {
    for size in ["0", "0.5b"] {
        check(
            "nosize",
            r#"{"Env":["PATH=/bin"]}"#,
            &format!("{{ image 'IMAGE'; args '--tmpfs /t:size={size} -v /data' }}"),
            "sh 'touch /data/x; if dd if=/dev/zero of=/t/x bs=1024 count=1000; then echo written; else echo full; fi'",
            &["] full"],
        );
    }
}

#[test]
fn harmless_args_are_honoured() {
    let agent = "{ image 'IMAGE'; args '-e A=1 --tmpfs /scratch:size=1m --hostname box --add-host db:10.9.8.7' }";
    check(
        "args",
        r#"{"Env":["PATH=/bin"]}"#,
        agent,
        "sh 'echo \"a=$A\"; touch /scratch/x; cat /etc/hosts'",
        &["a=1", "10.9.8.7"],
    );
}

#[test]
fn args_that_reach_for_the_host_are_refused_with_the_rung() {
    if !sandboxes_work() {
        return;
    }
    // A store without a guest: nothing there can honour them.
    let home = tempfile::tempdir().unwrap();
    let project = pipeline("{ image 'test.invalid/refused:1'; args '-v /:/host --privileged' }", "sh 'ls /host'");
    let ran = finish(project.command(&[]).env("COFFERDAM_HOME", home.path()).output().unwrap());
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.stdout.contains("microvm") || ran.stderr.contains("microvm"), "{ran:?}");
}

#[test]
fn an_image_without_a_shell_says_so() {
    if !sandboxes_work() {
        return;
    }
    let empty = import("empty", "{}", &tar::Builder::new(Vec::new()).into_inner().unwrap());
    let ran = pipeline(&format!("'{empty}'"), "sh 'true'").run(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("`sh` is not in") || ran.stderr.contains("`sh` is not in"), "{ran:?}");
}

#[test]
fn reuse_node_shares_the_workspace_and_other_jobs_do_not() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("reuse", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let project = Project::new(&format!(
        "pipeline {{ agent any\n options {{ skipDefaultCheckout() }}\n stages {{\n \
         stage('A') {{ steps {{ sh 'echo outer > f' }} }}\n \
         stage('B') {{ agent {{ docker {{ image '{image}'; reuseNode true }} }} steps {{ sh 'cat f; echo inner > g' }} }}\n \
         stage('C') {{ steps {{ sh 'cat g' }} }}\n \
         stage('D') {{ agent {{ docker '{image}' }} steps {{ sh 'ls; test ! -e f' }} }} }} }}\n"
    ));
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("outer") && ran.stdout.contains("inner"));
}

#[test]
fn inside_runs_a_body_in_an_image() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("inside", r#"{"Env":["PATH=/bin"]}"#, &[]) else { return };
    let project = Project::new(&format!(
        "node {{ sh 'echo out > f'; docker.image('{image}').inside {{ sh 'cat f; ls /bin/busybox' }} }}\n"
    ));
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("out") && ran.stdout.contains("/bin/busybox"));
}

#[test]
fn nothing_of_the_host_is_in_a_sandbox() {
    if !sandboxes_work() {
        return;
    }
    let canary = tempfile::NamedTempFile::new().unwrap();
    let path = canary.path().display();
    let home = std::env::var("HOME").unwrap();
    let ran = Project::steps(&format!(
        "sh 'test ! -e {path}; test ! -e {home}/.ssh; test ! -e /var/lib/dpkg; env; ls /proc | grep -c \"^[0-9]\"'"
    ))
    .command(&[])
    .env("SECRET_OF_THE_HOST", "canary-7")
    .output()
    .unwrap();
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && !out.contains("canary-7"), "{out}");
}

#[test]
fn a_workspace_may_lie_where_only_root_makes_folders() {
    if !sandboxes_work() {
        return;
    }
    let steps = "ws('/var/lib/jenkins/ws') { sh 'pwd; id -u; touch x; test ! -w /var/lib'; writeFile file: \"${pwd(tmp: true)}/y\", text: 'y' }
        ws('/etc') { sh 'test ! -w /etc && echo kept' }";
    let image = busybox_image("elsewhere", r#"{"Env":["PATH=/bin"]}"#, &[]);
    let agents = [Some("agent any".to_owned()), image.map(|image| format!("agent {{ docker '{image}' }}"))];
    for agent in agents.into_iter().flatten() {
        let file = format!(
            "pipeline {{ {agent}\n options {{ skipDefaultCheckout() }}\n stages {{ stage('S') {{ steps {{ {steps} }} }} }} }}\n"
        );
        let ran = Project::new(&file).run(&[]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("/var/lib/jenkins/ws\n") && ran.stdout.contains("kept"), "{}", ran.stdout);
    }
    // Branches want the same one, and what is emptied stays.
    let ran = Project::steps(
        "script { parallel((1..4).collectEntries { [\"b$it\".toString(), { ws('/srv/one') { sh 'touch x' } }] }) }
         ws('/srv/one') { deleteDir(); sh 'test ! -e x && touch y && echo emptied' }",
    )
    .run(&[]);
    assert!(ran.code == 0 && ran.stdout.contains("emptied\n"), "{}\n{}", ran.stdout, ran.stderr);
    let custom = "pipeline { agent { node { label 'x'; customWorkspace '/home/jenkins/ws' } }\n stages { stage('S') { steps { sh 'ls; pwd' } } } }\n";
    let ran = Project::new(custom).run(&[]);
    assert!(
        ran.code == 0 && ran.stdout.contains("Jenkinsfile") && ran.stdout.contains("/home/jenkins/ws\n"),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
}
