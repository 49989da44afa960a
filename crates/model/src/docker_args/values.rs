//! The values of options, and the words of the whole text.

use crate::limits::Tmpfs;

use super::ArgsError;

/// Size of a `--tmpfs` without one, in bytes.
pub(super) const DEFAULT_TMPFS: u64 = 256 << 20;

/// The least that Docker accepts: below it no program starts.
const LEAST_MEMORY: u64 = 6 << 20;

/// `None`: no limit of the container's own.
pub(super) fn memory(text: &str) -> Result<Option<u64>, ArgsError> {
    match parse_bytes(text)? {
        0 => Ok(None),
        bytes if bytes < LEAST_MEMORY => {
            Err(ArgsError::Malformed(format!("`--memory {text}`: at least {} MiB are needed", LEAST_MEMORY >> 20)))
        }
        bytes => Ok(Some(bytes)),
    }
}

/// Images are taken for this machine's own processor.
pub(super) fn platform(text: &str) -> Result<(), ArgsError> {
    let own = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        _ => return Ok(()),
    };
    if text == own || text.starts_with(&format!("{own}/")) {
        return Ok(());
    }
    Err(ArgsError::Malformed(format!("`--platform {text}`: this host runs {own}")))
}

pub(super) fn add_host(text: &str) -> Result<String, ArgsError> {
    let bad = || ArgsError::Malformed(format!("`--add-host {text}`: expected NAME:ADDRESS"));
    let (name, address) = text.split_once(':').ok_or_else(bad)?;
    let address: std::net::IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| bad())?;
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if valid { Ok(format!("{address} {name}")) } else { Err(bad()) }
}

/// A file system in memory, and the options of it that have no effect.
pub(super) fn parse_tmpfs(text: &str) -> Result<(Tmpfs, Vec<String>), ArgsError> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut bytes, mut mode, mut exec, mut ignored) = (DEFAULT_TMPFS, 0o1777, true, Vec::new());
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            // A share of a memory that a sandbox does not have.
            Some(("size", size)) if size.ends_with('%') => ignored.push(option.to_owned()),
            Some(("size", size)) => bytes = parse_bytes(size)?,
            Some(("mode", octal)) => {
                mode = u32::from_str_radix(octal, 8)
                    .map_err(|_| ArgsError::Malformed(format!("`{octal}` is no mode")))?
                    & 0o1777;
            }
            // It is so anyway.
            None if matches!(option, "rw" | "nosuid" | "nodev") => {}
            None if matches!(option, "exec" | "noexec") => exec = option == "exec",
            _ => ignored.push(option.to_owned()),
        }
    }
    Ok((Tmpfs { path: absolute(path)?, bytes, mode, exec }, ignored))
}

pub(super) fn absolute(path: &str) -> Result<String, ArgsError> {
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
        Ok(path.to_owned())
    } else {
        Err(ArgsError::Malformed(format!("`{path}` is not an absolute path")))
    }
}

pub(super) fn parse_number(text: &str) -> Result<u32, ArgsError> {
    text.parse().map_err(|_| ArgsError::Malformed(format!("`{text}` is no number")))
}

pub(super) fn parse_cpus(text: &str) -> Result<u32, ArgsError> {
    match text.parse::<f64>() {
        Ok(cpus) if cpus > 0.0 && cpus < 100_000.0 => Ok((cpus * 1000.0) as u32),
        _ => Err(ArgsError::Malformed(format!("`{text}` is no number of CPUs"))),
    }
}

pub(super) fn parse_bytes(text: &str) -> Result<u64, ArgsError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(ArgsError::Malformed(format!("`{text}` is no size"))),
    };
    // `1.5g` is one, too.
    let number: f64 = digits.parse().map_err(|_| ArgsError::Malformed(format!("`{text}` is no size")))?;
    let bytes = number * unit as f64;
    match bytes.is_finite() && (0.0..9e18).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(ArgsError::Malformed(format!("`{text}` is too large"))),
    }
}

/// Words as a POSIX shell would split them, without any expansion: quotes and backslashes.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => quoted(&mut rest, '\'', word.get_or_insert_default())?,
            '"' => quoted(&mut rest, '"', word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(rest: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => word.extend(rest.next()),
            c => word.push(c),
        }
    }
    Err(format!("a {quote} is not closed"))
}
