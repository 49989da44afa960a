//! The `.git` of a checkout: what `git describe`, `git log` or `git rev-parse` in a step need. It holds the commit, what is
//! reachable from it and the tags on the way, and nothing else of the repository that it comes from: no other branch, no
//! configuration, no hook, no password.

use std::fs::File;
use std::io::{Seek as _, Write};
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use super::git::{git, hardened_git, words};
use super::{LocalProject, ScmError};

/// Larger histories are cut off behind the commit, as a clone with `--depth 1` has it: a workspace is in memory.
const MAX_HISTORY_BYTES: u64 = 256 << 20;

/// A packed `.git`, made once a run.
#[derive(Debug)]
pub struct Packed {
    /// A tar stream in a file without a name.
    pub tar: File,
    /// What is worth saying about it.
    pub note: Option<String>,
}

/// Packs the history of `commit`. `scratch` is a folder for files that are in between.
pub async fn pack(project: &LocalProject, commit: &str, scratch: &Path) -> Result<Packed, ScmError> {
    let failed = |source| ScmError::Read { path: scratch.to_owned(), source };
    std::fs::create_dir_all(scratch).map_err(failed)?;
    let prefix = format!("git-{}-", std::process::id());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(scratch).map_err(failed)?;
    // Who cleans up leaves alone what somebody holds, and what belongs to a process that lives.
    let held = File::open(folder.path()).map_err(failed)?;
    held.lock().map_err(failed)?;

    let (mut whole, index, tags, mut shallow) = tokio::try_join!(
        pack_objects(project, folder.path(), commit, &[]),
        read_tree(project, folder.path(), commit),
        tags(project, commit),
        shallow(project),
    )?;
    let mut note = None;
    if whole.bytes > MAX_HISTORY_BYTES {
        note = Some(format!("the history has {} MiB and is not checked out: .git ends at {commit}", whole.bytes >> 20));
        whole = pack_objects(project, folder.path(), commit, &["--shallow"]).await?;
        shallow = format!("{commit}\n");
    }
    let reference = match project.branch() {
        Some(branch) => format!("{commit} refs/remotes/origin/{branch}\n"),
        None => String::new(),
    };
    let tags = if note.is_some() { String::new() } else { tags };
    let texts = [
        ("HEAD", format!("{commit}\n")),
        ("config", config(project, commit)),
        ("packed-refs", format!("# pack-refs with: peeled fully-peeled sorted \n{reference}{tags}")),
        ("shallow", shallow),
    ];
    let spool = crate::stash::unnamed(scratch).map_err(|trouble| failed(std::io::Error::other(trouble.0.message)))?;
    let tar = write(spool, &texts, &index, &whole).map_err(failed)?;
    Ok(Packed { tar, note })
}

struct Objects {
    /// Path without the ending.
    stem: std::path::PathBuf,
    bytes: u64,
}

async fn pack_objects(project: &LocalProject, folder: &Path, commit: &str, more: &[&str]) -> Result<Objects, ScmError> {
    let git_failed = |message: String| ScmError::Git { command: "pack-objects", message };
    let mut child = hardened_git(&project.dir)
        // What is packed already is copied as it is, and nothing is compressed better than it was.
        .args(["-c", "core.fsync=none", "-c", "pack.compression=1"])
        .args(["pack-objects", "--quiet", "--revs", "--include-tag", "--delta-base-offset", "--window=0"])
        .args(more)
        .arg(folder.join("pack"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(ScmError::Start)?;
    let cut = if more.is_empty() { String::new() } else { format!("--shallow {commit}\n") };
    if let Some(mut stdin) = child.stdin.take() {
        // When it does not listen, its exit code says why.
        let _ = stdin.write_all(format!("{cut}{commit}\n").as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(ScmError::Start)?;
    if !output.status.success() {
        return Err(git_failed(words(&output.stderr)));
    }
    let stem = folder.join(format!("pack-{}", String::from_utf8_lossy(&output.stdout).trim()));
    let bytes = std::fs::metadata(stem.with_extension("pack")).map_err(|e| git_failed(e.to_string()))?.len();
    Ok(Objects { stem, bytes })
}

/// The index of the commit, so that git sees what a step changes. Returns its path.
async fn read_tree(project: &LocalProject, folder: &Path, commit: &str) -> Result<std::path::PathBuf, ScmError> {
    let index = folder.join("index");
    let output = hardened_git(&project.dir)
        .args(["read-tree", commit])
        .env("GIT_INDEX_FILE", &index)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(ScmError::Start)?;
    if output.status.success() {
        Ok(index)
    } else {
        Err(ScmError::Git { command: "read-tree", message: words(&output.stderr) })
    }
}

/// Lines of `packed-refs` for the tags that `git describe` may find.
async fn tags(project: &LocalProject, commit: &str) -> Result<String, ScmError> {
    let merged = format!("--merged={commit}");
    let format = "--format=%(objectname) %(refname)%(if)%(*objectname)%(then)%0a^%(*objectname)%(end)";
    git(&project.dir, "for-each-ref", &["for-each-ref", &merged, format, "refs/tags"]).await
}

/// Where the history of the repository itself is cut off.
async fn shallow(project: &LocalProject) -> Result<String, ScmError> {
    let path = git(&project.dir, "rev-parse", &["rev-parse", "--git-path", "shallow"]).await?;
    Ok(std::fs::read_to_string(project.dir.join(path.trim_end())).unwrap_or_default())
}

fn config(project: &LocalProject, commit: &str) -> String {
    let is_sha256 = commit.len() == 64;
    let mut text = format!(
        "[core]\n\trepositoryformatversion = {}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n",
        u8::from(is_sha256)
    );
    if is_sha256 {
        text += "[extensions]\n\tobjectformat = sha256\n";
    }
    if let Some(url) = project.known("GIT_URL") {
        let quoted: String = url.chars().filter(|c| !c.is_control()).collect();
        let quoted = quoted.replace('\\', "\\\\").replace('"', "\\\"");
        text += &format!("[remote \"origin\"]\n\turl = \"{quoted}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
    }
    text
}

fn write(spool: File, texts: &[(&str, String)], index: &Path, objects: &Objects) -> std::io::Result<File> {
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(256 * 1024, spool));
    let header = |kind: tar::EntryType, mode: u32, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header
    };
    for folder in ["", "objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags", "info"] {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, format!(".git/{folder}"), std::io::empty())?;
    }
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        let mut header = header(tar::EntryType::Regular, 0o644, text.len() as u64);
        tar.append_data(&mut header, format!(".git/{name}"), text.as_bytes())?;
    }
    let mut file = |path: &Path, name: &str, mode: u32| {
        let mut content = File::open(path)?;
        let mut header = header(tar::EntryType::Regular, mode, content.metadata()?.len());
        tar.append_data(&mut header, name, &mut content)
    };
    file(index, ".git/index", 0o644)?;
    for ending in ["pack", "idx"] {
        let path = objects.stem.with_extension(ending);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        file(&path, &format!(".git/objects/pack/{name}"), 0o444)?;
    }
    let mut out = tar.into_inner()?;
    out.flush()?;
    let mut spool = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    spool.rewind()?;
    Ok(spool)
}
