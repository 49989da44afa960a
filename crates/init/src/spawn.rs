//! Starts processes: a fork, what the child does before its program, and a pipe that tells whether the program started.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use wire::init::{ExecSpec, InputMode, OperationError, OutputMode, Resource, Rlimit, Stream};

use crate::credentials::{Step, become_user};
use crate::sys::{self, Forked, check};
use crate::{InitConfig, terminal};

/// Where programs are looked up when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Number of the start pipe in a child; the first that is not a standard stream.
const START_FD: RawFd = 3;

/// A process that was forked; its program may not have started yet.
pub(crate) struct Spawned {
    pub(crate) pid: libc::pid_t,
    /// Ends without a byte when the program has started, else holds the reason; see [`start_error`].
    pub(crate) start: OwnedFd,
    pub(crate) input: Option<OwnedFd>,
    pub(crate) outlets: Vec<(Stream, OwnedFd)>,
    pub(crate) is_terminal: bool,
}

/// What `execve` and its preparation need, made before the fork.
struct Image {
    programs: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

/// The child's ends of everything.
struct Ends {
    stdio: [OwnedFd; 3],
    start: OwnedFd,
    is_terminal: bool,
}

/// Forks a child for `spec`.
pub(crate) fn spawn(
    spec: &ExecSpec,
    config: &InitConfig,
    open_files: libc::rlimit,
    null: &OwnedFd,
) -> Result<Spawned, OperationError> {
    let image = Image::new(spec)?;
    let failed = |operation: &'static str| move |error: io::Error| OperationError::new(operation, sys::errno(&error));
    let (start, child_start) = sys::pipe().map_err(failed("make a pipe"))?;
    let clone = |fd: &OwnedFd| fd.try_clone().map_err(failed("duplicate a descriptor"));
    let is_terminal = matches!(spec.output, OutputMode::Terminal(_));
    let (input, child_input) = match (spec.output, spec.input) {
        (OutputMode::Terminal(_), _) | (_, InputMode::Null) => (None, clone(null)?),
        (_, InputMode::Pipe) => {
            let (theirs, ours) = sys::pipe().map_err(failed("make a pipe"))?;
            (Some(ours), theirs)
        }
    };
    let (input, outlets, stdio) = match spec.output {
        OutputMode::Merged => {
            let (ours, theirs) = sys::pipe().map_err(failed("make a pipe"))?;
            (input, vec![(Stream::Stdout, ours)], [child_input, clone(&theirs)?, theirs])
        }
        OutputMode::Split => {
            let (out, child_out) = sys::pipe().map_err(failed("make a pipe"))?;
            let (err, child_err) = sys::pipe().map_err(failed("make a pipe"))?;
            (input, vec![(Stream::Stdout, out), (Stream::Stderr, err)], [child_input, child_out, child_err])
        }
        OutputMode::Terminal(size) => {
            let (ours, theirs) = terminal::open(size).map_err(failed("open a terminal"))?;
            let stdio = [clone(&theirs)?, clone(&theirs)?, theirs];
            (Some(clone(&ours)?), vec![(Stream::Stdout, ours)], stdio)
        }
    };
    for fd in outlets.iter().map(|(_, fd)| fd).chain(input.as_ref()).chain([&start]) {
        sys::set_nonblocking(fd).map_err(failed("set up a pipe"))?;
    }
    let ends = Ends { stdio, start: child_start, is_terminal };
    match sys::fork().map_err(failed("fork"))? {
        Forked::Child => child(&image, &ends, spec, config, open_files),
        Forked::Parent(pid) => Ok(Spawned { pid, start, input, outlets, is_terminal }),
    }
}

/// The reason that a start pipe tells, if it tells one.
pub(crate) fn start_error(bytes: &[u8], program: &str) -> Option<OperationError> {
    let (errno, step) = bytes.split_first_chunk::<4>()?;
    let step = String::from_utf8_lossy(step);
    Some(OperationError::new(format!("{step} {program}").trim().to_owned(), i32::from_le_bytes(*errno)))
}

fn child(image: &Image, ends: &Ends, spec: &ExecSpec, config: &InitConfig, open_files: libc::rlimit) -> ! {
    let Err((step, error)) = prepare_and_start(image, ends, spec, config, open_files);
    let mut report = sys::errno(&error).to_le_bytes().to_vec();
    report.extend_from_slice(step.as_bytes());
    // SAFETY: the buffer is readable; the descriptor is the start pipe. Nobody can be told of a failure here.
    unsafe { libc::write(START_FD, report.as_ptr().cast(), report.len()) };
    sys::exit(127)
}

/// Step names end up before the program's name in a message.
fn prepare_and_start(
    image: &Image,
    ends: &Ends,
    spec: &ExecSpec,
    config: &InitConfig,
    open_files: libc::rlimit,
) -> Result<std::convert::Infallible, (Step, io::Error)> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map_err(|e| ("begin a session for", e))?;
    set_up_descriptors(ends, config).map_err(|e| ("set up the streams of", e))?;
    sys::reset_signals();
    if ends.is_terminal {
        terminal::take_control().map_err(|e| ("take the terminal for", e))?;
    }
    // SAFETY: takes an integer.
    unsafe { libc::umask(0o022) };
    set_limits(&spec.rlimits, open_files).map_err(|e| ("set the limits of", e))?;
    become_user(&spec.user, config)?;
    // SAFETY: a terminated string.
    check(unsafe { libc::chdir(image.cwd.as_ptr()) }).map_err(|e| ("enter the working folder of", e))?;
    check_working_folder().map_err(|e| ("check the working folder of", e))?;
    Err(("start", start(image)))
}

/// Standard streams and the start pipe get their numbers; everything else is closed now, before a path of the workload is
/// resolved, so that none leads through a descriptor.
fn set_up_descriptors(ends: &Ends, config: &InitConfig) -> io::Result<()> {
    for (number, fd) in (0..).zip(&ends.stdio) {
        sys::dup_to(fd.as_raw_fd(), number)?;
    }
    sys::dup_to(ends.start.as_raw_fd(), START_FD)?;
    // SAFETY: takes integers.
    check(unsafe { libc::fcntl(START_FD, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    if config.close_descriptors {
        sys::close_from(START_FD + 1);
    }
    Ok(())
}

fn set_limits(limits: &[Rlimit], open_files: libc::rlimit) -> io::Result<()> {
    let set = |resource, limit: libc::rlimit| {
        // SAFETY: the pointer is valid; `resource` is one of libc's constants.
        check(unsafe { libc::setrlimit(resource, &raw const limit) })
    };
    set(libc::RLIMIT_CORE, libc::rlimit { rlim_cur: 0, rlim_max: 0 })?;
    set(libc::RLIMIT_NOFILE, open_files)?;
    for limit in limits {
        let resource = match limit.resource {
            Resource::CpuSeconds => libc::RLIMIT_CPU,
            Resource::FileBytes => libc::RLIMIT_FSIZE,
            Resource::OpenFiles => libc::RLIMIT_NOFILE,
            Resource::Processes => libc::RLIMIT_NPROC,
            Resource::AddressSpaceBytes => libc::RLIMIT_AS,
            Resource::StackBytes => libc::RLIMIT_STACK,
        };
        let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is writable; `resource` is one of libc's constants.
        check(unsafe { libc::getrlimit(resource, &raw mut current) })?;
        let value = limit.value.min(current.rlim_max);
        set(resource, libc::rlimit { rlim_cur: value, rlim_max: value })?;
    }
    Ok(())
}

/// The kernel marks a working folder that does not lie below the root.
fn check_working_folder() -> io::Result<()> {
    let mut path = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the buffer is writable for its length.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    if path[0] == b'/' { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EACCES)) }
}

/// Tries every candidate; returns the most telling error.
fn start(image: &Image) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (pointers(&image.argv), pointers(&image.env));
    let mut telling = io::Error::from_raw_os_error(libc::ENOENT);
    for program in &image.programs {
        // SAFETY: both arrays end with a null pointer, and their strings live in `image`.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => telling = error,
            _ => return error,
        }
    }
    telling
}

impl Image {
    fn new(spec: &ExecSpec) -> Result<Image, OperationError> {
        let text = |s: &str| {
            CString::new(s).map_err(|_| OperationError::new("a zero byte in an argument or variable", libc::EINVAL))
        };
        let program = spec.argv.first().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| OperationError::new("start an empty command", libc::ENOENT))?;
        let programs = if program.contains('/') {
            vec![text(program)?]
        } else {
            let path = spec.env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, v)| v.as_str());
            let dirs = path.split(':').filter(|dir| !dir.is_empty());
            dirs.map(|dir| text(&format!("{dir}/{program}"))).collect::<Result<_, _>>()?
        };
        Ok(Image {
            programs,
            argv: spec.argv.iter().map(|s| text(s)).collect::<Result<_, _>>()?,
            env: spec.env.iter().map(|(k, v)| text(&format!("{k}={v}"))).collect::<Result<_, _>>()?,
            cwd: text(if spec.cwd.is_empty() { "/" } else { &spec.cwd })?,
        })
    }
}
