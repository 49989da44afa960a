//! Values of flags.

use std::path::PathBuf;

use agent::{KnownLibrary, LibraryOrigin};
use clap::ValueEnum as _;
use model::outcome::Outcome;
use model::run::{BuildCause, InstalledTool};
use model::rung::Rung;

use super::place::WarmImage;
use super::walls::RungChoice;

/// Bytes of the name of a job; it is part of paths.
const MAX_JOB_NAME: usize = 200;

pub(in crate::args) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(in crate::args) fn parse_outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_name(&text.to_ascii_uppercase())
        .ok_or_else(|| "expected SUCCESS, UNSTABLE, FAILURE, NOT_BUILT or ABORTED".to_owned())
}

pub(in crate::args) fn parse_cause(text: &str) -> Result<BuildCause, String> {
    let cause = |class: &str, description: String, user: Option<&str>| BuildCause {
        class: class.to_owned(),
        description,
        user: user.map(str::to_owned),
    };
    Ok(match text.split_once(':').unwrap_or((text, "")) {
        ("user", "") => cause("hudson.model.Cause$UserIdCause", "Started from the command line".to_owned(), None),
        ("user", name) => cause("hudson.model.Cause$UserIdCause", format!("Started by user {name}"), Some(name)),
        ("timer", "") => cause("hudson.triggers.TimerTrigger$TimerTriggerCause", "Started by timer".to_owned(), None),
        ("scm", "") => cause("hudson.triggers.SCMTrigger$SCMTriggerCause", "Started by an SCM change".to_owned(), None),
        ("upstream", "") => cause("hudson.model.Cause$UpstreamCause", "Started by upstream project".to_owned(), None),
        _ => return Err("expected user, user:NAME, timer, scm or upstream".to_owned()),
    })
}

pub(in crate::args) fn parse_node_env(text: &str) -> Result<(String, String, String), String> {
    let Some((label, pair)) = text.split_once(':').filter(|(label, _)| !label.is_empty() && !label.contains('='))
    else {
        return Err("expected LABEL:NAME=VALUE".to_owned());
    };
    parse_pair(pair)
        .map(|(name, value)| (label.to_owned(), name, value))
        .map_err(|_| "expected LABEL:NAME=VALUE".to_owned())
}

/// `app`, `team/app`, `app/feature%2Fx`
pub(in crate::args) fn parse_job_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.%/".contains(c);
    let parts_fit = text.split('/').all(|part| !part.trim_matches('.').is_empty());
    match text.len() <= MAX_JOB_NAME && text.chars().all(fits) && parts_fit {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits and -_.%, in parts between slashes".to_owned()),
    }
}

pub(in crate::args) fn parse_library(text: &str) -> Result<KnownLibrary, String> {
    let (name, place) = text.split_once('=').ok_or("expected NAME=PLACE")?;
    if name.is_empty() || place.is_empty() {
        return Err("expected NAME=PLACE".to_owned());
    }
    // A version has no slash before its sign in the last part: `https://user@host/x` has none.
    let (place, version) = match place.rsplit_once('@') {
        Some((place, version)) if !version.is_empty() && !is_address(place, version) => {
            (place, Some(version.to_owned()))
        }
        _ => (place, None),
    };
    let place = match place.contains("://") {
        true => LibraryOrigin::Repository(place.to_owned(), None),
        false => LibraryOrigin::Folder(place.into()),
    };
    Ok(KnownLibrary { name: name.to_owned(), place, version })
}

/// `[KIND:]NAME=FOLDER`
pub(in crate::args) fn parse_tool(text: &str) -> Result<InstalledTool, String> {
    let (name, folder) = text.split_once('=').ok_or("expected NAME=FOLDER or KIND:NAME=FOLDER")?;
    let (kind, name) = name.split_once(':').unwrap_or(("", name));
    let tool = InstalledTool { name: name.to_owned(), kind: kind.to_owned(), folder: folder.to_owned() };
    match tool.is_fit() {
        true => Ok(tool),
        false => Err("expected NAME=FOLDER, where FOLDER begins with `/` and has no `:`".to_owned()),
    }
}

/// `--pod-template NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTemplateFlag {
    /// What definitions call it.
    pub name: String,
    /// Where the pod is written.
    pub file: PathBuf,
}

pub(in crate::args) fn parse_pod_template(text: &str) -> Result<PodTemplateFlag, String> {
    let (name, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("expected NAME=FILE")?;
    if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("expected NAME=FILE, where NAME has no blanks".to_owned());
    }
    Ok(PodTemplateFlag { name: name.to_owned(), file: file.into() })
}

/// Whether the sign between the two belongs to an address: `https://user` and `host/path`.
fn is_address(before: &str, after: &str) -> bool {
    before.split_once("://").is_some_and(|(_, rest)| !rest.contains('/')) && after.contains('/')
}

/// `IMAGE=N[@WHERE]`
pub(in crate::args) fn parse_warm_image(text: &str) -> Result<WarmImage, String> {
    let wrong = || "expected IMAGE=N or IMAGE=N@WHERE, where WHERE is container, gvisor, microvm or engine".to_owned();
    // A reference may have a digest (`@`), but no `=`.
    let (image, rest) = parse_pair(text).map_err(|_| wrong())?;
    let (count, place) = rest.split_once('@').map_or((&*rest, None), |(count, place)| (count, Some(place)));
    let engine = place == Some("engine");
    let rung = match place {
        _ if engine => Some(Rung::Microvm),
        Some(place) => Some(RungChoice::from_str(place, false).map_err(|_| wrong())?.rung()),
        None => None,
    };
    let image = Some(image).filter(|image| image != "any");
    Ok(WarmImage { image, count: count.parse().map_err(|_| wrong())?, rung, engine })
}

pub(in crate::args) fn parse_factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor.filter(|factor| (0.0..=1000.0).contains(factor)).ok_or_else(|| "expected a number up to 1000".to_owned())
}

/// Below it no program starts; Docker's minimum too.
const LEAST_MEMORY: u64 = 6 << 20;

pub(in crate::args) fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        bytes if bytes < LEAST_MEMORY => Err(format!("at least {} MiB are needed", LEAST_MEMORY >> 20)),
        bytes => Ok(bytes),
    }
}

pub(in crate::args) fn parse_person(text: &str) -> Result<(String, String), String> {
    let (name, role) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=ROLE is wanted")?;
    match role {
        "reader" | "developer" | "maintainer" => Ok((name.to_owned(), role.to_owned())),
        _ => Err(format!("{role:?} is no role on a project: reader, developer, maintainer")),
    }
}

pub(in crate::args) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1_u64 << 40,
        other => return Err(format!("unknown unit `{other}`; use K, M, G or T")),
    };
    let number: f64 = digits.parse().map_err(|_| "expected a size such as 512M or 4G".to_owned())?;
    if !number.is_finite() || number < 0.0 {
        return Err("expected a size such as 512M or 4G".to_owned());
    }
    Ok((number * unit as f64) as u64)
}

pub(in crate::args) fn parse_cores(text: &str) -> Result<u32, String> {
    match text.parse::<f64>() {
        Ok(cores) if cores > 0.0 && cores <= 1024.0 => Ok((cores * 1000.0).round() as u32),
        _ => Err("expected a number of cores such as 1.5".to_owned()),
    }
}

pub(in crate::args) fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1.0,
        "" | "s" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        other => return Err(format!("unknown unit `{other}`; use ms, s, m or h")),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok((number * unit) as u64),
        _ => Err("expected a time such as 90s, 20m or 2h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_run_are_checked() {
        assert_eq!(parse_outcome("unstable"), Ok(Outcome::Unstable));
        assert!(parse_outcome("GREEN").is_err());
        assert_eq!(parse_cause("user:ada").map(|c| c.user), Ok(Some("ada".to_owned())));
        assert!(parse_cause("moon").is_err() && parse_cause("timer:x").is_err());
        assert_eq!(parse_node_env("linux:A=b:c=d"), Ok(("linux".to_owned(), "A".to_owned(), "b:c=d".to_owned())));
        assert!(
            parse_node_env("A=b").is_err() && parse_node_env("A=b:c=d").is_err() && parse_node_env(":A=b").is_err()
        );
    }

    #[test]
    fn a_job_has_a_name_of_parts() {
        for name in ["app", "team/app", "app/feature%2Fx", "a.b-c_d"] {
            assert_eq!(parse_job_name(name), Ok(name.to_owned()));
        }
        for wrong in ["", "/app", "app/", "a//b", "a/../b", "a b", "a\nb", "a$b", &"a".repeat(MAX_JOB_NAME + 1)] {
            assert!(parse_job_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tool_has_a_name_and_a_folder_and_perhaps_a_kind() {
        let check = |text: &str, kind: &str, name: &str, folder: &str| {
            let tool = InstalledTool { name: name.to_owned(), kind: kind.to_owned(), folder: folder.to_owned() };
            assert_eq!(parse_tool(text), Ok(tool), "{text}");
        };
        check("M3=/opt/maven", "", "M3", "/opt/maven");
        check("jdk:21=/opt/jdk=21", "jdk", "21", "/opt/jdk=21");
        for wrong in ["M3", "=/opt", "maven:=/opt", "M3=opt", "M3=", "M3=/a:/b", "M\n3=/a"] {
            assert!(parse_tool(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_template_of_pods_has_a_name_and_a_file() {
        let flag = |name: &str, file: &str| PodTemplateFlag { name: name.to_owned(), file: file.into() };
        assert_eq!(parse_pod_template("maven=pods/a=b.yaml"), Ok(flag("maven", "pods/a=b.yaml")));
        for wrong in ["maven", "=a.yaml", "maven=", "a b=c.yaml", "a\nb=c"] {
            assert!(parse_pod_template(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_ready_has_an_image_a_number_and_perhaps_a_place() {
        let check = |text: &str, image: Option<&str>, count, rung, engine| {
            let image = image.map(str::to_owned);
            let parsed = parse_warm_image(text);
            assert_eq!(parsed, Ok(WarmImage { image, count, rung, engine }), "{text}");
            assert_eq!(parsed.map(|flag| flag.to_string()), Ok(text.to_owned()), "and said as it was written");
        };
        check("maven:3=2", Some("maven:3"), 2, None, false);
        check("r:5000/a@sha256:0f=1@microvm", Some("r:5000/a@sha256:0f"), 1, Some(Rung::Microvm), false);
        check("a=1@container", Some("a"), 1, Some(Rung::Container), false);
        check("a=4@engine", Some("a"), 4, Some(Rung::Microvm), true);
        check("any=3@gvisor", None, 3, Some(Rung::Gvisor), false);
        for wrong in ["a", "=1", "a=", "a=x", "a=-1", "a=1@", "a=1@process", "a=1@moon", "a@microvm=1@microvm@x"] {
            assert!(parse_warm_image(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("1.5k"), Ok(1536));
        assert!(parse_size("4X").is_err());
        assert!(parse_size("-1").is_err());
        assert_eq!(parse_duration_ms("2h"), Ok(7_200_000));
        assert_eq!(parse_duration_ms("90"), Ok(90_000));
        assert_eq!(parse_cores("1.5"), Ok(1500));
        assert!(parse_cores("0").is_err());
    }
}
