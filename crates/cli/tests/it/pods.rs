//! Pods of Kubernetes: containers that share a workspace and an address.

use crate::images::busybox_image;
use crate::project::{Project, run, sandboxes_work};

/// Serves the variable `WORD` and its folder on port 80.
pub const SERVER: (&str, &str) =
    ("serve", "#!/bin/sh\nwhile true; do echo \"$WORD in $(pwd) as $(id -u)\" | nc -l -p 80; done\n");
/// Asks until it is answered: whoever is heard before the answer is there is sent none.
const ASK: &str = "until busybox nc 127.0.0.1 80 < /dev/null 2> /dev/null | busybox grep .; do :; done";

#[test]
fn a_service_is_reached_by_the_other_containers_and_by_nobody_else() {
    if !sandboxes_work() {
        return;
    }
    let config = r#"{"Env":["PATH=/bin","WORD=image"],"Entrypoint":["/serve"],"WorkingDir":"/etc"}"#;
    let Some(image) = busybox_image("service", config, &[SERVER]) else { return };
    let vain = "for i in 1 2 3 4 5 6 7 8 9 10; do busybox nc 127.0.0.1 80 < /dev/null 2> /dev/null && exit 1; done; echo nobody there";
    let project = Project::new(&format!(
        "pipeline {{
          agent {{ kubernetes {{ yaml \"\"\"
spec:
  containers:
  - {{ name: db, image: '{image}' }}
  - {{ name: tool, image: '{image}', command: [cat], tty: true }}
  - {{ name: user, image: '{image}', command: [/bin/sleep, 99d], securityContext: {{ runAsUser: 1234 }} }}
\"\"\" }} }}
          options {{ skipDefaultCheckout() }}
          stages {{ stage('S') {{ steps {{
            sh 'echo node: $({ASK})'
            container('tool') {{ sh 'echo tool: $({ASK})' }}
            container('db') {{ sh 'echo db: $({ASK}); echo of root > file' }}
            container('user') {{ sh 'echo user: $({ASK}); echo of $(id -u) > of-user' }}
            sh 'cat file of-user; echo mine > of-node'
            script {{
              node {{ sh '{vain}' }}
              podTemplate(containers: [containerTemplate(name: 'other', image: '{image}', command: 'cat')]) {{
                node(POD_LABEL) {{ container('other') {{ sh 'echo other: $({vain})' }} }}
              }}
            }}
          }} }} }}
        }}"
    ));
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let answered = "image in /etc as 0";
    for line in ["node: ", "tool: ", "db: ", "user: "].map(|who| format!("{who}{answered}")) {
        assert!(ran.stdout.contains(&line), "`{line}` is not in:\n{}", ran.stdout);
    }
    for line in ["other: nobody there", "of root", "of 1234"] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
}

#[test]
fn a_container_runs_what_the_pod_says_and_its_end_is_told() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("said", r#"{"Env":["PATH=/bin","WORD=image"]}"#, &[SERVER]) else { return };
    let project = Project::new(&format!(
        "podTemplate(envVars: [envVar(key: 'WORD', value: 'template')], yaml: \"\"\"
spec:
  containers:
  - {{ name: web, image: '{image}', command: [sh], args: ['-c', 'exec /serve'], workingDir: /srv/web, env: [{{ name: WORD, value: pod }}] }}
  - {{ name: broken, image: '{image}', command: [sh, -c, 'echo why; exit 7'] }}
\"\"\") {{ node(POD_LABEL) {{ sh 'echo node: $({ASK})' }} }}"
    ));
    let ran = project.run(&[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("node: pod in /srv/web as 0"), "{}", ran.stdout);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    for line in ["container broken: its command has ended (exit code 7)", "container broken: why"] {
        assert!(all.contains(line), "`{line}` is not in:\n{all}");
    }
    let project = Project::new(&format!(
        "podTemplate(containers: [containerTemplate(name: 'x', image: '{image}', command: '/no/such')]) {{ node(POD_LABEL) {{ echo 'x' }} }}"
    ));
    let ran = project.run(&[]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("container x of the pod: cannot start /no/such"), "{all}");
}

/// A pod with a container that waits for steps, and one that serves.
pub fn template(image: &str) -> String {
    format!(
        "kind: Pod
metadata: {{ annotations: {{ jenkins/label: 'jenkins-maven java' }} }}
spec:
  containers:
  - {{ name: maven, image: '{image}', command: [cat], env: [{{ name: GOALS, value: verify }}] }}
  - {{ name: web, image: '{image}', command: [/serve] }}
"
    )
}

#[test]
fn a_template_that_is_named_is_what_a_label_means_and_what_is_inherited_from() {
    if !sandboxes_work() {
        return;
    }
    let Some(image) = busybox_image("named", r#"{"Env":["PATH=/bin","WORD=served"]}"#, &[SERVER]) else { return };
    let project = Project::new(&format!(
        "pipeline {{
          agent {{ label 'jenkins-maven' }}
          options {{ skipDefaultCheckout() }}
          stages {{
            stage('label') {{ steps {{ sh 'echo by label: $({ASK}) > f'; container('maven') {{ sh 'cat f; echo goals $GOALS' }} }} }}
            stage('inherited') {{
              agent {{ kubernetes {{ inheritFrom 'maven'; defaultContainer 'maven'; yaml \"\"\"
spec: {{ containers: [{{ name: maven, env: [{{ name: GOALS, value: test }}] }}] }}
\"\"\" }} }}
              steps {{ sh 'echo goals $GOALS as $(id -u)' }}
            }}
          }}
        }}"
    ));
    project.write("maven.yaml", &template(&image)).write("none.yaml", "kind: Pod\n");
    let flag = |name: &str, file: &str| format!("--pod-template={name}={}", project.path().join(file).display());
    let ran = project.run(&[&flag("maven", "maven.yaml")]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for line in ["by label: served in / as 0", "goals verify", "goals test as 0"] {
        assert!(ran.stdout.contains(line), "`{line}` is not in:\n{}", ran.stdout);
    }
    let path = project.path().to_str().unwrap();
    let plan = run(&["plan", "--output", "json", "--network", "none", &flag("maven", "maven.yaml"), path]);
    let planned = serde_json::from_str::<serde_json::Value>(&plan.stdout).unwrap();
    let images: Vec<_> = planned["jobs"].as_array().unwrap().iter().map(|job| job["image"].as_str()).collect();
    let of_image = Some(image.as_str());
    assert_eq!(images, [None, of_image, of_image, None, of_image, of_image], "{plan:?}");
    let unknown = Project::new("node('jenkins-maven') { container('maven') { echo 'x' } }");
    let ran = unknown.run(&[]);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(ran.code == 1 && all.contains("container('maven') stands in no pod"), "{all}");
    assert!(all.contains("--pod-template jenkins-maven=FILE"), "{all}");
    let check = |flags: &[String], code: i32, says: &str| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let ran = project.run(&flags);
        assert!(ran.code == code && ran.stderr.contains(says), "{ran:?}");
    };
    check(&[flag("maven", "missing.yaml")], 2, "missing.yaml");
    check(&[flag("maven", "none.yaml")], 5, "none.yaml is no pod: it has no `spec`");
    check(&[flag("maven", "maven.yaml"), flag("maven", "maven.yaml")], 2, "have the same name");
    check(&["--pod-template=a b=c".to_owned()], 2, "NAME has no blanks");
}
