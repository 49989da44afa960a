//! What a monitor has in its jail, whatever monitor it is: who breaks out of a machine finds that, and nothing else of the host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place;

/// Names in `/etc` of what every sandbox is told of itself, none of it the host's.
const TOLD: [&str; 6] = ["group", "hostname", "hosts", "machine-id", "passwd", "resolv.conf"];

/// The memory that a machine is a copy of, which is the other copies' too.
const TEMPLATE: &str = "/memfd:cofferdam-machine (deleted)";

/// A process, as the host sees it.
pub struct Jailed {
    pid: u32,
    status: String,
}

impl Jailed {
    pub fn new(pid: u32) -> Jailed {
        Jailed { pid, status: fs::read_to_string(format!("/proc/{pid}/status")).unwrap() }
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap()
    }

    fn said(&self, field: &str) -> &str {
        self.status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim()
    }

    /// Where its root is for this process.
    fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.pid).into()
    }

    /// Names in a folder of its root.
    fn names(&self, folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.root().join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Interfaces of its network.
    pub fn interfaces(&self) -> BTreeSet<String> {
        let text = self.file("net/dev");
        text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
    }

    /// Everything in its root that is no folder, but for what the kernel shows there.
    fn files(&self) -> BTreeSet<String> {
        let (root, mut found, mut folders) = (self.root(), BTreeSet::new(), vec![PathBuf::new()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder)).unwrap().map(Result::unwrap) {
                let path = folder.join(entry.file_name());
                match entry.file_type().unwrap().is_dir() {
                    true if ["dev", "proc", "sys"].iter().any(|name| path == Path::new(name)) => {}
                    true => folders.push(path),
                    false => drop(found.insert(path.display().to_string())),
                }
            }
        }
        found
    }

    /// Where the files lead that it has open, and whether it can write to them.
    fn open(&self) -> Vec<(PathBuf, bool)> {
        let numbers = fs::read_dir(format!("/proc/{}/fd", self.pid)).unwrap().map(Result::unwrap);
        let of = |entry: fs::DirEntry| {
            let about = self.file(&format!("fdinfo/{}", entry.file_name().display()));
            let flags = about.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_owned();
            let flags = i32::from_str_radix(&flags, 8).unwrap();
            let may_write = flags & libc::O_ACCMODE != libc::O_RDONLY;
            (fs::read_link(entry.path()).unwrap(), may_write && !is_sealed(&entry.path()))
        };
        numbers.map(of).collect()
    }

    /// Its root holds the program, what that needs to start, `others`, and what every sandbox is told of itself.
    pub fn check_files(&self, program: &Path, others: &[&str]) {
        let output = Command::new("ldd").arg(program).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let libraries = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
        let mut expect: BTreeSet<_> = libraries.map(|path| path[1..].to_owned()).collect();
        if !expect.is_empty() {
            expect.insert(program.strip_prefix("/").unwrap().display().to_string());
        }
        expect.extend(others.iter().map(ToString::to_string));
        let (told, files): (BTreeSet<_>, _) = self.files().into_iter().partition(|path| path.starts_with("etc/"));
        assert_eq!(files, expect);
        assert!(told.iter().all(|path| TOLD.contains(&&path[4..])), "{told:?}");
    }

    /// What it has open is what its machine is made of, which lies in these folders and which it can only read, but for one disk without a
    /// name.
    pub fn check_open(&self, folders: &[&Path]) {
        let mut written = BTreeSet::new();
        for (link, writes) in self.open() {
            match &link {
                link if link.starts_with(place::base().join("scratch")) => drop(written.insert(link.clone())),
                link if folders.iter().any(|folder| link.starts_with(folder)) || *link == Path::new(TEMPLATE) => {
                    assert!(!writes, "{} can be written to", link.display());
                }
                // The folder that both sides have is attached nowhere; the rest is the program's own.
                link => {
                    let text = link.to_string_lossy();
                    let kinds = ["socket:", "anon_inode:", "/dev/net/tun"];
                    let own = kinds.iter().any(|kind| text.starts_with(kind));
                    assert!(own || ["/", "/dev/null"].contains(&&*text), "{text}");
                }
            }
        }
        // It may be open more than once.
        assert_eq!(written.len(), 1, "{written:?}");
    }

    /// Its `/dev` has these and no others, where it was given one; the host's own are for its user alone.
    pub fn check_devices<'a>(&self, expect: impl Iterator<Item = &'a str>) {
        let expect: BTreeSet<_> = expect.collect();
        let own = |name: &&&str| ["kvm", "net/tun"].contains(*name);
        let given: Vec<_> = expect.iter().filter(own).collect();
        let top: BTreeSet<_> = expect.iter().map(|name| name.split('/').next().unwrap().to_owned()).collect();
        let names = self.names("dev");
        match given.is_empty() {
            // The one of all sandboxes.
            true => assert!(!names.contains("kvm") && !names.contains("net"), "{names:?}"),
            false => assert_eq!(names, top),
        }
        let user: u32 = self.said("Uid:").split_whitespace().next().unwrap().parse().unwrap();
        for name in given {
            let found = fs::metadata(self.root().join("dev").join(name)).unwrap();
            assert_eq!((found.uid(), found.mode() & 0o777), (user, 0o600), "{name}");
        }
        assert!(self.names("dev/net").iter().all(|name| name == "tun"), "{:?}", self.names("dev/net"));
    }

    /// Its user, its namespaces, its groups, its system calls, and that it can do nothing about any of these.
    pub fn check(&self, launcher: u32) {
        let ids = |field| self.said(field).split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>();
        let is_root = rustix::process::getuid().is_root();
        assert!(
            !is_root || ["Uid:", "Gid:", "Groups:"].into_iter().flat_map(ids).all(|id| id >= 65536),
            "{}",
            self.status
        );
        for field in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(self.said(field), "0000000000000000", "{field}");
        }
        // Each thread has its own.
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap().map(Result::unwrap) {
            let status = fs::read_to_string(thread.path().join("status")).unwrap();
            let has = |line: &str| status.lines().any(|found| found == line);
            assert!(has("Seccomp:\t2") && has("NoNewPrivs:\t1") && has("CapEff:\t0000000000000000"), "{status}");
        }
        for namespace in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
            let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
            let own = of(&self.pid.to_string());
            assert!(own != of("self") && own != of(&launcher.to_string()), "{namespace}: {own:?}");
        }
        let machine_id = |root: &Path| fs::read_to_string(root.join("etc/machine-id")).ok();
        assert!(machine_id(&self.root()).is_none_or(|own| Some(own) != machine_id(Path::new("/"))));
        let groups = self.file("cgroup");
        assert!(groups.contains(&format!("/cofferdam/{launcher}-")), "{groups}");
        let mounts = self.file("mountinfo");
        let top = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        assert!(top.split(' ').nth(5).is_some_and(|options| options.split(',').any(|option| option == "ro")), "{top}");
    }
}

/// Nobody can write to it, whatever it was opened for.
fn is_sealed(file: &Path) -> bool {
    use rustix::fs::{SealFlags, fcntl_get_seals};
    let found = fs::metadata(file).is_ok_and(|found| found.is_file()).then(|| fs::File::open(file).ok()).flatten();
    found.is_some_and(|file| fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}
