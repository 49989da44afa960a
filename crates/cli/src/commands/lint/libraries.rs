//! The shared libraries that `--library` and `--load-library` name: what definitions may call without saying where it comes from.

use std::borrow::Cow;
use std::path::Path;

use agent::{KnownLibrary, LibraryOrigin};
use pipeline::definition::Surroundings;

use super::files;
use crate::args::LintArgs;
use crate::failure::CommandFailure;

/// Those that are known.
pub struct Libraries<'a> {
    /// Their names, with those of their variables where these are seen: in a folder.
    known: Vec<(&'a str, Option<Vec<String>>)>,
    /// Those that every definition has.
    loaded: Vec<&'a str>,
}

impl<'a> Libraries<'a> {
    /// # Errors
    /// A folder is not there.
    pub fn new(args: &'a LintArgs) -> Result<Libraries<'a>, CommandFailure> {
        let known = args.libraries.iter().map(|library| variables(library).map(|names| (&*library.name, names)));
        Ok(Libraries {
            known: known.collect::<Result<_, CommandFailure>>()?,
            loaded: args.load_libraries.iter().map(|library| name(library)).collect(),
        })
    }

    /// What is known of the surroundings of a definition with them.
    pub fn around<'s>(&self, text: &str, surroundings: &'s Surroundings) -> Cow<'s, Surroundings> {
        if self.known.is_empty() && self.loaded.is_empty() {
            return Cow::Borrowed(surroundings);
        }
        let asked = if self.known.is_empty() { Vec::new() } else { pipeline::lint::asks(text).libraries };
        let mut all = surroundings.clone();
        let asked = asked.iter().map(|library| name(&library.name));
        for library in self.loaded.iter().copied().chain(asked) {
            match self.known.iter().find(|(known, _)| *known == library) {
                Some((_, Some(variables))) => all.library_names.extend_from_slice(variables),
                _ => all.unknown_library = true,
            }
        }
        Cow::Owned(all)
    }
}

/// `NAME[@VERSION]`
fn name(library: &str) -> &str {
    library.split_once('@').map_or(library, |(name, _)| name)
}

/// The names of a library's variables. Those of another version than that which lies in its folder are not seen.
fn variables(library: &KnownLibrary) -> Result<Option<Vec<String>>, CommandFailure> {
    match (&library.place, &library.version) {
        (LibraryOrigin::Folder(folder), version) => {
            if !Path::is_dir(folder) {
                return Err(CommandFailure::usage(format!(
                    "--library {}={}: there is no such folder",
                    library.name,
                    folder.display()
                )));
            }
            Ok(version.is_none().then(|| files::variables(folder)))
        }
        (LibraryOrigin::Repository(..), _) => Ok(None),
    }
}
