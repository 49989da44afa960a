//! Credentials: what a block gets, how it is masked, and that nothing of it stays.

use model::outcome::Outcome;
use model::request::Request;
use pipeline::conformance::{Fixture, HeldCredential};

use crate::engine_world::{Ran, World};

fn world() -> World {
    let of = |text: &str| text.to_owned();
    let user = |is_username_secret| HeldCredential::UsernamePassword {
        username: of("bob"),
        password: of("correct-horse"),
        is_username_secret,
    };
    let key = HeldCredential::SshKey { username: of("deployer"), key: of("the-key"), passphrase: of("open-sesame") };
    let credentials = [
        ("token", HeldCredential::Text(of("tok-12345"))),
        ("user", user(false)),
        ("hidden-user", user(true)),
        ("file", HeldCredential::File { name: of("settings.xml"), text: of("<settings/>") }),
        ("key", key),
        ("store", HeldCredential::Certificate),
    ];
    let credentials = credentials.map(|(id, held)| (of(id), held)).to_vec();
    World::new(Fixture { credentials, ..Fixture::default() })
}

fn run(source: &str) -> Ran {
    world().run(source).unwrap()
}

fn steps(statements: &str) -> Ran {
    run(&format!("node {{ {statements} }}"))
}

/// Folders that were made for files, and those that were taken away.
fn folders(ran: &Ran) -> (Vec<&str>, Vec<&str>) {
    let made = ran.requests.iter().filter_map(|request| match request {
        Request::Credential(wish) => wish.file.as_ref().map(|file| file.dir.as_str()),
        _ => None,
    });
    let gone = ran.requests.iter().filter_map(|request| match request {
        Request::DeleteDir { path, .. } => Some(path.as_str()),
        _ => None,
    });
    (made.collect(), gone.collect())
}

#[test]
fn values_are_in_variables_of_the_block_and_masked() {
    let ran = steps(
        "withCredentials([string(credentialsId: 'token', variable: 'TOKEN'),
            usernamePassword(credentialsId: 'user', usernameVariable: 'U', passwordVariable: 'P'),
            usernameColonPassword(credentialsId: 'user', variable: 'UP')]) {
            sh 'test $TOKEN = tok-12345 && test $P = correct-horse && test $UP = bob:correct-horse'
            echo \"${TOKEN} as $U with ${env.P}: ${UP.length()}\"
        }
        echo \"after: ${env.TOKEN}\"",
    );
    ran.is(Outcome::Success)
        .has("[Pipeline] withCredentials\nMasking supported pattern matches of $TOKEN or $P or $UP\n[Pipeline] {\n")
        .has("+ test **** = ****")
        .has("**** as bob with ****: 17")
        .has("[Pipeline] // withCredentials")
        .has("after: null")
        .lacks("tok-12345")
        .lacks("correct-horse");
    let ran = steps(
        "withCredentials([usernamePassword(credentialsId: 'hidden-user', usernameVariable: 'U', passwordVariable: 'P')]) { echo \"<$U>\" }",
    );
    ran.is(Outcome::Success).has("matches of $U or $P\n").has("<****>");
}

#[test]
fn bindings_may_be_maps_and_stand_in_a_variable() {
    let ran = steps(
        "def list = [[$class: 'StringBinding', credentialsId: 'token', variable: 'T']]
        list << [$class: 'org.jenkinsci.plugins.credentialsbinding.impl.UsernamePasswordMultiBinding', credentialsId: 'user', usernameVariable: 'U', passwordVariable: 'P']
        list << [$class: 'FileBinding', credentialsId: 'file', variable: 'F']
        withCredentials(list) { sh 'test $T = tok-12345 && test $U:$P = bob:correct-horse && cat $F' }",
    );
    ran.is(Outcome::Success).has("<settings/>").has("matches of $T or $P or $F");
}

#[test]
fn files_are_there_for_the_block_and_nobody_else() {
    let ran = steps(
        "withCredentials([file(credentialsId: 'file', variable: 'F'),
            sshUserPrivateKey(credentialsId: 'key', keyFileVariable: 'K', passphraseVariable: 'PP', usernameVariable: 'U'),
            certificate(credentialsId: 'store', keystoreVariable: 'S', passwordVariable: 'SP', aliasVariable: 'A')]) {
            echo \"$F $K\"
            sh '''stat -c '%a %n' $F $(dirname $F) $K | sed 's/ .*secretFiles/ /'
            test $(basename $F) = settings.xml && test $(basename $K) = ssh-key-K && test $(basename $S) = keystore-S
            case $F in $WORKSPACE_TMP/secretFiles/*) ;; *) exit 1 ;; esac
            test $PP = open-sesame && test $U = deployer && test $SP = of-the-store && test $A = mine && cat $F $K'''
        }",
    );
    ran.is(Outcome::Success).has("**** ****\n").has("400 /").has("700 /").has("<settings/>the-key");
    let (made, gone) = folders(&ran);
    assert_eq!(made.len(), 3);
    assert!(made.iter().all(|folder| gone.contains(folder)), "{made:?} {gone:?}");
}

#[test]
fn files_go_with_a_block_that_fails_and_with_one_that_is_aborted() {
    let block =
        |body: &str| format!("node {{ withCredentials([file(credentialsId: 'file', variable: 'F')]) {{ {body} }} }}");
    let failed = run(&block("error 'broken'"));
    failed.is(Outcome::Failure);
    let mut world = world();
    world.abort_at_ms = Some(5_000);
    let aborted = world.run(&block("sleep 60")).unwrap();
    aborted.is(Outcome::Aborted);
    // The second binding is missing: what the first has made goes, too.
    let missing = steps(
        "withCredentials([file(credentialsId: 'file', variable: 'F'), string(credentialsId: 'no', variable: 'N')]) { echo 'never' }",
    );
    missing.is(Outcome::Failure).lacks("never");
    for ran in [failed, aborted, missing] {
        let (made, gone) = folders(&ran);
        assert!(!made.is_empty() && made == gone, "{made:?} {gone:?}");
    }
}

#[test]
fn what_is_missing_or_of_another_kind_is_said_as_jenkins_does() {
    let fails = |source: &str, text: &str| {
        run(source).is(Outcome::Failure).has(text).lacks("[Pipeline] echo");
    };
    fails(
        "withCredentials([string(credentialsId: 'no', variable: 'X')]) { echo 'never' }",
        "ERROR: Could not find credentials entry with ID 'no'",
    );
    fails(
        "withCredentials([string(credentialsId: 'user', variable: 'X')]) { echo 'never' }",
        "ERROR: Credentials 'user' is of type 'Username with password' where 'org.jenkinsci.plugins.plaincredentials.StringCredentials' was expected",
    );
    fails(
        "withCredentials([file(credentialsId: 'file', variable: 'X')]) { echo 'never' }",
        "MissingContextVariableException: Required context class hudson.FilePath is missing",
    );
    fails(
        "withCredentials([string(credentialsId: 'token')]) { echo 'never' }",
        "Missing required parameter: \"variable\"",
    );
    fails(
        "node { withCredentials([dockerCert(credentialsId: 'x', variable: 'X')]) { echo 'never' } }",
        "dockerCert is not supported",
    );
    fails(
        "withCredentials([vaultString(credentialsId: 'x')]) { echo 'never' }",
        "binding ‘vaultString’ is not supported yet",
    );
    fails(
        "withCredentials([string(credentialsId: 'token', variable: 'a/b')]) { echo 'never' }",
        "not a name of a variable",
    );
    run("try { withCredentials([string(credentialsId: 'no', variable: 'X')]) { } } catch (hudson.AbortException e) { echo \"caught ${e.message}\" }")
        .is(Outcome::Success)
        .has("caught Could not find credentials entry with ID 'no'");
    // How a library asks whether there is one.
    let asks = "import org.jenkinsci.plugins.credentialsbinding.impl.CredentialNotFoundException
        def ask() { withCredentials([string(credentialsId: 'no', variable: 'X')]) { } }";
    run(&format!("{asks}\ntry {{ ask() }} catch (CredentialNotFoundException e) {{ echo 'fallback' }}"))
        .is(Outcome::Success)
        .has("fallback\n");
    run(&format!("{asks}\nretry(2) {{ ask() }}"))
        .is(Outcome::Failure)
        .has("ERROR: Could not find credentials entry with ID 'no'\n")
        .lacks("Execution failed");
}

#[test]
fn a_key_of_aws_is_a_user_name_and_a_password() {
    let shown =
        "sh 'test $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY = bob:correct-horse'; echo \"as $AWS_SECRET_ACCESS_KEY\"";
    let masked = "Masking supported pattern matches of $AWS_ACCESS_KEY_ID or $AWS_SECRET_ACCESS_KEY\n";
    for binding in [
        "[$class: 'AmazonWebServicesCredentialsBinding', credentialsId: 'user', accessKeyVariable: 'AWS_ACCESS_KEY_ID', secretKeyVariable: 'AWS_SECRET_ACCESS_KEY']",
        "aws(credentialsId: 'user')",
    ] {
        steps(&format!("withCredentials([{binding}]) {{ {shown} }}")).is(Outcome::Success).has(masked).has("as ****");
    }
    let source =
        format!("withAWS(credentials: 'user', region: 'eu-west-1') {{ {shown}; sh 'test $AWS_REGION = eu-west-1' }}");
    steps(&source).is(Outcome::Success).has(masked).has("as ****");
    steps("withCredentials([aws(credentialsId: 'user', roleArn: 'arn:x')]) { }")
        .is(Outcome::Failure)
        .has("takes on no role");
    steps("withAWS(role: 'x') { }").is(Outcome::Failure).has("withAWS(role: …) does not run here");
}

#[test]
fn environment_binds_whatever_the_credential_is() {
    let ran = run("pipeline { agent any
        environment { PLAIN = 'x'; T = credentials('token'); ID = 'us'; U = credentials(\"${ID}er\"); BOTH = \"$T-$U_PSW\" }
        stages { stage('a') { environment { F = credentials('file'); K = credentials('key') }
            steps {
                sh 'test $T = tok-12345 && test $U = bob:correct-horse && test $U_USR-$U_PSW = bob-correct-horse'
                sh 'test $BOTH = tok-12345-correct-horse && test $PLAIN$ID = xus && cat $F $K && test $K_USR:$K_PSW = deployer:open-sesame'
                echo \"$T $U $F $BOTH $PLAIN\"
            } } } }");
    ran.is(Outcome::Success)
        .has("Masking supported pattern matches of $T or $U or $U_PSW\n")
        .has("Masking supported pattern matches of $F or $K or $K_PSW or $K_USR\n")
        .has("<settings/>the-key")
        .has("**** **** **** ****-**** x\n");
    let (made, gone) = folders(&ran);
    assert!(made.iter().filter(|folder| gone.contains(folder)).count() >= 2, "{made:?} {gone:?}");
    run("pipeline { agent none; environment { S = credentials('store') }; stages { stage('a') { steps { echo 'never' } } } }")
        .is(Outcome::Failure)
        .has("No suitable binding handler could be found for type com.cloudbees.plugins.credentials.impl.CertificateCredentialsImpl")
        .lacks("never");
    run("pipeline { agent none; environment { S = credentials('no') }; stages { stage('a') { steps { echo 'never' } } } }")
        .is(Outcome::Failure)
        .has("Could not find credentials entry with ID 'no'");
}

#[test]
fn git_is_told_by_a_program() {
    let ran = steps(
        "withCredentials([gitUsernamePassword(credentialsId: 'user', gitToolName: 'Default')]) {
            sh 'test \"$($GIT_ASKPASS Password)\" = correct-horse && test $GIT_USERNAME = bob && test $GIT_TERMINAL_PROMPT = false' }",
    );
    ran.is(Outcome::Success).has("matches of $GIT_PASSWORD or $GIT_ASKPASS");
}

#[test]
fn a_registry_login_is_dockers_own_file_for_the_block() {
    for source in [
        "docker.withRegistry('https://r.example:5000', 'user') { sh 'cat $DOCKER_CONFIG/config.json' }",
        "withDockerRegistry(url: 'https://r.example:5000', credentialsId: 'user') { sh 'cat $DOCKER_CONFIG/config.json' }",
        "withDockerRegistry([url: 'https://r.example:5000', credentialsId: 'user']) { sh 'cat $DOCKER_CONFIG/config.json' }",
    ] {
        let ran = steps(&format!("{source}\n echo \"after: ${{env.DOCKER_CONFIG}}\""));
        ran.is(Outcome::Success).has("https://r.example:5000 bob").has("after: null");
        let (made, gone) = folders(&ran);
        assert!(made.len() == 1 && made == gone, "{source}: {made:?} {gone:?}");
    }
    steps("docker.withRegistry('https://r', 'no') { echo 'never' }")
        .is(Outcome::Failure)
        .has("with ID 'no'")
        .lacks("never");
}

/// Programs that say what they were given.
const AGENT: &str = "writeFile file: 'bin/ssh-agent', text: '''#!/bin/sh
case $1 in
-k) echo \"killed $SSH_AGENT_PID\" >> $WORKSPACE/said ;;
*) echo \"SSH_AGENT_PID=77; export SSH_AGENT_PID\" ;;
esac
'''
writeFile file: 'bin/ssh-add', text: '''#!/bin/sh
echo \"added $(cat $1) $COFFERDAM_PASSPHRASE\" >> $WORKSPACE/said
'''
sh 'chmod +x bin/*'";

#[test]
fn an_ssh_agent_has_the_keys_for_the_block() {
    let with = |body: &str| {
        steps(&format!(
            "{AGENT}\n try {{ withEnv([\"PATH=${{pwd()}}/bin:/usr/bin:/bin\"]) {{ {body} }} }} finally {{ echo \"said: ${{fileExists('said') ? readFile('said') : ''}}\" }}"
        ))
    };
    let ran = with("sshagent(['key']) { echo \"at $SSH_AUTH_SOCK\" }");
    ran.is(Outcome::Success)
        .has("[ssh-agent] Using credentials ****\n[ssh-agent] Started.\n[Pipeline] {")
        .has("/secretFiles/")
        .has("said: added the-key ****\nkilled 77\n")
        .has("[ssh-agent] Stopped.");
    let (made, gone) = folders(&ran);
    assert_eq!(made, gone);
    with("sshagent(credentials: ['key']) { error 'broken' }").is(Outcome::Failure).has("killed 77");
    with("sshagent(['no']) { echo 'never' }").is(Outcome::Failure).has("with ID 'no'").lacks("never");
    with("sshagent(credentials: ['no', 'key'], ignoreMissing: true) { echo 'in it' }")
        .is(Outcome::Success)
        .has("[ssh-agent] Could not find specified credentials with id: no")
        .has("in it")
        .has("said: added the-key");
}

#[test]
fn a_zip_step_is_no_binding_and_the_other_way_round() {
    let ran = steps("withCredentials([zip(credentialsId: 'user', variable: 'Z')]) { echo 'never' }");
    ran.is(Outcome::Failure).has("where 'org.jenkinsci.plugins.plaincredentials.FileCredentials' was expected");
}

/// What Jenkins manages is a credential of the same id.
#[test]
fn managed_files_are_credentials() {
    let ran = steps(
        "configFileProvider([configFile(fileId: 'file', variable: 'F'),
            [$class: 'ConfigFile', fileId: 'file', variable: 'G', targetLocation: 'conf/a.xml'],
            configFile(fileId: 'file', targetLocation: 'other/')]) {
            sh 'cat $F $G other/settings.xml; test $G = $PWD/conf/a.xml; case $F in $WORKSPACE_TMP/secretFiles/*) ;; *) exit 1 ;; esac; echo more >> $G'
            echo \"named ${env.COFFERDAM_FILE}\"
        }
        echo \"${env.F} ${fileExists('conf/a.xml')}\"
        withNPM(npmrcConfig: 'file') { sh 'cat .npmrc' }
        echo \"${fileExists('.npmrc')}\"",
    );
    ran.is(Outcome::Success)
        .has("<settings/><settings/><settings/>")
        .has("named null")
        .has("null true")
        .has("\nfalse\n");
    let (made, gone) = folders(&ran);
    assert!(made.len() == 4 && made.iter().all(|folder| gone.contains(folder)), "{made:?} {gone:?}");
    steps("configFileProvider([configFile(fileId: 'none', variable: 'F')]) { echo 'never' }")
        .is(Outcome::Failure)
        .has("the file that Jenkins manages as ‘none’ is a credential here")
        .lacks("never");
    steps("configFileProvider([configFile(fileId: 'token', variable: 'F')]) { echo 'never' }")
        .is(Outcome::Failure)
        .lacks("never");
}

#[test]
fn secrets_that_groovy_put_into_an_argument_are_warned_of() {
    let of = |steps: &str| {
        run(&format!(
            "node {{ withCredentials([string(credentialsId: 'token', variable: 'T'), usernamePassword(credentialsId: 'user', usernameVariable: 'U', passwordVariable: 'P')]) {{ {steps} }} }}"
        ))
    };
    of("sh \"test $P = ${env.P} -a $T\"").is(Outcome::Success).has(
        "[Pipeline] sh\nWarning: A secret was passed to \"sh\" using Groovy String interpolation, which is insecure.\n\
         \t\t Affected argument(s) used the following variable(s): [T, P]\n\
         \t\t See https://jenkins.io/redirect/groovy-string-interpolation for details.\n+ ",
    );
    of("withEnv([\"A=$T\"]) { }").has("A secret was passed to \"withEnv\"");
    // The shell's variables, names that are no secrets, and texts that nobody put together.
    of("sh 'test $P = $P'; echo \"$U\"; def all = \"$P\".toString(); echo all").is(Outcome::Success).lacks("Warning:");
    run("pipeline { agent any\n environment { T = credentials('token') }\n stages { stage('a') { steps { sh \"echo ${T}\" } } } }")
        .has("Affected argument(s) used the following variable(s): [T]");
}

#[test]
fn looking_for_secrets_ends() {
    // What holds itself many times over: each list is looked at once, and no more than so many.
    let ran = steps(
        "withCredentials([string(credentialsId: 'token', variable: 'T')]) {
            def a = [\"x${1}\"]; 12.times { a = [a] * 14 }
            stash name: 'q', allowEmpty: true, nothing: a
        }",
    );
    ran.is(Outcome::Success);
}

/// Source: `CredentialsProvider.findCredentialById`.
#[test]
fn a_parameter_of_credentials_names_one() {
    for id in ["'${CRED}'", "'CRED'", "params.CRED"] {
        run(&format!(
            "pipeline {{ agent any
                parameters {{ credentials(name: 'CRED', defaultValue: 'token') }}
                stages {{ stage('a') {{ steps {{ withCredentials([string(credentialsId: {id}, variable: 'T')]) {{ sh 'test $T = tok-12345' }} }} }} }} }}"
        ))
        .is(Outcome::Success);
    }
    steps("withCredentials([string(credentialsId: '${TOKEN}', variable: 'T')]) { }").is(Outcome::Failure);
}
