//! Objects of a repository one after the other, from one process: how many are started decides how fast a run begins.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::ScmError;
use super::git::hardened_git;

/// The longest line that tells of an object, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Of a listing so many bytes are read, and so many of a folder's folders looked into: whoever made the repository may have made
/// millions.
const MOST_LISTED: usize = 1 << 20;
const MOST_FOLDERS: usize = 64;

/// Reads objects.
pub(crate) struct Objects {
    dir: PathBuf,
    running: Running,
}

struct Running {
    _process: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
}

/// One of them.
pub(crate) struct Object {
    /// Its name.
    pub(crate) id: String,
    /// A file, and no folder or commit.
    pub(crate) is_blob: bool,
    /// `None`: it is larger than was asked for.
    pub(crate) content: Option<Vec<u8>>,
}

/// What a folder holds.
struct Entry {
    path: PathBuf,
    /// As git has it: `100644`.
    mode: String,
    id: String,
}

fn failed(error: impl ToString) -> ScmError {
    ScmError::Git { command: "cat-file", message: error.to_string() }
}

impl Running {
    fn start(dir: &Path) -> Result<Running, ScmError> {
        let mut git = hardened_git(dir);
        git.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = git.kill_on_drop(true).spawn().map_err(ScmError::Start)?;
        let (asked, told) = (process.stdin.take(), process.stdout.take());
        let (Some(asked), Some(told)) = (asked, told) else { return Err(failed("it has no pipes")) };
        Ok(Running { _process: process, asked, told: BufReader::with_capacity(64 << 10, told) })
    }
}

impl Objects {
    /// Of the repository in a folder. What comes into it later is found as well.
    pub(crate) fn open(dir: &Path) -> Result<Objects, ScmError> {
        Ok(Objects { dir: dir.to_owned(), running: Running::start(dir)? })
    }

    /// An object by any of its names (`FETCH_HEAD^{commit}`, `COMMIT:PATH`), and what is in it, if that is at most `most` bytes. `None`:
    /// there is none.
    pub(crate) async fn read(&mut self, name: &str, most: usize) -> Result<Option<Object>, ScmError> {
        // One line is one question.
        if name.contains('\n') {
            return Ok(None);
        }
        let Running { asked, told, .. } = &mut self.running;
        asked.write_all(format!("{name}\n").as_bytes()).await.map_err(failed)?;
        let mut line = Vec::new();
        (&mut *told).take(MAX_LINE).read_until(b'\n', &mut line).await.map_err(failed)?;
        let line = String::from_utf8_lossy(&line);
        if !line.ends_with('\n') {
            return Err(failed("it has ended"));
        }
        // `OBJECT blob SIZE`, or the name and what is wrong with it.
        let facts: Vec<_> = line.trim_end().split(' ').collect();
        let [id, kind, bytes] = facts[..] else { return Ok(None) };
        let Ok(bytes) = bytes.parse::<usize>() else { return Ok(None) };
        let (id, is_blob) = (id.to_owned(), kind == "blob");
        if bytes > most {
            // It may be of any size, and would have to be read to its end.
            self.running = Running::start(&self.dir)?;
            return Ok(Some(Object { id, is_blob, content: None }));
        }
        let mut content = vec![0; bytes];
        told.read_exact(&mut content).await.map_err(failed)?;
        // A line break ends each object.
        told.read_exact(&mut [0]).await.map_err(failed)?;
        Ok(Some(Object { id, is_blob, content: Some(content) }))
    }

    /// Files of a commit that are looked for, in its folder and those in it, as far as they can be looked at cheaply: at most so many, of
    /// at most so many bytes. What cannot be read is not among them.
    pub(crate) async fn near(
        &mut self,
        commit: &str,
        wanted: impl Fn(&Path) -> bool,
        (most, bytes): (usize, usize),
    ) -> Vec<String> {
        let is_wanted = |entry: &Entry| entry.mode.starts_with("100") && wanted(&entry.path);
        let (folders, mut entries): (Vec<_>, Vec<_>) = self
            .listed(&format!("{commit}^{{tree}}"))
            .await
            .into_iter()
            .filter(|entry| entry.mode == "40000" || is_wanted(entry))
            .partition(|entry| entry.mode == "40000");
        for folder in folders.into_iter().take(MOST_FOLDERS) {
            let inner = self.listed(&folder.id).await.into_iter();
            let inner = inner.map(|entry| Entry { path: folder.path.join(&entry.path), ..entry });
            entries.extend(inner.filter(is_wanted).take(most));
        }
        let mut contents = Vec::new();
        // Tries are counted: each that is too large is a process more.
        for entry in entries.iter().take(most) {
            if let Ok(Some(Object { content: Some(content), .. })) = self.read(&entry.id, bytes).await {
                contents.push(String::from_utf8_lossy(&content).into_owned());
            }
        }
        contents
    }

    /// The plain files of a folder (`COMMIT:PATH`), with what is in them, as far as that is at most so many bytes. Nothing, where there is no such folder;
    /// `None`: there are more than so many.
    pub(crate) async fn folder(&mut self, tree: &str, (most, bytes): (usize, usize)) -> Option<Vec<(String, Vec<u8>)>> {
        let entries = self.listed(tree).await;
        if entries.len() > most {
            return None;
        }
        let mut files = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.mode.starts_with("100")) {
            let Ok(name) = entry.path.into_os_string().into_string() else { continue };
            if let Ok(Some(Object { content: Some(content), .. })) = self.read(&entry.id, bytes).await {
                files.push((name, content));
            }
        }
        Some(files)
    }

    /// What a tree holds. Nothing, where it is too large.
    async fn listed(&mut self, tree: &str) -> Vec<Entry> {
        match self.read(tree, MOST_LISTED).await {
            Ok(Some(Object { id, content: Some(content), .. })) => entries(&content, id.len() / 2),
            _ => Vec::new(),
        }
    }
}

/// Of a tree as git keeps it: `MODE NAME<nul>`, and the bytes of an object's name, time and again.
fn entries(mut tree: &[u8], id_bytes: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(end) = tree.iter().position(|byte| *byte == 0) {
        let (head, rest) = (&tree[..end], &tree[end + 1..]);
        let (Some(space), Some((id, rest))) =
            (head.iter().position(|byte| *byte == b' '), rest.split_at_checked(id_bytes))
        else {
            break;
        };
        entries.push(Entry {
            path: PathBuf::from(OsStr::from_bytes(&head[space + 1..])),
            mode: String::from_utf8_lossy(&head[..space]).into_owned(),
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        tree = rest;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever made a repository may have made much.
    #[tokio::test]
    async fn objects_are_read_as_far_as_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let git = |words: &[&str]| {
            let mut command = std::process::Command::new("git");
            let done = command.arg("-C").arg(folder.path()).args(words).output();
            done.is_ok_and(|output| output.status.success())
        };
        if !git(&["init", "-q"]) {
            println!("skipped: git is not installed");
            return;
        }
        let mut objects = Objects::open(folder.path()).unwrap();
        for name in ["web/deep", "x"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let files = [
            ("Dockerfile", "FROM one"),
            ("web/Dockerfile", "FROM two"),
            ("web/deep/Dockerfile", "FROM three"),
            ("x/Dockerfile", "x"),
            ("big", "0123456789"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert!(git(&["add", "."]) && git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]));
        let text = async |objects: &mut Objects, name: &str| {
            let object = objects.read(name, 9).await.unwrap();
            object.map(|object| object.content.map(|content| String::from_utf8(content).unwrap()))
        };
        assert_eq!(
            text(&mut objects, "HEAD:Dockerfile").await,
            Some(Some("FROM one".to_owned())),
            "made after it began"
        );
        assert_eq!(text(&mut objects, "HEAD:big").await, Some(None));
        assert_eq!(
            text(&mut objects, "HEAD:web/Dockerfile").await,
            Some(Some("FROM two".to_owned())),
            "after what is too large"
        );
        for none in ["HEAD:none", "a b", "HEAD:a b", "HEAD:Dockerfile\nHEAD:big"] {
            assert_eq!(text(&mut objects, none).await, None, "{none}");
        }
        let near = async |objects: &mut Objects, limits| {
            objects.near("HEAD", |path| path.ends_with("Dockerfile"), limits).await
        };
        assert_eq!(near(&mut objects, (9, 100)).await, ["FROM one", "FROM two", "x"]);
        assert_eq!(near(&mut objects, (1, 100)).await, ["FROM one"]);
        assert_eq!(near(&mut objects, (9, 5)).await, ["x"]);
        assert_eq!(near(&mut objects, (2, 5)).await, [""; 0], "each that is too large is a try");
        let is_blob = async |objects: &mut Objects, name| objects.read(name, 100).await.unwrap().unwrap().is_blob;
        assert!(is_blob(&mut objects, "HEAD:big").await && !is_blob(&mut objects, "HEAD:web").await);
        let text = crate::mentions::of_commit("zero", &mut objects, "HEAD").await;
        assert_eq!(text, "zero\nFROM one\nFROM two\nx");
    }
}
