//! The words of `agent { docker { args '…' } }`, which Jenkins hands to `docker run`.
//!
//! What only concerns the inside of the sandbox, or lowers a limit, is honoured. What reaches for the host is refused with the
//! rung that can honour it: there the "host" is a machine of the job's own.

mod options;
mod values;

use crate::limits::{Limits, Tmpfs};
use crate::rung::Rung;
use options::{GRANTED_FLAGS, GRANTED_VALUES, NO_EFFECT_FLAGS, NO_EFFECT_VALUES, REFUSED};
use values::{absolute, add_host, memory, parse_cpus, parse_number, parse_tmpfs, platform};

pub use values::split_words;

/// What the words ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerArgs {
    /// `-e NAME=VALUE`.
    pub env: Vec<(String, String)>,
    /// `-u USER[:GROUP]`.
    pub user: Option<String>,
    /// `--group-add NUMBER`.
    pub groups: Vec<u32>,
    /// `--entrypoint WORD`; an empty one means none.
    pub entrypoint: Option<String>,
    /// `-w PATH`: of the entry point. Steps run in the workspace, as under Jenkins.
    pub workdir: Option<String>,
    /// `--network none`.
    pub no_network: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// `--hostname NAME`.
    pub hostname: Option<String>,
    /// `--add-host NAME:ADDRESS`, as lines of `/etc/hosts`.
    pub hosts: Vec<String>,
    /// `--tmpfs PATH[:size=…,mode=…,noexec]`.
    pub tmpfs: Vec<Tmpfs>,
    /// `-v PATH`: anonymous volumes.
    pub volumes: Vec<String>,
    /// `--memory`, in bytes.
    pub memory: Option<u64>,
    /// `--cpus`, in thousandths.
    pub cpu_millis: Option<u32>,
    /// `--pids-limit`.
    pub processes: Option<u32>,
    /// `--ulimit nofile=N`.
    pub open_files: Option<u32>,
    /// Words that change nothing here, to be mentioned.
    pub ignored: Vec<String>,
}

/// Below this no program can open its libraries.
const LEAST_FILES: u32 = 16;

/// Why the words cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// It reaches for the host.
    #[error("docker args `{word}`: {what} is not given to a container of this host; it needs rung `{}`", rung.name())]
    NeedsRung {
        /// The option.
        word: String,
        /// What it asks for.
        what: &'static str,
        /// The lowest rung that honours it.
        rung: Rung,
    },
    /// It cannot be read.
    #[error("docker args: {0}")]
    Malformed(String),
}

/// The first of the words that asks for a device which no machine of a job's own has either.
pub fn device_of_host(text: &str) -> Option<String> {
    let words: Vec<_> = split_words(text).ok()?.into_iter().flat_map(apart).collect();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = split_option(word);
        let mut value = || value.clone().or_else(|| rest.next().cloned()).unwrap_or_default();
        match &*name {
            "--gpus" => return Some(format!("docker args `--gpus {}`", value())),
            "--device" => {
                let device = value();
                let path = device.split(':').next().unwrap_or_default();
                if !options::DEVICES_OF_MACHINES.contains(&path) {
                    return Some(format!("docker args `--device {device}`"));
                }
            }
            _ => {}
        }
    }
    None
}

impl DockerArgs {
    /// Reads the words.
    pub fn parse(text: &str) -> Result<DockerArgs, ArgsError> {
        let words = split_words(text).map_err(ArgsError::Malformed)?;
        let mut args = DockerArgs::default();
        let mut rest = words.into_iter();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') || word == "-" {
                return Err(ArgsError::Malformed(format!("`{word}` is not an option")));
            }
            for word in apart(word) {
                let (name, mut value) = split_option(&word);
                if options::is_switch(&name) && value.as_deref().and_then(switch) == Some(false) {
                    continue;
                }
                let mut take = |name: &str| {
                    value
                        .take()
                        .or_else(|| rest.next())
                        .ok_or_else(|| ArgsError::Malformed(format!("`{name}` needs a value")))
                };
                args.option(&name, &mut take)?;
                if let Some(value) = value.filter(|value| switch(value) != Some(true)) {
                    return Err(ArgsError::Malformed(format!("`{name}` takes no value, and got `{value}`")));
                }
            }
        }
        Ok(args)
    }

    fn option(
        &mut self,
        name: &str,
        value: &mut dyn FnMut(&str) -> Result<String, ArgsError>,
    ) -> Result<(), ArgsError> {
        if GRANTED_FLAGS.contains(&name) {
            return Ok(());
        }
        if GRANTED_VALUES.contains(&name) {
            return value(name).map(drop);
        }
        if NO_EFFECT_FLAGS.contains(&name) {
            self.ignored.push(name.to_owned());
            return Ok(());
        }
        if NO_EFFECT_VALUES.contains(&name) {
            let value = value(name)?;
            self.ignored.push(format!("{name} {value}"));
            return Ok(());
        }
        if let Some((_, has_value, what)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
            let word = if *has_value { format!("{name} {}", value(name)?) } else { name.to_owned() };
            return Err(ArgsError::NeedsRung { word, what, rung: Rung::Microvm });
        }
        match name {
            "-e" | "--env" => {
                let text = value(name)?;
                match text.split_once('=') {
                    Some((name, value)) => self.env.push((name.to_owned(), value.to_owned())),
                    // Docker would copy the variable of the host; a sandbox sees nothing of it.
                    None => self.ignored.push(format!("{name} {text}")),
                }
            }
            "-u" | "--user" => self.user = Some(value(name)?),
            "--group-add" => {
                let group = value(name)?;
                match group.parse() {
                    Ok(number) => self.groups.push(number),
                    Err(_) => self.ignored.push(format!("{name} {group}")),
                }
            }
            "--platform" => platform(&value(name)?)?,
            "--entrypoint" => self.entrypoint = Some(value(name)?),
            "-w" | "--workdir" => self.workdir = Some(absolute(&value(name)?)?),
            "--net" | "--network" => self.network(name, &value(name)?)?,
            "--read-only" => self.read_only = true,
            "-h" | "--hostname" => self.hostname = Some(value(name)?),
            "--add-host" => {
                let host = value(name)?;
                match host.ends_with(":host-gateway") {
                    true => self.ignored.push(format!("{name} {host}")),
                    false => self.hosts.push(add_host(&host)?),
                }
            }
            "--tmpfs" => {
                let (tmpfs, ignored) = parse_tmpfs(&value(name)?)?;
                self.ignored.extend(ignored.into_iter().map(|option| format!("{name} {}:{option}", tmpfs.path)));
                self.tmpfs.push(tmpfs);
            }
            "-v" | "--volume" => self.volume(name, &value(name)?)?,
            "-m" | "--memory" => self.memory = memory(&value(name)?)?,
            // As for Docker, 0 means no limit of the container's own.
            "--cpus" => {
                self.cpu_millis = Some(value(name)?).filter(|text| text != "0").map(|t| parse_cpus(&t)).transpose()?
            }
            "--pids-limit" => self.processes = parse_number(&value(name)?).ok().filter(|number| *number > 0),
            "--ulimit" => self.ulimit(&value(name)?)?,
            "--security-opt" => {
                let text = value(name)?;
                if !text.starts_with("no-new-privileges") {
                    return Err(ArgsError::NeedsRung {
                        word: format!("{name} {text}"),
                        what: "a weaker wall",
                        rung: Rung::Microvm,
                    });
                }
            }
            _ => return Err(ArgsError::Malformed(format!("unknown option `{name}`"))),
        }
        Ok(())
    }

    fn network(&mut self, name: &str, value: &str) -> Result<(), ArgsError> {
        match value {
            "none" => self.no_network = true,
            "bridge" | "default" => {}
            "host" => {
                let word = format!("{name} host");
                return Err(ArgsError::NeedsRung { word, what: "the network of the host", rung: Rung::Microvm });
            }
            other => {
                let word = format!("{name} {other}");
                return Err(ArgsError::NeedsRung { word, what: "a network of containers", rung: Rung::Microvm });
            }
        }
        Ok(())
    }

    fn volume(&mut self, name: &str, value: &str) -> Result<(), ArgsError> {
        if value.contains(':') {
            let word = format!("{name} {value}");
            let what = if value.starts_with('/') || value.starts_with('.') {
                "a folder of the host"
            } else {
                "a volume of the host"
            };
            return Err(ArgsError::NeedsRung { word, what, rung: Rung::Microvm });
        }
        // An anonymous volume holds what the image has there, and can be written to: as everything here. It is made where it is not.
        self.volumes.push(absolute(value)?);
        Ok(())
    }

    fn ulimit(&mut self, value: &str) -> Result<(), ArgsError> {
        match value.split_once('=') {
            Some(("nofile", numbers)) => {
                let soft = parse_number(numbers.split(':').next().unwrap_or_default())?;
                if soft < LEAST_FILES {
                    let text = format!("`--ulimit {value}`: no program starts with less than {LEAST_FILES} open files");
                    return Err(ArgsError::Malformed(text));
                }
                self.open_files = Some(soft);
            }
            Some(_) => self.ignored.push(format!("--ulimit {value}")),
            None => return Err(ArgsError::Malformed(format!("`--ulimit {value}`: expected NAME=N"))),
        }
        Ok(())
    }

    /// Lowers `limits` to what the words ask for; returns what asked for more than there is.
    pub fn lower(&self, limits: &mut Limits) -> Vec<String> {
        let mut above = Vec::new();
        if let Some(bytes) = self.memory {
            match bytes <= limits.memory_bytes {
                true => limits.memory_bytes = bytes,
                false => above.push("--memory".to_owned()),
            }
        }
        let mut lower = |asked: Option<u32>, limit: &mut u32, name: &str| {
            if let Some(asked) = asked {
                match asked <= *limit {
                    true => *limit = asked,
                    false => above.push(name.to_owned()),
                }
            }
        };
        lower(self.cpu_millis, &mut limits.cpu_millis, "--cpus");
        lower(self.processes, &mut limits.processes, "--pids-limit");
        lower(self.open_files, &mut limits.open_files, "--ulimit nofile");
        above
    }
}

/// How Docker reads the value of an option that is on or off.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `--name=value`, `-eNAME=V` (short options may have their value attached).
fn split_option(word: &str) -> (String, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        };
    }
    match word.char_indices().nth(2) {
        Some((at, _)) => (word[..at].to_owned(), Some(word[at..].trim_start_matches('=').to_owned())),
        None => (word.to_owned(), None),
    }
}

/// `-itu root` → `-i`, `-t`, `-u root`: short options without a value may stand in one word, before one that has one.
fn apart(word: String) -> Vec<String> {
    if word.starts_with("--") || !word.starts_with('-') {
        return vec![word];
    }
    let flags = word[1..].chars().take_while(|c| matches!(c, 'i' | 't' | 'd' | 'q' | 'P')).count();
    let mut words: Vec<String> = word[1..].chars().take(flags).map(|c| format!("-{c}")).collect();
    let rest = &word[1 + flags..];
    // `-t=false`, `-d`: the last flag keeps its value.
    match (rest.is_empty(), rest.starts_with('='), words.last_mut()) {
        (true, ..) => {}
        (false, true, Some(last)) => last.push_str(rest),
        _ => words.push(format!("-{rest}")),
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DockerArgs {
        DockerArgs::parse(text).unwrap()
    }

    fn refused(text: &str) -> String {
        DockerArgs::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_concerns_the_inside_is_honoured() {
        let args =
            parsed("-e A=1 --env 'B=two words' -u root:root -w /x --entrypoint='' --network none --read-only -it --rm");
        assert_eq!(args.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "two words".to_owned())]);
        assert_eq!(args.user.as_deref(), Some("root:root"));
        assert_eq!(args.entrypoint.as_deref(), Some(""));
        assert!(args.no_network && args.read_only);
        assert_eq!(parsed("-u0").user.as_deref(), Some("0"));
        assert_eq!(parsed("--tmpfs /t:rw,size=1m,mode=700").tmpfs[0].bytes, 1 << 20);
        assert_eq!(
            parsed("--tmpfs /t:rw,size=1.5m,mode=700,noexec").tmpfs,
            [Tmpfs { path: "/t".to_owned(), bytes: 3 << 19, mode: 0o700, exec: false }]
        );
        assert_eq!(parsed("-v /home").volumes, ["/home"]);
        assert_eq!(parsed("-itu root").user.as_deref(), Some("root"));
        assert_eq!(parsed("-dit -t=0 --init=1 --privileged=f"), DockerArgs::default());
        assert_eq!(parsed("--add-host db:10.0.0.1").hosts, ["10.0.0.1 db"]);
        assert_eq!(parsed("").env, []);
    }

    #[test]
    fn what_reaches_for_the_host_names_the_rung() {
        for text in [
            "--privileged",
            "-v /etc:/etc",
            "-v cache:/data/.m2",
            "--network host",
            "--net=host",
            "--device /dev/kvm",
            "--pid host",
            "--cap-add SYS_ADMIN",
            "--security-opt seccomp=unconfined",
            "--mount type=bind,src=/,dst=/h",
            "--volumes-from x",
            "--ipc=host",
            "-v/var/run/docker.sock:/var/run/docker.sock",
            "-itv/etc:/host",
            "-dtv /etc:/host",
            "-dP",
            "--userns=host",
            "--gpus all",
            "--env-file /etc/shadow",
        ] {
            assert!(refused(text).contains("microvm"), "{text}: {}", refused(text));
        }
    }

    #[test]
    fn devices_that_no_machine_has_are_told_from_others() {
        let check = |text: &str, expect: Option<&str>| {
            let expect = expect.map(|word| format!("docker args `{word}`"));
            assert_eq!(device_of_host(text), expect, "{text}");
        };
        check("--privileged -v /a:/b", None);
        check("--device /dev/fuse --device=/dev/net/tun:/dev/net/tun:rw", None);
        check("--device /dev/fuse --device /dev/kvm", Some("--device /dev/kvm"));
        check("-it --gpus=all", Some("--gpus all"));
        check("--device=/dev/dri:/dev/dri", Some("--device /dev/dri:/dev/dri"));
    }

    #[test]
    fn limits_are_only_lowered() {
        let mut limits = Limits::default();
        let before = limits;
        let above = parsed("-m 512m --cpus 1000 --pids-limit 100 --ulimit nofile=64:64").lower(&mut limits);
        assert_eq!((limits.memory_bytes, limits.processes, limits.open_files), (512 << 20, 100, 64));
        assert_eq!(limits.cpu_millis, before.cpu_millis);
        assert_eq!(above, ["--cpus"]);
    }

    #[test]
    fn zero_means_no_limit_of_its_own_and_too_little_is_refused() {
        let none = parsed("-m 0 --cpus 0 --pids-limit 0");
        assert_eq!((none.memory, none.cpu_millis, none.processes), (None, None, None));
        assert_eq!(parsed("--pids-limit=-1").processes, None);
        assert!(refused("-m 1k").contains("at least 6 MiB"));
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let text = "--shm-size 1g -c 2 --cpuset-cpus 0 --add-host a:host-gateway --oom-kill-disable -p 80:80";
        assert_eq!(parsed(text).ignored.len(), 6);
        assert_eq!(parsed("-w /x").workdir.as_deref(), Some("/x"));
        assert_eq!(parsed("--rm -it --name x --init").ignored, [] as [String; 0]);
        assert_eq!(parsed("--privileged=false --read-only=false"), DockerArgs::default());
        assert_eq!(parsed("--group-add 44").groups, [44]);
        assert!(refused("--platform linux/s390x").contains("this host runs"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refused("--what").contains("unknown option `--what`"));
        assert!(refused("-e").contains("needs a value"));
        assert!(refused("'x").contains("not closed"));
        assert!(refused("ubuntu").contains("not an option"));
        assert!(refused("-ix").contains("unknown option `-x`"));
        assert!(refused("--rm=7").contains("takes no value"));
        assert!(refused("--ulimit nofile=5:10").contains("open files"));
    }
}
