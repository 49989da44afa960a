//! Links among what is archived. For a link stands what is in the regular file of the workspace that it leads to, through no folder that is a
//! link itself; one that leads elsewhere is left out. All of that is text here: what lies at a path, the sandbox is asked.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::limits::MAX_STASH_BYTES;
use model::request::FileSet;
use tar::EntryType;
use wire::init::TarLimits;

use crate::below::inside;
use crate::failure::Trouble;
use crate::job::Job;
use crate::plain::Plain;
use crate::stash::unnamed;

/// Links of one archive step.
const MOST_LINKS: usize = 1000;
/// Files that the patterns of those may fit.
const MOST_FOUND: u64 = 100_000;
/// Bytes of the paths that are asked for at once.
const MOST_ASKED_BYTES: usize = 64 << 10;
/// A link that leads to a link, and so on.
const MOST_ROUNDS: usize = 8;
/// What is said of links that are left out, in lines.
const MOST_NOTES: usize = 20;

/// What became of all links.
#[derive(Debug, Default)]
pub struct Followed {
    /// Files in the place of links.
    pub files: Vec<LinkedFile>,
    /// So many lead nowhere that is archived.
    pub left_out: u64,
    /// What is said of those.
    pub notes: Vec<String>,
}

/// A file in the place of a link.
#[derive(Debug)]
pub struct LinkedFile {
    /// The path of the link.
    pub parts: Vec<PathBuf>,
    /// Its user may execute it.
    pub is_executable: bool,
    spool: Arc<File>,
    at: u64,
    bytes: u64,
}

impl LinkedFile {
    /// What is in it.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn content(&self) -> std::io::Result<impl Read + '_> {
        let mut spool: &File = &self.spool;
        spool.seek(SeekFrom::Start(self.at))?;
        Ok(spool.take(self.bytes))
    }

    /// The same file in the place of another link.
    fn for_link(&self, parts: Vec<PathBuf>) -> LinkedFile {
        LinkedFile { parts, spool: Arc::clone(&self.spool), ..*self }
    }
}

/// A link that is looked through.
struct Link {
    parts: Vec<PathBuf>,
    /// Where it leads, below the workspace.
    target: String,
}

/// Looks through the links in a tar stream of the files of `dir`.
pub async fn follow(job: &Job, scratch: &Path, dir: &str, tar: &File) -> Result<Followed, Trouble> {
    let failed = |error: std::io::Error| Trouble::infrastructure(format!("cannot keep artifacts: {error}"));
    let found = read(Arc::new(tar.try_clone().map_err(failed)?)).await.map_err(failed)?;
    let (mut followed, mut links) = (Followed::default(), Vec::new());
    for (path, target) in found.links {
        let Some(parts) = inside(Path::new(&path)) else { continue };
        match resolved(&job.workspace, &format!("{dir}/{path}"), &target) {
            Some(_) if links.len() >= MOST_LINKS => followed.leave_out(&parts, "is one of too many links"),
            Some(target) => links.push(Link { parts, target }),
            None => followed.leave_out(&parts, "is a link that leads out of the workspace"),
        }
    }
    let (mut plain, mut room) = (Plain::of(job), MAX_STASH_BYTES);
    for _ in 0..MOST_ROUNDS {
        let (asked, rest) = wanted(&mut plain, job, links, &mut followed).await?;
        if asked.is_empty() {
            return Ok(followed);
        }
        let spool = unnamed(scratch)?;
        let out = tokio::fs::File::from_std(spool.try_clone().map_err(failed)?);
        let targets: HashSet<&str> = asked.iter().map(|link| link.target.as_str()).collect();
        let includes = targets.iter().map(|target| pattern(target)).collect::<Vec<_>>().join(",");
        let files = FileSet { dir: job.workspace.clone(), includes, case_sensitive: true, ..FileSet::default() };
        let limits = TarLimits { bytes: MAX_STASH_BYTES, entries: MOST_FOUND };
        job.session.get_tar(Some(job.user.clone()), files, limits, out).await?;
        let found = read(Arc::new(spool)).await.map_err(failed)?;
        links = followed.take(job, found, asked, &mut room);
        links.extend(rest);
    }
    links.iter().for_each(|link| followed.leave_out(&link.parts, "is a link that leads to too many others"));
    Ok(followed)
}

/// Those that are asked for now, and those that have no room beside them.
async fn wanted(
    plain: &mut Plain<'_>,
    job: &Job,
    links: Vec<Link>,
    followed: &mut Followed,
) -> Result<(Vec<Link>, Vec<Link>), Trouble> {
    let (mut asked, mut rest, mut bytes) = (Vec::new(), Vec::new(), 0);
    for link in links {
        if bytes + link.target.len() > MOST_ASKED_BYTES {
            rest.push(link);
        } else if plain.is_at(&format!("{}/{}", job.workspace, link.target)).await? {
            bytes += link.target.len() + 1;
            asked.push(link);
        } else {
            followed.leave_out(&link.parts, "is a link that leads through a link");
        }
    }
    Ok((asked, rest))
}

impl Followed {
    fn leave_out(&mut self, parts: &[PathBuf], why: &str) {
        self.left_out += 1;
        if self.notes.len() < MOST_NOTES {
            self.notes.push(format!("not archived: {} {why}", parts.iter().collect::<PathBuf>().display()));
        }
    }

    /// What came of those that were asked for; the links that lead to links. `room`: so many bytes may still be kept.
    fn take(&mut self, job: &Job, found: Contents, asked: Vec<Link>, room: &mut u64) -> Vec<Link> {
        let mut further = Vec::new();
        for Link { parts, target } in asked {
            match (found.files.get(&target), found.links.iter().find(|(path, _)| *path == target)) {
                (Some(file), _) if file.bytes <= *room => {
                    *room -= file.bytes;
                    self.files.push(file.for_link(parts));
                }
                (Some(_), _) => self.leave_out(&parts, "is one of links that are too much together"),
                (None, Some((_, next))) => match resolved(&job.workspace, &format!("{}/{target}", job.workspace), next)
                {
                    Some(target) => further.push(Link { parts, target }),
                    None => self.leave_out(&parts, "is a link that leads out of the workspace"),
                },
                (None, None) => self.leave_out(&parts, "is a link that leads to no regular file"),
            }
        }
        further
    }
}

/// What is in a tar stream.
#[derive(Default)]
struct Contents {
    /// Regular files, by their paths.
    files: HashMap<String, LinkedFile>,
    /// Each with where it leads.
    links: Vec<(String, String)>,
}

async fn read(spool: Arc<File>) -> std::io::Result<Contents> {
    let read = tokio::task::spawn_blocking(move || contents(&spool));
    read.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Names that are no text are nobody's here: what they name is left out where it is a link.
fn contents(spool: &Arc<File>) -> std::io::Result<Contents> {
    let mut of_spool: &File = spool;
    of_spool.seek(SeekFrom::Start(0))?;
    let (mut archive, mut contents) = (tar::Archive::new(BufReader::new(of_spool)), Contents::default());
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        match entry.header().entry_type() {
            EntryType::Regular => {
                let is_executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
                let (at, bytes, spool) = (entry.raw_file_position(), entry.size(), Arc::clone(spool));
                contents.files.insert(path, LinkedFile { parts: Vec::new(), is_executable, spool, at, bytes });
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
                contents.links.push((path, target.unwrap_or_default()));
            }
            _ => {}
        }
    }
    Ok(contents)
}

/// Where the link at `path` leads, below the workspace; none: elsewhere.
fn resolved(workspace: &str, path: &str, target: &str) -> Option<String> {
    let from = if target.starts_with('/') { "" } else { path.rsplit_once('/')?.0 };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let whole = format!("/{}", parts.join("/"));
    whole.strip_prefix(workspace)?.strip_prefix('/').map(str::to_owned)
}

/// A pattern that this path fits, and perhaps others: what means something in patterns is any character.
fn pattern(path: &str) -> String {
    path.chars().map(|c| if c == ',' || c == '*' || c.is_whitespace() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_into_the_workspace_or_out_of_it() {
        let check = |path: &str, target: &str, expect: Option<&str>| {
            assert_eq!(resolved("/w/a", path, target).as_deref(), expect, "{path} -> {target}");
        };
        check("/w/a/lib.so", "lib.so.1", Some("lib.so.1"));
        check("/w/a/b/c/l", ".././../x/./y", Some("x/y"));
        check("/w/a/b/l", "/w/a/x", Some("x"));
        check("/w/a/b/l", "../../ab/x", None);
        check("/w/a/l", "/etc/passwd", None);
        check("/w/a/l", "../../../../etc/passwd", None);
        check("/w/a/l", "..", None);
        check("/w/a/l", ".", None);
        assert_eq!(pattern("a b/*x,y?"), "a?b/?x?y?");
    }

    #[test]
    fn the_content_of_a_file_is_had_as_often_as_links_lead_to_it() {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, content) in [("a", "first"), ("b", "second")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(if name == "b" { 0o755 } else { 0o644 });
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "l", "b").unwrap();
        let contents = contents(&Arc::new(builder.into_inner().unwrap())).unwrap();
        assert_eq!(contents.links, [("l".to_owned(), "b".to_owned())]);
        for name in ["x", "y"] {
            let file = contents.files["b"].for_link(vec![name.into()]);
            assert_eq!(std::io::read_to_string(file.content().unwrap()).unwrap(), "second");
            assert_eq!((file.is_executable, &*file.parts), (true, &[PathBuf::from(name)][..]));
        }
    }
}
