//! A container that a machine's own Docker Engine runs for a job: `agent { docker { … } }` whose words reach for the host, and
//! `inside` beside an engine. The node is the machine's sandbox with the engine's client; both see the same workspaces.

use std::collections::BTreeMap;
use std::time::Duration;

use model::event::{Event, LogSource};
use model::ids::JobId;
use model::request::{PodContainer, WORKSPACES};
use sandbox::session::{Output, Session};
use tokio::sync::mpsc;
use wire::init::{ExecSpec, OutputMode, Status, Stream, User};

use crate::failure::Trouble;
use crate::lines::Lines;

const CLIENT: &str = "/usr/bin/docker";
const SOCKET: &str = "/run/docker.sock";
/// What a client says of a few commands is short.
const MAX_OUTPUT: usize = 1 << 20;
/// How long an engine may take to end something; where instructions are translated, it takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for a signal, which somebody waits for.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(15);
/// Notes its process id, by which it can be ended, and goes on as the step.
const STARTER: &str = "echo $$ > \"$0\"; exec \"$@\"";
/// The same where both streams are one. The engine passes on two of them without their order.
const MERGED_STARTER: &str = "echo $$ > \"$0\"; exec \"$@\" 2>&1";

/// The engine's client on a node.
#[derive(Clone)]
pub struct Client {
    pub session: Session,
    pub user: User,
    pub env: BTreeMap<String, String>,
    pub workspace: String,
}

/// What a command of the client came to.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Client {
    /// `$HOME/cache:/cache` with what the node has, as Jenkins does with every word that it starts; what the node does not have stays.
    fn expand(&self, word: &str) -> String {
        expand(word, |name| match name {
            "WORKSPACE" => Some(&self.workspace),
            name => self.env.get(name),
        })
    }

    async fn run(&self, words: &[String], events: Option<&mpsc::Sender<Event>>) -> Result<Said, Trouble> {
        let spec = ExecSpec {
            argv: [CLIENT.to_owned()].into_iter().chain(words.iter().cloned()).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            cwd: self.workspace.clone(),
            user: self.user.clone(),
            output: OutputMode::Split,
            ..ExecSpec::default()
        };
        let mut running = self.session.exec(spec).await?;
        let (mut stdout, mut stderr, mut lines) = (Vec::new(), Vec::new(), Lines::new(None));
        while let Some(output) = running.next().await? {
            let Output::Data { stream, data } = output else { continue };
            let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            kept.extend_from_slice(&data[..data.len().min(MAX_OUTPUT.saturating_sub(kept.len()))]);
            if let (Some(events), Stream::Stderr) = (events, stream) {
                let mut whole = Vec::new();
                lines.push(&data, |line| whole.push(line));
                for text in whole {
                    let log = Event::Log { step: None, stage: None, source: LogSource::System, text };
                    let _ = events.send(log).await;
                }
            }
        }
        let code = match running.wait().await?.status {
            Status::Code(code) => code,
            Status::Signal(signal) => 128 + signal,
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Ok(Said { code, stdout: text(stdout), stderr: text(stderr) })
    }
}

/// A running container.
pub struct Contained {
    client: Client,
    name: String,
    /// `-u` of its steps, where the words of the author name nobody.
    user: Option<String>,
}

/// What a container is to be.
pub struct ContainerSpec<'a> {
    /// Reference, as the engine is to resolve it.
    pub image: &'a str,
    /// Words of the author for `docker run`.
    pub words: Vec<String>,
    /// It is one of a pod.
    pub pod: Option<&'a PodContainer>,
    /// Whose container it is.
    pub job: JobId,
}

impl Contained {
    /// Starts it as Jenkins does: with the workspaces, the user of the node, and `cat`, which waits. One of a pod runs what the pod says,
    /// in the network of the machine, which the others and the node have too.
    pub async fn start(
        client: Client,
        spec: &ContainerSpec<'_>,
        events: &mpsc::Sender<Event>,
    ) -> Result<(Contained, BTreeMap<String, String>), Trouble> {
        let name = format!("cofferdam-{}", spec.job.0);
        let names_user = spec.words.iter().any(|word| {
            word == "--user" || word.starts_with("--user=") || (word.starts_with("-u") && !word.starts_with("--"))
        });
        let user = (!names_user).then(|| format!("{}:{}", client.user.uid, client.user.gid));
        let mut words: Vec<String> = ["run", "-d", "-t", "--name", &name].map(str::to_owned).into();
        if let Some(user) = &user {
            words.extend(["-u".to_owned(), user.clone()]);
        }
        words.extend(["-v".to_owned(), format!("{WORKSPACES}:{WORKSPACES}")]);
        words.extend(["-w".to_owned(), client.workspace.clone()]);
        // Who asks for the engine in words mounts it where they want it.
        if !spec.words.iter().any(|word| word.contains("docker.sock")) {
            words.extend(["-v".to_owned(), format!("{SOCKET}:/var/run/docker.sock")]);
        }
        words.extend(spec.words.iter().map(|word| client.expand(word)));
        match spec.pod {
            Some(container) => words.extend(as_in_pod(container, spec.image)),
            None => words.extend([spec.image.to_owned(), "cat".to_owned()]),
        }
        if spec.pod.is_none() {
            // As Jenkins says it: what became of the words of the author is seen.
            for text in format!("$ docker {}", words.join(" ")).lines().map(str::to_owned) {
                let _ = events.send(Event::Log { step: None, stage: None, source: LogSource::System, text }).await;
            }
        }
        let said = client.run(&words, Some(events)).await?;
        if said.code != 0 {
            let last = said.stderr.lines().rfind(|line| !line.contains("--help")).unwrap_or_default();
            return Err(Trouble::workload(format!("docker run {}: {last}", spec.image)));
        }
        let contained = Contained { client, name, user };
        let env = contained.client.run(&contained.exec(None, &[], &["env".to_owned()]), None).await?;
        let env = env.stdout.lines().filter_map(|line| line.split_once('='));
        let env = env.filter(|(name, _)| matches!(*name, "PATH" | "HOME"));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok((contained, env))
    }

    fn exec(&self, dir: Option<&str>, options: &[String], argv: &[String]) -> Vec<String> {
        let mut words = vec!["exec".to_owned()];
        words.extend(self.user.iter().flat_map(|user| ["-u".to_owned(), user.clone()]));
        words.extend(dir.iter().flat_map(|dir| ["-w".to_owned(), (*dir).to_owned()]));
        words.extend(options.iter().cloned());
        words.push(self.name.clone());
        words.extend(argv.iter().cloned());
        words
    }

    /// The same program in the container. `folder` is one of this step's own, on the node and inside.
    pub async fn wrap(&self, mut spec: ExecSpec, env: &[(String, String)], folder: &str) -> Result<ExecSpec, Trouble> {
        let mut options = Vec::new();
        let (plain, others): (Vec<_>, Vec<_>) = env.iter().partition(|(_, value)| !value.contains('\n'));
        if !plain.is_empty() {
            let text: String = plain.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            let file = format!("{folder}/env");
            self.client.session.write_file(Some(self.client.user.clone()), &file, text.as_bytes(), 0o600).await?;
            options.extend(["--env-file".to_owned(), file]);
        }
        for (name, value) in others {
            options.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        let starter = if spec.output == OutputMode::Merged { MERGED_STARTER } else { STARTER };
        let starter = ["sh", "-c", starter, &format!("{folder}/pid")].map(str::to_owned);
        let argv: Vec<_> = starter.into_iter().chain(std::mem::take(&mut spec.argv)).collect();
        let words = self.exec(Some(&spec.cwd), &options, &argv);
        spec.argv = [CLIENT.to_owned()].into_iter().chain(words).collect();
        spec.env = self.client.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        spec.cwd.clone_from(&self.client.workspace);
        Ok(spec)
    }

    /// Sends a signal to everything that a step has started: its client here does not pass one on.
    pub async fn signal(&self, folder: &str, signal: &str) {
        let script = format!("kill -{signal} -$(cat {folder}/pid) 2>/dev/null || kill -{signal} $(cat {folder}/pid)");
        let argv = ["sh".to_owned(), "-c".to_owned(), script];
        // Where it has ended, there is nobody to tell; an engine that does not answer ends with its machine.
        let words = self.exec(None, &[], &argv);
        let _ = tokio::time::timeout(SIGNAL_PATIENCE, self.client.run(&words, None)).await;
    }

    /// Ends it.
    pub async fn remove(&self) -> Result<(), Trouble> {
        let words = ["rm", "-f", "-v", &self.name].map(str::to_owned);
        match tokio::time::timeout(PATIENCE, self.client.run(&words, None)).await {
            Ok(said) => said.map(drop),
            Err(_) => Err(Trouble::infrastructure("the machine's Docker Engine does not answer")),
        }
    }
}

/// The last words for a container of a pod: its network, its variables, and what runs in it. Nothing in them is a name of the node's.
fn as_in_pod(container: &PodContainer, image: &str) -> Vec<String> {
    let mut words: Vec<String> = ["--network", "host"].map(str::to_owned).into();
    words.extend(container.env.iter().flat_map(|(name, value)| ["-e".to_owned(), format!("{name}={value}")]));
    words.extend(container.dir.iter().flat_map(|dir| ["-w".to_owned(), dir.clone()]));
    let mut command = container.command.iter().cloned();
    words.extend(command.next().into_iter().flat_map(|program| ["--entrypoint".to_owned(), program]));
    words.push(image.to_owned());
    words.extend(command.chain(container.args.iter().cloned()));
    words
}

/// `$NAME`, `${NAME}` and `$$` in a word.
fn expand<'a>(word: &str, value: impl Fn(&str) -> Option<&'a String>) -> String {
    let mut parts = word.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // Two of them stand for one, and what follows is text.
            text.push('$');
            text.push_str(parts.next().unwrap_or_default());
            continue;
        }
        let braced = part.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (name, rest) = braced.unwrap_or_else(|| {
            part.split_at(part.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(part.len()))
        });
        match value(name) {
            Some(value) => {
                text.push_str(value);
                text.push_str(rest);
            }
            None => {
                text.push('$');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use model::request::PodContainer;

    use super::{as_in_pod, expand};

    #[test]
    fn a_container_of_a_pod_runs_what_the_pod_says() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let container = PodContainer {
            command: words(&["sh", "-c"]),
            args: words(&["serve $A"]),
            env: vec![("A".to_owned(), "b c".to_owned())],
            dir: Some("/srv".to_owned()),
            ..PodContainer::default()
        };
        let expect = ["--network", "host", "-e", "A=b c", "-w", "/srv", "--entrypoint", "sh", "x:1", "-c", "serve $A"];
        assert_eq!(as_in_pod(&container, "x:1"), expect);
        assert_eq!(as_in_pod(&PodContainer::default(), "x:1"), ["--network", "host", "x:1"]);
    }

    #[test]
    fn words_have_what_the_node_has() {
        let home = "/home/jenkins".to_owned();
        let check = |word: &str, expect: &str| {
            assert_eq!(expand(word, |name| (name == "HOME").then_some(&home)), expect);
        };
        check("$HOME/cache:/cache", "/home/jenkins/cache:/cache");
        check("${HOME}:${HOME}", "/home/jenkins:/home/jenkins");
        check("-e A=$B", "-e A=$B");
        check("a$$HOME", "a$HOME");
        check("${HOME", "${HOME");
        check("cost: 5$", "cost: 5$");
        check("plain", "plain");
    }
}
