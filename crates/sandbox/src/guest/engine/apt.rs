//! Which packages, and the packages: Debian's apt, against a system in which nothing is installed. Needs no root.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{EngineStep, Package, Report, digest_of_file, recipe};
use crate::guest::GuestError;
use crate::guest::build::{run, tool};

/// Debian's name for the processors that guests have.
const ARCHITECTURE: &str = "amd64";

/// An apt of its own, with everything but the lists of packages and their keys in a scratch folder.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// In an existing folder.
    pub(super) fn new(folder: &Path) -> Result<Apt, GuestError> {
        for name in ["archives/partial", "none/partial"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(|source| GuestError::File { path, source })?;
        }
        let apt = Apt { folder: folder.to_owned() };
        apt.write_status("")?;
        Ok(apt)
    }

    /// The packages, exactly, by name. Downloads nothing.
    pub(super) fn resolve(&self) -> Result<Vec<Package>, GuestError> {
        let mut show = self.command("apt-cache");
        show.args(["show", "--no-all-versions"]).args(recipe::left_out());
        let shown = run("apt-cache", "to describe what is left out", &mut show)?;
        self.write_status(&status_of(&String::from_utf8_lossy(&shown)))?;
        let mut install = self.command("apt-get");
        // Packages in the folder of archives would not be named. Without the other option apt prints MD5.
        install.arg("-o").arg(self.option("Dir::Cache::archives", "none/")).args(["-o", "Acquire::ForceHash=SHA256"]);
        install.args(["-qq", "-y", "--print-uris", "install"]).args(recipe::packages());
        let printed = run("apt-get", "to choose the packages", &mut install)?;
        let printed = String::from_utf8_lossy(&printed);
        let mut packages = printed.lines().map(package_of).collect::<Result<Vec<_>, _>>()?;
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(packages)
    }

    /// Fetches the packages that were resolved. The answer has their files in the same order.
    pub(super) fn download(&self, packages: &[Package], report: Report<'_>) -> Result<Vec<PathBuf>, GuestError> {
        let total = packages.iter().map(|package| package.bytes).sum();
        let count = packages.len();
        report(EngineStep::Download { packages: count, received: 0, bytes: total });
        let said = self.folder.join("said");
        let at = |source| GuestError::File { path: said.clone(), source };
        let mut fetch = self.command("apt-get");
        fetch.args(["-o", "APT::Status-Fd=1", "-qq", "-y", "--download-only", "install"]).args(recipe::packages());
        fetch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&said).map_err(at)?);
        let failed = |reason: String| GuestError::Program {
            program: "apt-get",
            doing: "to download the packages".to_owned(),
            reason,
        };
        let mut child = fetch.spawn().map_err(|error| failed(error.to_string()))?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
            if let Some(percent) = percent_of(&line) {
                let received = (total as f64 * percent / 100.0) as u64;
                report(EngineStep::Download { packages: count, received, bytes: total });
            }
        }
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            return Err(failed(briefly(&fs::read_to_string(&said).unwrap_or_default())));
        }
        packages.iter().map(|package| self.checked(package)).collect()
    }

    /// The file of a package, which is the one that was resolved: the lists may have been renewed since.
    fn checked(&self, package: &Package) -> Result<PathBuf, GuestError> {
        let path = self.folder.join("archives").join(&package.file);
        if digest_of_file(&path)? != package.digest {
            let reason = "what was downloaded is not what was chosen".to_owned();
            return Err(GuestError::Package { package: package.file.clone(), reason });
        }
        Ok(path)
    }

    fn write_status(&self, text: &str) -> Result<(), GuestError> {
        let path = self.folder.join("status");
        fs::write(&path, text).map_err(|source| GuestError::File { path, source })
    }

    fn option(&self, name: &str, value: &str) -> String {
        format!("{name}={}", self.folder.join(value).display())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = tool(program);
        command.envs([("LC_ALL", "C"), ("DEBIAN_FRONTEND", "noninteractive")]);
        for (name, value) in [
            ("Dir::State::status", "status"),
            ("Dir::State::extended_states", "extended"),
            ("Dir::Cache::archives", "archives/"),
            // The host's own may be switched off, and reading the lists anew takes a second each time.
            ("Dir::Cache::pkgcache", "pkgcache.bin"),
            ("Dir::Cache::srcpkgcache", "srcpkgcache.bin"),
        ] {
            command.arg("-o").arg(self.option(name, value));
        }
        for option in [
            "Debug::NoLocking=1",
            "Dir::Log=",
            "APT::Install-Recommends=false",
            "APT::Install-Suggests=false",
            "APT::Get::AllowUnauthenticated=false",
            // What is said to be installed looks older than it is, and would come along with its siblings.
            "APT::Get::Upgrade-By-Source-Package=false",
            // The scratch folder is closed to the user that apt would become.
            "APT::Sandbox::User=",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("APT::Architecture={ARCHITECTURE}"));
        command.arg("-o").arg(format!("APT::Architectures::={ARCHITECTURE}"));
        command
    }
}

/// The status file of a system in which the packages that `apt-cache show` has shown are installed, and need nothing.
fn status_of(shown: &str) -> String {
    let mut status = String::new();
    for line in shown.lines() {
        let field = line.split_once(':').map_or("", |(field, _)| field);
        match field {
            "Package" => {
                let fields =
                    ["Status: install ok installed", "Maintainer: none <none@localhost>", "Description: left out"];
                status.push_str(&format!("{line}\n{}\n", fields.join("\n")));
            }
            "Version" | "Architecture" | "Multi-Arch" | "Provides" => status.push_str(&format!("{line}\n")),
            "" if line.is_empty() => status.push('\n'),
            _ => {}
        }
    }
    status.push('\n');
    status
}

/// A line of `--print-uris`: `'URI' name_version_architecture.deb bytes SHA256:digits`.
fn package_of(line: &str) -> Result<Package, GuestError> {
    let parsed = || {
        let [_, file, bytes, digest] = *line.split(' ').collect::<Vec<_>>() else { return None };
        let mut parts = file.strip_suffix(".deb")?.split('_');
        let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = digest.strip_prefix("SHA256:")?;
        let is_plain = !file.contains('/') && parts.next().is_none();
        (is_plain && digits.len() == 64).then(|| Package {
            name: name.to_owned(),
            // A colon stands behind an epoch, and in no name of a file.
            version: version.replace("%3a", ":"),
            architecture: architecture.to_owned(),
            bytes: bytes.parse().unwrap_or(0),
            digest: format!("sha256:{digits}"),
            file: file.to_owned(),
        })
    };
    parsed().ok_or_else(|| GuestError::Program {
        program: "apt-get",
        doing: "to choose the packages".to_owned(),
        reason: format!("said what nobody asked for: {line}"),
    })
}

/// How far a download is: `dlstatus:number:percent:text`.
fn percent_of(line: &str) -> Option<f64> {
    line.strip_prefix("dlstatus:")?.split(':').nth(1)?.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

/// The first of the errors that apt printed: without a network there is one for each package.
fn briefly(said: &str) -> String {
    let mut errors = said.lines().filter(|line| line.starts_with("E: "));
    match (errors.next(), errors.count()) {
        (Some(first), 0) => first.to_owned(),
        (Some(first), more) => format!("{first} (and {more} more)"),
        (None, _) => said.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_has_what_apt_needs_and_no_dependencies() {
        let shown = "Package: debconf\nVersion: 1.5.82\nDepends: perl-base\nProvides: debconf-2.0\nTag: a,\n b: c\nArchitecture: all\n\nPackage: \
                     perl-base\nVersion: 5.36\nArchitecture: amd64\n";
        let expect = "Package: debconf\nStatus: install ok installed\nMaintainer: none <none@localhost>\nDescription: left out\n\
                      Version: 1.5.82\nProvides: debconf-2.0\nArchitecture: all\n\nPackage: perl-base\nStatus: install ok installed\n\
                      Maintainer: none <none@localhost>\nDescription: left out\nVersion: 5.36\nArchitecture: amd64\n\n";
        assert_eq!(status_of(shown), expect);
    }

    #[test]
    fn a_line_of_apt_names_a_package() {
        let digits = "0".repeat(64);
        let line = format!(
            "'http://deb/git_1%253a2.39.5_amd64.deb' git_1%3a2.39.5-0+deb12u3_amd64.deb 7264380 SHA256:{digits}"
        );
        let package = package_of(&line).unwrap();
        assert_eq!((&*package.name, &*package.version, package.bytes), ("git", "1:2.39.5-0+deb12u3", 7_264_380));
        assert_eq!((&*package.architecture, package.digest), ("amd64", format!("sha256:{digits}")));
        for wrong in [
            "",
            "Reading package lists...",
            "'x' git_1_amd64.deb 7 MD5Sum:0",
            &format!("'x' ../git_1_amd64.deb 7 SHA256:{digits}"),
            &format!("'x' git_1.deb 7 SHA256:{digits}"),
        ] {
            assert!(package_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_many_errors_the_first_is_told() {
        for (said, expect) in [
            (
                "W: old\nE: Failed to fetch a\nE: Failed to fetch b\nE: Some files failed\n",
                "E: Failed to fetch a (and 2 more)",
            ),
            ("E: only\n", "E: only"),
            ("Segmentation fault\n", "Segmentation fault"),
        ] {
            assert_eq!(briefly(said), expect);
        }
    }

    #[test]
    fn progress_of_apt() {
        for (line, expect) in [
            ("dlstatus:1:12.5:Retrieving file 2 of 9", Some(12.5)),
            ("dlstatus:1:nan:x", None),
            ("pmstatus:git:5.0:x", None),
            ("", None),
        ] {
            assert_eq!(percent_of(line), expect, "{line}");
        }
    }
}
