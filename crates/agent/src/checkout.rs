//! What is in a folder when files of a repository come there. What the last checkout put there and the new one does not have goes, as
//! `git checkout -f` has it, and what is in the way of a file; what else others made stays, unless the checkout is to clear it. git
//! knows by its index: here the names are kept, for not every checkout has a repository, and an image need not have git.
//!
//! Files go as the job's user, inside, and never through a link.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::StreamExt as _;
use model::git::Clearing;
use model::request::{FileSet, FoundFile};
use sandbox::session::SessionError;

use crate::failure::Trouble;
use crate::job::Job;

/// What is said of a file of a checkout that could not be made.
pub const PASSED_OVER: &str = "not checked out";
/// Bytes of the names that are kept of all checkouts into a workspace: whoever makes a repository may make names.
const MOST_REMEMBERED: usize = 32 << 20;
/// Files of a folder that are looked at.
const MOST_LISTED: u64 = 1_000_000;
/// Files of which it is said that they could not be taken away.
const MOST_NOTES: usize = 10;
/// What is taken away at once.
const AT_ONCE: usize = 8;

/// Names of a checkout's files, below its folder. Those of folders end with a slash: they are there for repositories within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(String);

impl FromIterator<String> for Names {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Names {
        let mut all = String::new();
        for name in names {
            all += &name;
            all.push('\0');
        }
        Names(all)
    }
}

impl Names {
    /// Of all that is in a list.
    pub fn of(found: &[FoundFile]) -> Names {
        let files = found.iter().filter(|file| !file.is_folder).map(|file| file.path.clone());
        files.chain(empty_folders(found).map(|path| format!("{path}/"))).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator('\0')
    }
}

/// What the checkouts of a job and those who share its workspace put there, by folder.
#[derive(Debug, Default)]
pub struct Checkouts(BTreeMap<String, Names>);

impl Checkouts {
    /// Keeps the names of a folder, if there is room for them.
    fn remember(&mut self, dir: &str, names: Option<Names>) -> bool {
        self.0.remove(dir);
        let kept: usize = self.0.iter().map(|(dir, names)| dir.len() + names.0.len()).sum();
        let Some(names) = names.filter(|names| kept + dir.len() + names.0.len() <= MOST_REMEMBERED) else {
            return false;
        };
        self.0.insert(dir.to_owned(), names);
        true
    }

    /// Forgets those within a folder, too.
    fn forget(&mut self, dir: &str) {
        self.0.retain(|known, _| known != dir && below(known, dir).is_none());
    }

    /// The folders of others within one, below that.
    fn within(&self, dir: &str) -> HashSet<String> {
        self.0.keys().filter_map(|known| below(known, dir)).map(str::to_owned).collect()
    }
}

fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    path.strip_prefix(dir)?.strip_prefix('/')
}

/// Makes a folder ready for a checkout. `names`: what will come; `None`: more than can be told. Returns what is worth saying.
pub async fn prepare(job: &Job, dir: &str, names: Option<Names>, clearing: Clearing) -> Result<Vec<String>, Trouble> {
    let user = || Some(job.user.clone());
    let mut notes = Vec::new();
    if clearing == Clearing::Everything {
        job.session.remove_tree(user(), dir, true).await?;
        job.checkouts.lock().await.forget(dir);
    } else {
        let (before, others) = {
            let checkouts = job.checkouts.lock().await;
            (checkouts.0.get(dir).cloned().unwrap_or_default(), checkouts.within(dir))
        };
        let fate = names.as_ref().map(|names| Fate::new(&before, names, (clearing, others)));
        if let Some(fate) = fate.filter(Fate::may_take) {
            // What git keeps for itself is none of it; that there is a repository shows.
            let files = FileSet {
                dir: dir.to_owned(),
                includes: "**".to_owned(),
                excludes: "**/.git/*/**".to_owned(),
                case_sensitive: true,
                ..FileSet::default()
            };
            match job.session.list(user(), files, (true, false), MOST_LISTED).await {
                Ok(found) => {
                    let takes = fate.takes(&found);
                    let paths: Vec<_> = takes.into_iter().map(|path| format!("{dir}/{path}")).collect();
                    let remove = async |path: String| job.session.remove_tree(user(), &path, false).await;
                    let removals = futures_util::stream::iter(paths).map(remove).buffer_unordered(AT_ONCE);
                    let failed: Vec<_> = removals.filter_map(async |removed| removed.err()).collect().await;
                    for error in failed {
                        match error {
                            // As git has it: who asks for a clean folder is not given another.
                            SessionError::Operation(_) if clearing.is_usual() => notes.push(error.to_string()),
                            error => return Err(error.into()),
                        }
                    }
                    notes.truncate(MOST_NOTES);
                }
                Err(error @ (SessionError::Operation(_) | SessionError::TooLarge(_))) => {
                    notes.push(format!("what was in {dir} before stays there: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    if !job.checkouts.lock().await.remember(dir, names) {
        notes.push(format!("too many files to tell one checkout's from another's: those of this one stay in {dir}"));
    }
    Ok(notes)
}

/// What becomes of each file of a folder.
struct Fate<'a> {
    before: HashSet<&'a str>,
    now: HashSet<&'a str>,
    clearing: Clearing,
    /// Folders of other checkouts.
    others: HashSet<String>,
}

impl<'a> Fate<'a> {
    fn new(before: &'a Names, now: &'a Names, (clearing, others): (Clearing, HashSet<String>)) -> Fate<'a> {
        Fate { before: before.iter().collect(), now: now.iter().collect(), clearing, others }
    }

    /// Whether anything can go.
    fn may_take(&self) -> bool {
        !self.clearing.is_usual() || !self.before.is_subset(&self.now)
    }

    /// Whether a file, or a folder with nothing in it, goes. `repositories`: the folders of others that are there.
    fn takes_one(&self, file: &FoundFile, repositories: &HashSet<&str>) -> bool {
        let path = file.path.as_str();
        let is_of = |names: &HashSet<&str>| {
            names.contains(path) || file.is_folder && names.contains(format!("{path}/").as_str())
        };
        // A repository within the new one has files of its own.
        let is_kept = || above(path).any(|folder| self.now.contains(format!("{folder}/").as_str()));
        if path == ".git" || is_of(&self.now) || is_kept() {
            return false;
        }
        // What is in a folder that has to be a file is in its way.
        if is_of(&self.before) || above(path).any(|folder| self.now.contains(folder)) {
            return true;
        }
        let is_others = || {
            let mut folders = std::iter::once(path).chain(above(path));
            folders.any(|folder| repositories.contains(folder) || self.others.contains(folder))
        };
        match self.clearing {
            Clearing::Usual => false,
            Clearing::Untracked => !is_others(),
            Clearing::Repositories | Clearing::Everything => true,
        }
    }

    /// What goes of what is there: files, and whole folders of which nothing stays.
    fn takes<'f>(&self, found: &'f [FoundFile]) -> BTreeSet<&'f str> {
        // Those that came along are as much of it as all else.
        let others = found.iter().filter(|file| !self.now.contains(file.path.as_str()));
        let repositories = others.filter_map(|file| file.path.strip_suffix("/.git")).collect();
        let empty: HashSet<_> = empty_folders(found).collect();
        let (gone, kept): (Vec<_>, Vec<_>) = found
            .iter()
            .filter(|file| !file.is_folder || empty.contains(file.path.as_str()))
            .partition(|file| self.takes_one(file, &repositories));
        let mut holds = HashSet::new();
        for file in kept {
            // Those above a folder that is known are known, too.
            above(&file.path).take_while(|folder| holds.insert(*folder)).for_each(drop);
        }
        let whole = |path: &'f str| above(path).take_while(|folder| !holds.contains(folder)).last().unwrap_or(path);
        gone.into_iter().map(|file| whole(&file.path)).collect()
    }
}

/// The folders of a list in which nothing is.
pub fn empty_folders(found: &[FoundFile]) -> impl Iterator<Item = &str> {
    let full: HashSet<_> = found.iter().filter_map(|file| above(&file.path).next()).collect();
    found.iter().filter(|file| file.is_folder).map(|file| file.path.as_str()).filter(move |path| !full.contains(path))
}

/// The folders that a path is in, the nearest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list as init makes it: what ends with a slash is a folder.
    fn listed(paths: &[&str]) -> Vec<FoundFile> {
        let one = |path: &&str| FoundFile {
            path: path.trim_end_matches('/').to_owned(),
            is_folder: path.ends_with('/'),
            ..FoundFile::default()
        };
        paths.iter().map(one).collect()
    }

    fn names(paths: &[&str]) -> Names {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[track_caller]
    fn check(clearing: Clearing, (before, now): (&[&str], &[&str]), there: &[&str], gone: &[&str]) {
        let (before, now, there) = (names(before), names(now), listed(there));
        let fate = Fate::new(&before, &now, (clearing, HashSet::from(["other".to_owned()])));
        let takes: Vec<_> = fate.takes(&there).into_iter().collect();
        assert_eq!(takes, gone);
        assert!(fate.may_take() || gone.is_empty());
    }

    #[test]
    fn what_the_checkout_before_brought_goes_and_what_others_made_stays() {
        let both = (&["a", "b", "d/x", "d/e/y", "f/z"][..], &["a", "f"][..]);
        let there = ["a", "b", "d/", "d/x", "d/e/", "d/e/y", "f/", "f/z", "mine", ".git/", "g/", "g/h/"];
        check(Clearing::Usual, both, &there, &["b", "d", "f"]);
        let mixed = ["a", "d/", "d/x", "d/mine", "d/e/", "d/e/y", "f/", "f/z", "f/new/"];
        check(Clearing::Usual, both, &mixed, &["d/e", "d/x", "f"]);
        check(Clearing::Usual, (&["a"], &["a", "b"]), &["a", "mine"], &[]);
        check(Clearing::Usual, (&["a", "d/x"], &["d", "e/f"]), &["a", "d/", "d/x", "d/mine", "e/", "e/g"], &["a", "d"]);
        // A link to a folder is a folder to whoever looks.
        check(Clearing::Usual, (&["link"], &["link/x"]), &["link/"], &["link"]);
    }

    #[test]
    fn repositories_within_have_files_of_their_own() {
        let brought = ["a", "inner/.git", "inner/what"];
        let there = ["a", "inner/", "inner/.git", "inner/what", "inner/built"];
        check(Clearing::Usual, (&brought, &["a", "inner/"]), &there, &[]);
        check(Clearing::Untracked, (&brought, &["a", "inner/"]), &there, &[]);
        check(Clearing::Usual, (&brought, &["a"]), &there, &["inner/.git", "inner/what"]);
        check(Clearing::Untracked, (&brought, &brought), &there, &["inner/built"]);
        check(Clearing::Usual, (&["inner/"], &[]), &["inner/"], &["inner"]);
        // An empty folder is in no file's way.
        check(Clearing::Usual, (&["inner/"], &["inner"]), &["inner/"], &[]);
    }

    #[test]
    fn what_is_not_of_the_repository_is_cleared() {
        let there =
            [".git/", "a", "mine", "d/", "d/x", "d/mine", "e/", "own/", "own/.git/", "own/x", "other/", "other/y"];
        let both = (&["a", "d/x"][..], &["a", "d/x"][..]);
        check(Clearing::Usual, both, &there, &[]);
        check(Clearing::Untracked, both, &there, &["d/mine", "e", "mine"]);
        check(Clearing::Repositories, both, &there, &["d/mine", "e", "mine", "other", "own"]);
        check(Clearing::Untracked, (&[], &["a", "d/x"]), &there, &["d/mine", "e", "mine"]);
    }

    #[test]
    fn names_are_remembered_as_far_as_there_is_room() {
        let mut checkouts = Checkouts::default();
        assert!(checkouts.remember("/w", Some(names(&["a"]))) && checkouts.remember("/w/d", Some(names(&["b"]))));
        assert_eq!(checkouts.within("/w"), HashSet::from(["d".to_owned()]));
        let many = Names("x".repeat(MOST_REMEMBERED));
        assert!(!checkouts.remember("/w/d", Some(many)) && !checkouts.0.contains_key("/w/d"));
        assert!(checkouts.remember("/w/d", Some(names(&["c"]))) && checkouts.remember("/w2", Some(names(&["c"]))));
        checkouts.forget("/w");
        assert_eq!(checkouts.0.keys().collect::<Vec<_>>(), ["/w2"]);
    }

    #[test]
    fn a_list_is_told_in_names() {
        let found = listed(&["d/", "d/x", "inner/", ".git/", ".git/refs/"]);
        assert_eq!(Names::of(&found), names(&["d/x", "inner/", ".git/refs/"]));
    }
}
