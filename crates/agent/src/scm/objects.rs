//! The files of a commit as a tar stream, from the objects themselves.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::ScmError;
use super::git::{hardened_git, words};

/// Longest target of a link.
const MAX_LINK: u64 = 64 * 1024;

/// A file of a commit.
pub(super) struct Entry {
    path: PathBuf,
    kind: Kind,
    object: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File {
        mode: u32,
    },
    Link,
    /// Of another repository: an empty folder.
    Submodule,
}

impl Entry {
    /// Its path; that of a folder ends with a slash.
    pub(super) fn name(&self) -> String {
        let slash = if self.kind == Kind::Submodule { "/" } else { "" };
        format!("{}{slash}", self.path.display())
    }
}

/// What a commit holds below `prefix` (`""`: everything).
pub(super) async fn list(dir: &Path, commit: &str, prefix: &str) -> Result<Vec<Entry>, ScmError> {
    let tree = match prefix.trim_end_matches('/') {
        "" => commit.to_owned(),
        prefix => format!("{commit}:{prefix}"),
    };
    let output = hardened_git(dir)
        .args(["ls-tree", "-r", "-z", "--full-tree", &tree])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(ScmError::Start)?;
    let failed = |message: String| ScmError::Git { command: "ls-tree", message };
    if !output.status.success() {
        return Err(failed(words(&output.stderr)));
    }
    let lines = output.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines.map(|line| entry(line).ok_or_else(|| failed(String::from_utf8_lossy(line).into_owned()))).collect()
}

/// `100644 blob OBJECT<tab>PATH`
fn entry(line: &[u8]) -> Option<Entry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let mut facts = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
    let (mode, _, object) = (facts.next()?, facts.next()?, facts.next()?.to_owned());
    let kind = match mode {
        "100755" => Kind::File { mode: 0o755 },
        "120000" => Kind::Link,
        "160000" => Kind::Submodule,
        _ => Kind::File { mode: 0o644 },
    };
    Some(Entry { path: OsStr::from_bytes(&line[tab + 1..]).into(), kind, object })
}

/// Writes the files. `git` is ready for its command.
pub(super) fn write(mut git: Command, entries: &[Entry], out: File) -> Result<(), ScmError> {
    git.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = git.spawn().map_err(ScmError::Start)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let failed = |error: io::Error| ScmError::Git { command: "cat-file", message: error.to_string() };
    let written = std::thread::scope(|scope| {
        // It answers while it is still asked.
        scope.spawn(move || ask(stdin?, entries).ok());
        let stdout = stdout.ok_or_else(|| io::Error::other("it has no output"))?;
        answer(BufReader::with_capacity(256 * 1024, stdout), entries, out)
    });
    let status = child.wait().map_err(ScmError::Start)?;
    written.map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(io::Error::other(status.to_string()))),
    }
}

fn ask(stdin: ChildStdin, entries: &[Entry]) -> io::Result<()> {
    let mut stdin = BufWriter::new(stdin);
    for entry in entries.iter().filter(|entry| entry.kind != Kind::Submodule) {
        writeln!(stdin, "{}", entry.object)?;
    }
    stdin.flush()
}

fn answer(mut objects: BufReader<ChildStdout>, entries: &[Entry], out: File) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut tar = tar::Builder::new(BufWriter::with_capacity(64 * 1024, out));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(now);
        let size = if entry.kind == Kind::Submodule { 0 } else { size_of(&mut objects)? };
        match entry.kind {
            Kind::Submodule => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, &entry.path, io::empty())?;
                continue;
            }
            Kind::File { mode } => {
                header.set_mode(mode);
                header.set_size(size);
                tar.append_data(&mut header, &entry.path, (&mut objects).take(size))?;
            }
            Kind::Link => {
                let mut target = Vec::new();
                (&mut objects).take(size.min(MAX_LINK)).read_to_end(&mut target)?;
                io::copy(&mut (&mut objects).take(size - target.len() as u64), &mut io::sink())?;
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, &entry.path, OsStr::from_bytes(&target))?;
            }
        }
        // A line break ends each object.
        objects.read_exact(&mut [0])?;
    }
    tar.into_inner()?.flush()
}

/// `OBJECT blob SIZE`
fn size_of(objects: &mut BufReader<ChildStdout>) -> io::Result<u64> {
    let mut line = String::new();
    objects.read_line(&mut line)?;
    let size = line.trim_end().rsplit(' ').next().and_then(|size| size.parse().ok());
    size.ok_or_else(|| io::Error::other(format!("`{}`", line.trim_end())))
}
