//! What is put into a container before a workload sees it: init, the workspace, an entry for a user whom the image does not know.
//!
//! Nothing of it is written through a link of the image: each path is walked first, as the container's own kernel would, and what
//! is sent names folders without links.

use launcher::accounts::{UNKNOWN_HOME, resolve, unknown_entry};
use launcher::protocol::{Fault, FaultKind, Ids, Made};
use sandbox::{CreateError, SandboxSpec};

use crate::seen::{Found, Look};

/// Parts of the root that belong to the kernel.
const OF_KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// One entry of the archive that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Absolute, without links.
    path: String,
    /// Of a file; `None`: a folder.
    content: Option<Vec<u8>>,
    /// Owner, group, mode.
    held: (u64, u64, u32),
}

/// What goes in.
pub(crate) struct Inside {
    /// Who the workload is.
    pub(crate) made: Made,
    entries: Vec<Entry>,
}

impl Inside {
    /// Looks at the image, and decides. In a read-only root nothing can be changed: workspace and home are not made there.
    pub(crate) async fn of(spec: &SandboxSpec, look: &mut Look<'_>) -> Result<Inside, CreateError> {
        let (passwd_place, passwd) = look.file("/etc/passwd").await?;
        let (_, group) = look.file("/etc/group").await?;
        let passwd = passwd.unwrap_or_default();
        let made = resolve(&spec.user, &passwd.text, &group.unwrap_or_default().text).map_err(refused)?;
        let mut inside = Inside { made, entries: Vec::new() };
        if spec.read_only_root {
            return Ok(inside);
        }
        let user = inside.made.user;
        let workspace = spec.workspace.path.trim_end_matches('/');
        inside.own(look, workspace, user).await?;
        // Jenkins keeps what belongs to a step, but not to the project, beside the workspace.
        inside.own(look, &format!("{workspace}@tmp"), user).await?;
        if let Some(entry) = unknown_entry(user, &passwd.text) {
            // Where the image leaves no place for a home, there is none, and no entry.
            let before = inside.entries.len();
            let (folder, _) = passwd_place.rsplit_once('/').unwrap_or_default();
            let placed = inside.own(look, UNKNOWN_HOME, user).await.is_ok() && inside.exists(look, folder).await;
            if placed && matches!(look.found(&passwd_place).await?, Found::Other | Found::Missing) {
                let held = if passwd.text.is_empty() { (0, 0, 0o644) } else { passwd.held };
                let content = Some(format!("{}{entry}", passwd.text).into_bytes());
                inside.entries.push(Entry { path: passwd_place, content, held });
                inside.made.home = UNKNOWN_HOME.into();
            } else {
                inside.entries.truncate(before);
            }
        }
        Ok(inside)
    }

    /// Adds a program at the top of the root.
    pub(crate) fn add_program(&mut self, path: &str, program: &[u8]) {
        self.entries.push(Entry { path: path.into(), content: Some(program.to_vec()), held: (0, 0, 0o555) });
    }

    /// Makes a folder with its parents, and gives it to the user.
    async fn own(&mut self, look: &mut Look<'_>, path: &str, user: Ids) -> Result<(), CreateError> {
        let (there, mode, missing) = walk(look, path).await?;
        let held = |mode| (u64::from(user.uid), u64::from(user.gid), mode);
        if missing.is_empty() {
            // The image may have the folder already, closed to its owner.
            self.entries.push(Entry { path: there, content: None, held: held(mode | 0o700) });
            return Ok(());
        }
        let mut path = there;
        for (index, part) in missing.iter().enumerate() {
            path = format!("{}/{part}", path.trim_end_matches('/'));
            let last = index + 1 == missing.len();
            let held = if last { held(0o755) } else { (0, 0, 0o755) };
            self.entries.push(Entry { path: path.clone(), content: None, held });
        }
        Ok(())
    }

    async fn exists(&self, look: &mut Look<'_>, folder: &str) -> bool {
        matches!(look.found(folder).await, Ok(Found::Folder { .. } | Found::Missing))
    }

    /// The archive, for the root of a container; `None` where there is nothing to put in.
    pub(crate) fn archive(&self) -> Result<Option<Vec<u8>>, CreateError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let written = (|| {
            let mut archive = tar::Builder::new(Vec::new());
            for entry in &self.entries {
                append(&mut archive, entry)?;
            }
            archive.into_inner()
        })();
        written
            .map(Some)
            .map_err(|source| CreateError::Kernel { operation: "write what is put into a container".into(), source })
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    let (uid, gid, mode) = entry.held;
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mode(mode);
    let content = entry.content.as_deref().unwrap_or_default();
    header.set_size(content.len() as u64);
    let mut path = entry.path.trim_start_matches('/').to_owned();
    if entry.content.is_none() {
        header.set_entry_type(tar::EntryType::Directory);
        path.push('/');
    }
    archive.append_data(&mut header, path, content)
}

/// An archive with one program.
pub(crate) fn one_program(name: &str, program: &[u8]) -> Result<Vec<u8>, CreateError> {
    let made = Made { user: Ids { uid: 0, gid: 0 }, groups: Vec::new(), home: String::new() };
    let mut inside = Inside { made, entries: Vec::new() };
    inside.add_program(&format!("/{name}"), program);
    Ok(inside.archive()?.unwrap_or_default())
}

/// How far a path exists: the folder without links, its mode, and the parts that are missing below.
async fn walk(look: &mut Look<'_>, path: &str) -> Result<(String, u32, Vec<String>), CreateError> {
    let refuse = |what: String| Err(CreateError::Spec { what });
    let (mut there, mut mode, mut missing) = (String::new(), 0o755, Vec::new());
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if !missing.is_empty() {
            missing.push(part.to_owned());
            continue;
        }
        let next = format!("{there}/{part}");
        match look.found(&next).await? {
            Found::Missing => missing.push(part.to_owned()),
            Found::Folder { mode: found } => (there, mode) = (next, found),
            Found::Other => return refuse(format!("{next} is no folder")),
            Found::Link { target } => match look.found(&target).await? {
                Found::Folder { mode: found } => (there, mode) = (target, found),
                Found::Missing => return refuse(format!("{next} is a link to nowhere")),
                _ => return refuse(format!("{next} is no folder")),
            },
        }
        if OF_KERNEL.iter().any(|top| there == *top || there.starts_with(&format!("{top}/"))) {
            return refuse(format!("{path} leads into a file system of the kernel"));
        }
    }
    if missing.is_empty() && matches!(there.as_str(), "" | "/") {
        return refuse(format!("{path} is the root itself"));
    }
    Ok((there, mode, missing))
}

fn refused(fault: Fault) -> CreateError {
    match fault.kind {
        FaultKind::UnknownUser => CreateError::UnknownUser { name: fault.what },
        _ => CreateError::Spec { what: fault.what },
    }
}
