//! Credentials from files, flags and variables, in real sandboxes: there for a block, and shown nowhere.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::project::{Project, Ran, finish, run, sandboxes_work};

const FILE: &str = r#"
[token]
kind = "string"
value = "tok-5ecret-12345"

[hub]
kind = "username-password"
username = "bob"
password-env = "HUB_PASSWORD"

[settings]
kind = "file"
name = "settings.xml"
value = "<password>long-enough-to-mask</password>\n"

[deploy]
kind = "ssh-key"
username = "git"
value-file = "deploy.key"
passphrase = "open-sesame"

[unset]
kind = "string"
value-env = "COFFERDAM_TEST_NOT_SET"
"#;

/// Runs a pipeline that is given [`FILE`].
fn run_with(definition: &str, args: &[&str]) -> Ran {
    let project = Project::new(definition);
    project.write("secrets/c.toml", FILE).write("secrets/deploy.key", "the key\n");
    let file = project.path().join("secrets/c.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = project.command(args);
    command.env("HUB_PASSWORD", "hub-pa55word").arg("--credentials").arg(file);
    finish(command.output().unwrap())
}

fn lacks_secrets(ran: &Ran) {
    for secret in ["tok-5ecret", "hub-pa55word", "long-enough-to-mask", "open-sesame", "dG9rLTVlY3JldC0xMjM0NQ"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret}: {ran:?}");
    }
}

/// Everything that a run says, with whatever a program makes of a value.
const NOISY: &str = r#"node {
    withCredentials([string(credentialsId: 'token', variable: 'T'),
        usernamePassword(credentialsId: 'hub', usernameVariable: 'U', passwordVariable: 'P'),
        file(credentialsId: 'settings', variable: 'F')]) {
        sh 'echo "$T $U:$P"; printf %s "$T" | base64; cat "$F"; stat -c "mode %a" "$F" "$(dirname "$F")"; dirname "$F" > at'
        sh "echo '${T}' # in the script itself"
        echo sh(script: 'echo "$P"', returnStdout: true)
        writeFile file: 'x.txt', text: T
        try { error "failed with $P" } catch (e) { echo "caught ${e.message}" }
        stage("named $T") { catchError { sh(label: "labelled $P", script: 'exit 1') } }
    }
    sh 'test "$(cat x.txt)" = tok-5ecret-12345; test ! -e "$(cat at)" && echo it is gone'
    echo "after: ${env.T}"
}
"#;

#[test]
fn secrets_are_in_sandboxes_and_in_nothing_that_is_shown() {
    if !sandboxes_work() {
        return;
    }
    for args in [["--progress", "jenkins"], ["--progress", "plain"], ["--output", "json"]] {
        let ran = run_with(NOISY, &args);
        lacks_secrets(&ran);
        let says = [
            "Masking supported pattern matches of $T or $P or $F",
            "**** ****",
            "mode 400",
            "mode 700",
            "caught failed with ****",
            "it is gone",
            "after: null",
        ];
        for text in says {
            assert!(ran.stdout.contains(text), "no {text:?} in:\n{}\n{}", ran.stdout, ran.stderr);
        }
        if args[0] == "--output" {
            let lines = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let used: Vec<_> = lines.filter(|line| line["event"] == "credential_used").collect();
            let kinds: Vec<_> =
                used.iter().map(|line| (line["id"].as_str().unwrap(), line["kind"].as_str().unwrap())).collect();
            assert_eq!(kinds, [("token", "string"), ("hub", "username-password"), ("settings", "file")]);
            assert!(used.iter().all(|line| line["step"].is_u64()) && used[2]["job"].is_u64(), "{used:?}");
        }
    }
}

#[test]
fn environment_and_flags_give_credentials() {
    if !sandboxes_work() {
        return;
    }
    let definition = "pipeline { agent any\n environment { A = credentials('hub'); K = credentials('deploy'); X = credentials('from-env'); Y = credentials('of-var'); Z = credentials('short') }\n \
        stages { stage('s') { steps {\n sh 'test $A = bob:hub-pa55word && test $A_USR-$A_PSW = bob-hub-pa55word && test $X = of-the-flag && test $Y = of-the-variable'\n \
        sh 'test \"$(cat $K)\" = \"the key\" && test $K_USR-$K_PSW = git-open-sesame; echo fine' } } } }";
    let project = Project::new(definition);
    project.write("c.toml", FILE).write("deploy.key", "the key\n");
    let file = project.path().join("c.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = project.command(&[
        "--progress",
        "jenkins",
        "--credential",
        "from-env=env:GIVEN",
        "--credential",
        "short=env:SHORT",
    ]);
    command.env("HUB_PASSWORD", "hub-pa55word").env("GIVEN", "of-the-flag").env("SHORT", "ab");
    command.env("COFFERDAM_CREDENTIAL_OF_VAR", "of-the-variable").arg("--credentials").arg(&file);
    let ran = finish(command.output().unwrap());
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    lacks_secrets(&ran);
    assert!(
        ran.stdout.contains("Masking supported pattern matches of $A or $A_PSW or $K or $K_PSW or $X"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("fine") && ran.stdout.contains("'short' is too short to be masked"), "{}", ran.stdout);
}

#[test]
fn what_is_missing_says_how_it_is_given() {
    let ask = |id: &str| format!("withCredentials([string(credentialsId: '{id}', variable: 'X')]) {{ echo 'never' }}");
    let ran = run_with(&ask("no-such"), &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    for text in [
        "Could not find credentials entry with ID 'no-such'",
        "--credential 'no-such=env:NAME'",
        "COFFERDAM_CREDENTIAL_NO_SUCH",
    ] {
        assert!(ran.stdout.contains(text), "{text}: {ran:?}");
    }
    let ran = run_with(&ask("unset"), &[]);
    assert!(ran.code == 4 && ran.stdout.contains("the variable COFFERDAM_TEST_NOT_SET is not set"), "{ran:?}");
    let project = Project::new("echo 'x'");
    project.write("c.toml", FILE);
    let file = project.path().join("c.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = project.run(&["--credentials", file.to_str().unwrap()]);
    assert!(ran.code == 4 && ran.stderr.contains("others may read") && ran.stderr.contains("chmod 600"), "{ran:?}");
    assert_eq!(project.run(&["--credential", "x=secret"]).code, 2);
}

#[test]
fn the_default_file_is_used_but_not_for_strangers() {
    let project = Project::new("withCredentials([string(credentialsId: 'token', variable: 'X')]) { echo \"<$X>\" }");
    project.write("config/cofferdam/credentials.toml", FILE);
    let file = project.path().join("config/cofferdam/credentials.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = |args: &[&str]| {
        let mut command = project.command(args);
        finish(command.env("XDG_CONFIG_HOME", project.path().join("config")).output().unwrap())
    };
    let ran = run(&[]);
    assert!(ran.code == 0 && ran.stdout.contains("<****>"), "{ran:?}");
    let ran = run(&["--trust", "stranger"]);
    assert!(ran.code == 4 && ran.stdout.contains("Could not find credentials entry"), "{ran:?}");
}

#[test]
fn an_ssh_agent_holds_the_key_for_the_block() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "node { sshagent(['deploy']) { sh 'ssh-add -l; test -S \"$SSH_AUTH_SOCK\"; echo \"$SSH_AUTH_SOCK\" > at' }\n sh 'test ! -e \"$(cat at)\"; ! pgrep ssh-agent; echo it is gone' }",
    );
    let key = project.path().join("deploy.key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "open-sesame", "-C", "of-a-test", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: ssh-keygen is not installed");
        return;
    }
    project.write("c.toml", FILE);
    let file = project.path().join("c.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ran = project.run(&["--progress", "jenkins", "--credentials", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for text in ["[ssh-agent] Using credentials git", "of-a-test (ED25519)", "it is gone", "[ssh-agent] Stopped."] {
        assert!(ran.stdout.contains(text), "no {text:?} in:\n{}\n{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_plan_says_which_credentials_are_asked_for() {
    let project = Project::new(
        "pipeline { agent any\n environment { A = credentials('a') }\n stages { stage('s') { steps { script { def id = 'b'\n withCredentials([string(credentialsId: id, variable: 'B')]) { sh 'x' }\n if (env.NEVER) { sshagent(['c']) { } } } } } } }",
    );
    let path = project.path().to_str().unwrap();
    let ran = run(&["plan", path]);
    assert!(ran.code == 0 && ran.stdout.ends_with("credentials a (line 2), c (line 5), b\n"), "{ran:?}");
    let ran = run(&["plan", "--output", "json", path]);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!([{ "name": "a", "line": 2 }, { "name": "c", "line": 5 }, { "name": "b" }]);
    assert_eq!(plan["credentials"], expected);
}

/// No credential, but something that a script has found out: shown nowhere from then on.
#[test]
fn what_a_script_masks_is_shown_nowhere() {
    if !sandboxes_work() {
        return;
    }
    let project = Project::new(
        "node { sh 'set +x; printf found-out- > token; echo by-a-script >> token'
         def known = sh(script: 'cat token', returnStdout: true).trim()
         wrap([$class: 'MaskPasswordsBuildWrapper', varPasswordPairs: [[var: 'T', password: known]]]) {
             sh 'echo it is $(cat token)'; echo \"known: ${known}\" }
         sh 'base64 token'; error \"with ${known}\" }",
    );
    let ran = project.run(&["--progress", "jenkins"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("it is ****") && ran.stdout.contains("known: ****"), "{ran:?}");
    for text in ["found-out-by-a-script", "Zm91bmQtb3V0LWJ5LWEtc2NyaXB0"] {
        assert!(!ran.stdout.contains(text) && !ran.stderr.contains(text), "{ran:?}");
    }
}
