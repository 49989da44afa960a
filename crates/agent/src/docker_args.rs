//! The words of `agent { docker { args '…' } }`, which Jenkins hands to `docker run`.
//!
//! What only concerns the inside of the sandbox, or lowers a limit, is honoured. What reaches for the host is refused with the
//! rung that can honour it: there the "host" is a machine of the job's own.

use model::limits::Limits;
use model::rung::Rung;

/// What the words ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerArgs {
    /// `-e NAME=VALUE`.
    pub env: Vec<(String, String)>,
    /// `-u USER[:GROUP]`.
    pub user: Option<String>,
    /// `--entrypoint WORD`; an empty one means none.
    pub entrypoint: Option<String>,
    /// `--network none`.
    pub no_network: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// `--hostname NAME`.
    pub hostname: Option<String>,
    /// `--add-host NAME:ADDRESS`, as lines of `/etc/hosts`.
    pub hosts: Vec<String>,
    /// `--tmpfs PATH[:size=…,mode=…]` and anonymous volumes: path, bytes, mode.
    pub tmpfs: Vec<(String, u64, u32)>,
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

/// Size of a `--tmpfs` without one, in bytes.
const DEFAULT_TMPFS: u64 = 256 << 20;

/// Options that take no value and change nothing for a sandbox that is always fresh, detached and removed.
const NO_EFFECT_FLAGS: [&str; 9] =
    ["--rm", "--init", "-i", "-t", "-d", "--interactive", "--tty", "--detach", "--oom-kill-disable"];
/// The same with a value.
const NO_EFFECT_VALUES: [&str; 19] = [
    "--name",
    "--label",
    "-l",
    "--log-driver",
    "--log-opt",
    "--restart",
    "--stop-timeout",
    "--stop-signal",
    "--platform",
    "--pull",
    "--cap-drop",
    "--workdir",
    "-w",
    "--publish",
    "-p",
    "--expose",
    "--shm-size",
    "--memory-swap",
    "--memory-swappiness",
];
/// Options that reach for the host: name, takes a value, what it asks for.
const REFUSED: [(&str, bool, &str); 24] = [
    ("--privileged", false, "power over the kernel"),
    ("--device", true, "a device of the host"),
    ("--device-cgroup-rule", true, "a device of the host"),
    ("--gpus", true, "a device of the host"),
    ("--cap-add", true, "a capability"),
    ("--pid", true, "another process namespace"),
    ("--ipc", true, "another IPC namespace"),
    ("--uts", true, "another host name namespace"),
    ("--userns", true, "another user namespace"),
    ("--cgroupns", true, "another cgroup namespace"),
    ("--cgroup-parent", true, "another cgroup"),
    ("--mount", true, "a mount"),
    ("--volumes-from", true, "the files of another container"),
    ("--link", true, "another container"),
    ("--sysctl", true, "a kernel parameter"),
    ("--runtime", true, "another runtime"),
    ("--env-file", true, "a file of the host"),
    ("--cidfile", true, "a file of the host"),
    ("--dns", true, "another resolver"),
    ("--net-alias", true, "a network of containers"),
    ("--network-alias", true, "a network of containers"),
    ("--ip", true, "an address"),
    ("--publish-all", false, "ports of the host"),
    ("-P", false, "ports of the host"),
];

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
            let (name, mut value) = split_option(&word);
            let mut take = |name: &str| {
                value
                    .take()
                    .or_else(|| rest.next())
                    .ok_or_else(|| ArgsError::Malformed(format!("`{name}` needs a value")))
            };
            args.option(&name, &mut take)?;
        }
        Ok(args)
    }

    fn option(
        &mut self,
        name: &str,
        value: &mut dyn FnMut(&str) -> Result<String, ArgsError>,
    ) -> Result<(), ArgsError> {
        if is_flag_cluster(name) || NO_EFFECT_FLAGS.contains(&name) {
            return Ok(());
        }
        if NO_EFFECT_VALUES.contains(&name) {
            let value = value(name)?;
            if matches!(name, "-p" | "--publish" | "--expose") {
                self.ignored.push(format!("{name} {value}"));
            }
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
            "--group-add" => self.ignored.push(format!("{name} {}", value(name)?)),
            "--entrypoint" => self.entrypoint = Some(value(name)?),
            "--net" | "--network" => self.network(name, &value(name)?)?,
            "--read-only" => self.read_only = true,
            "-h" | "--hostname" => self.hostname = Some(value(name)?),
            "--add-host" => self.hosts.push(add_host(&value(name)?)?),
            "--tmpfs" => self.tmpfs.push(parse_tmpfs(&value(name)?)?),
            "-v" | "--volume" => self.volume(name, &value(name)?)?,
            "-m" | "--memory" => self.memory = Some(parse_bytes(&value(name)?)?),
            "--cpus" => self.cpu_millis = Some(parse_cpus(&value(name)?)?),
            "--pids-limit" => self.processes = parse_number(&value(name)?).ok(),
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
        // An anonymous volume is a fresh folder.
        self.tmpfs.push((absolute(value)?, DEFAULT_TMPFS, 0o777));
        Ok(())
    }

    fn ulimit(&mut self, value: &str) -> Result<(), ArgsError> {
        match value.split_once('=') {
            Some(("nofile", numbers)) => {
                let soft = numbers.split(':').next().unwrap_or_default();
                self.open_files = Some(parse_number(soft)?);
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

/// `-it`, `-dit`: several flags without a value in one word.
fn is_flag_cluster(name: &str) -> bool {
    name.len() > 1 && !name.starts_with("--") && name[1..].chars().all(|c| matches!(c, 'i' | 't' | 'd'))
}

/// `--name=value`, `-eNAME=V` (short options may have their value attached).
fn split_option(word: &str) -> (String, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        };
    }
    if is_flag_cluster(word) {
        return (word.to_owned(), None);
    }
    match word.char_indices().nth(2) {
        Some((at, _)) => (word[..at].to_owned(), Some(word[at..].trim_start_matches('=').to_owned())),
        None => (word.to_owned(), None),
    }
}

fn add_host(text: &str) -> Result<String, ArgsError> {
    let bad = || ArgsError::Malformed(format!("`--add-host {text}`: expected NAME:ADDRESS"));
    let (name, address) = text.split_once(':').ok_or_else(bad)?;
    let address: std::net::IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| bad())?;
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if valid { Ok(format!("{address} {name}")) } else { Err(bad()) }
}

fn parse_tmpfs(text: &str) -> Result<(String, u64, u32), ArgsError> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut bytes, mut mode) = (DEFAULT_TMPFS, 0o1777);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => bytes = parse_bytes(size)?,
            Some(("mode", octal)) => {
                mode = u32::from_str_radix(octal, 8)
                    .map_err(|_| ArgsError::Malformed(format!("`{octal}` is no mode")))?
                    & 0o1777;
            }
            // rw, exec, uid= …: the tmpfs of a sandbox is its own anyway.
            _ => {}
        }
    }
    Ok((absolute(path)?, bytes, mode))
}

fn absolute(path: &str) -> Result<String, ArgsError> {
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
        Ok(path.to_owned())
    } else {
        Err(ArgsError::Malformed(format!("`{path}` is not an absolute path")))
    }
}

fn parse_number(text: &str) -> Result<u32, ArgsError> {
    text.parse().map_err(|_| ArgsError::Malformed(format!("`{text}` is no number")))
}

fn parse_cpus(text: &str) -> Result<u32, ArgsError> {
    match text.parse::<f64>() {
        Ok(cpus) if cpus > 0.0 && cpus < 100_000.0 => Ok((cpus * 1000.0) as u32),
        _ => Err(ArgsError::Malformed(format!("`{text}` is no number of CPUs"))),
    }
}

fn parse_bytes(text: &str) -> Result<u64, ArgsError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(ArgsError::Malformed(format!("`{text}` is no size"))),
    };
    let number: u64 = digits.parse().map_err(|_| ArgsError::Malformed(format!("`{text}` is no size")))?;
    number.checked_mul(unit).ok_or_else(|| ArgsError::Malformed(format!("`{text}` is too large")))
}

/// Words as a POSIX shell would split them, without any expansion: quotes and backslashes.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => quoted(&mut rest, '\'', word.get_or_insert_default())?,
            '"' => quoted(&mut rest, '"', word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(rest: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(rest.next()),
            c => word.push(c),
        }
    }
    Err(format!("a {quote} is not closed"))
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
        assert_eq!(parsed("--tmpfs /t:rw,size=1m,mode=700").tmpfs, [("/t".to_owned(), 1 << 20, 0o700)]);
        assert_eq!(parsed("--add-host db:10.0.0.1").hosts, ["10.0.0.1 db"]);
        assert_eq!(parsed("").env, []);
    }

    #[test]
    fn what_reaches_for_the_host_names_the_rung() {
        for text in [
            "--privileged",
            "-v /etc:/etc",
            "-v cache:/root/.m2",
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
            "--userns=host",
            "--gpus all",
            "--env-file /etc/shadow",
        ] {
            assert!(refused(text).contains("microvm"), "{text}: {}", refused(text));
        }
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
    fn mistakes_are_named() {
        assert!(refused("--what").contains("unknown option `--what`"));
        assert!(refused("-e").contains("needs a value"));
        assert!(refused("'x").contains("not closed"));
        assert!(refused("ubuntu").contains("not an option"));
    }
}
