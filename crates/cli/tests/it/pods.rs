//! Pods of Kubernetes: containers that share a workspace and an address.

use crate::images::busybox_image;
use crate::project::{Project, sandboxes_work};

/// Serves the variable `WORD` and its folder on port 80.
const SERVER: (&str, &str) =
    ("serve", "#!/bin/sh\nwhile true; do echo \"$WORD in $(pwd) as $(id -u)\" | nc -l -p 80; done\n");
/// Asks until it is answered.
const ASK: &str = "until busybox nc 127.0.0.1 80 < /dev/null 2> /dev/null; do :; done";

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
