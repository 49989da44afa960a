//! `zip`, `unzip`, `tar`, `untar`, `tee`. In the small world every archive is a tar stream, made by the host's tar.

use std::path::Path;
use std::process::Command;

use model::outcome::Outcome;
use model::request::{ArchiveFormat, FileSet, Reply, Request, Unpacked, Unpacking};
use pipeline::conformance::ant_matches;

use crate::engine::{run, steps};

pub fn pack(set: &FileSet, found: &[(String, Vec<u8>)], archive: &str, overwrite: bool) -> Result<Reply, String> {
    if !Path::new(&set.dir).is_dir() {
        return Err(format!("{} does not exist.", set.dir));
    }
    if Path::new(archive).exists() && !overwrite {
        return Err(format!("{archive} exists."));
    }
    std::fs::create_dir_all(Path::new(archive).parent().unwrap()).unwrap();
    let names: Vec<_> = found.iter().map(|(name, _)| name).collect();
    tar(Command::new("tar").args(["-C", &set.dir, "-cf", archive, "-T", "/dev/null"]).args(&names))?;
    Ok(Reply::Count(names.len() as u64))
}

pub fn unpack(archive: &str, set: &FileSet, purpose: Unpacking) -> Result<Reply, String> {
    let listed = tar(Command::new("tar").args(["-tf", archive]));
    if purpose == Unpacking::Test {
        return Ok(Reply::Unpacked(Unpacked { flaw: listed.err(), ..Unpacked::default() }));
    }
    let listed = listed.map_err(|_| format!("{archive} does not exist."))?;
    let is_meant = |name: &&str| set.includes.is_empty() || ant_matches(&set.includes, name, true);
    let names: Vec<&str> = listed.lines().filter(is_meant).collect();
    let text = |name: &str| match purpose {
        Unpacking::Read => tar(Command::new("tar").args(["-xOf", archive, name])),
        _ => {
            std::fs::create_dir_all(&set.dir).unwrap();
            tar(Command::new("tar").args(["-C", &set.dir, "-xf", archive, name]))
        }
    };
    let files = names.iter().map(|name| Ok((name.to_string(), text(name)?))).collect::<Result<Vec<_>, String>>()?;
    let is_named = !matches!(purpose, Unpacking::Extract { is_quiet: true, .. });
    let (count, files) = (files.len() as u64, if is_named { files } else { Vec::new() });
    Ok(Reply::Unpacked(Unpacked { count, files, flaw: None }))
}

fn tar(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn archives_are_made_and_taken_apart() {
    let ran = steps(
        "dir('in') { writeFile file: 'a.txt', text: 'A'; writeFile file: 'x/b.txt', text: 'B'; writeFile file: 'c.log', text: 'C' }
        zip zipFile: 'out/all.zip', dir: 'in', glob: '**/*.txt', exclude: 'none', archive: true
        unzip zipFile: 'out/all.zip', dir: 'to'
        echo \"<${readFile('to/x/b.txt')}> ${fileExists('to/c.log')}\"
        def read = unzip zipFile: 'out/all.zip', read: true
        echo \"${read.keySet()} ${read['a.txt']} ${unzip(zipFile: 'out/all.zip', read: true, glob: 'x/*', quiet: true)}\"
        echo \"test ${unzip(zipFile: 'out/all.zip', test: true)} ${unzip(file: 'in/a.txt', test: true)}\"
        dir('in') { tar '../all.tgz' }
        untar file: 'all.tgz', dir: 'again', quiet: true
        echo \"again ${readFile('again/c.log')} ${untar(file: 'all.tgz', test: true)}\"",
    );
    ran.is(Outcome::Success)
        .has("/in filtered by [**/*.txt] - [none] to ")
        .has("Compressed 2 entries.")
        .has("Archiving ")
        .has("Extracting: x/b.txt -> ")
        .has("Extracted: 2 files")
        .has("<B> false")
        .has("Reading: a.txt")
        .has("[a.txt, x/b.txt] A [x/b.txt:B]")
        .has("test true false")
        .has("ERROR: ")
        .has("Extracted: 3 files")
        .has("again C true")
        .lacks("Extracting: c.log");
    assert_eq!(ran.archived.keys().collect::<Vec<_>>(), ["out/all.zip"]);
    let formats = ran.requests.iter().filter_map(|request| match request {
        Request::Pack { format, .. } => Some(*format),
        _ => None,
    });
    assert_eq!(formats.collect::<Vec<_>>(), [ArchiveFormat::Zip, ArchiveFormat::TarGz]);
}

#[test]
fn what_goes_wrong_with_an_archive_is_an_exception() {
    let fails = |source: &str, text: &str| steps(source).is(Outcome::Failure).has(text).outcome();
    fails("writeFile file: 'a.zip', text: ''\nzip 'a.zip'", "/a.zip exists.");
    fails("zip zipFile: 'a.zip', dir: 'none'", "/none does not exist.");
    fails("zip zipFile: ' '", "Can not be empty");
    fails("unzip 'none.zip'", "/none.zip does not exist.");
    fails("unzip zipFile: 'a.zip', charset: 'IBM437'", "names in the character set ‘IBM437’ are not read here");
    run("zip 'a.zip'").is(Outcome::Failure).has("such as: node");
    steps("writeFile file: 'a.tar', text: ''\ntar file: 'a.tar', compress: false, overwrite: true")
        .is(Outcome::Success);
    steps("try { untar 'none.tgz' } catch (IOException e) { echo \"caught ${e.message}\" }")
        .is(Outcome::Success)
        .has("/none.tgz does not exist.");
}

#[test]
fn what_is_said_is_copied_in_its_order() {
    let ran = steps(
        "tee('a.log') { echo 'one'; tee('b.log') { sh 'echo two; echo three >&2' }; echo 'four'; sh(script: 'echo hidden', returnStdout: true); echo 'five' }
        echo 'after'
        echo \"<${readFile('a.log')}> <${readFile('b.log')}>\"
        try { tee('c.log') { echo 'kept'; error 'no' } } catch (e) { }
        tee('c.log') { 3.times { echo 'x' * 40000 } }
        def all = readFile('c.log')
        echo \"${all.size()} ${all.startsWith('kept')}\"",
    );
    ran.is(Outcome::Success)
        .has("<one\n+ echo two\n+ echo three\nthree\ntwo\nfour\n+ echo hidden\nfive\n>")
        .has(" <+ echo two\n+ echo three\nthree\ntwo\n>")
        .has("120008 true");
    let copies = ran.requests.iter().filter_map(|request| match request {
        Request::Exec { script, .. } => Some(script.copies.iter().map(|copy| copy.path.rsplit('/').next().unwrap())),
        _ => None,
    });
    let copies: Vec<Vec<_>> = copies.map(Iterator::collect).collect();
    assert_eq!(copies, [vec!["b.log", "a.log"], vec!["a.log"]]);
    run("tee('x') { }").is(Outcome::Failure).has("such as: node");
}
