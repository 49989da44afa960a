//! The attempts: each a piece of Python that says whether it fired.

use sandbox::Walls;

/// System calls by number, from Python: no compiler is needed, and no helper program is in the way.
pub(super) const PRELUDE: &str = r#"
import ctypes, os, sys, socket, signal, mmap
libc = ctypes.CDLL(None, use_errno=True)
def call(nr, *args):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, ctypes.get_errno()
def verdict(fired, why=""):
    print("FIRED" if fired else "CONTAINED", why); sys.stdout.flush(); os._exit(0)
def ok(nr, *args):
    r, e = call(nr, *args); verdict(r != -1, os.strerror(e))
def opens(path, flags=os.O_RDONLY):
    try: os.open(path, flags); verdict(True)
    except OSError as e: verdict(False, str(e))
"#;

/// Takes one wall away.
pub(super) type Remove = fn(&mut Walls);

pub(super) struct Probe {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) root: bool,
    /// Without all of these it fires; with any one of them alone it is contained.
    pub(super) walls: &'static [Remove],
}

const fn probe(name: &'static str, code: &'static str, walls: &'static [Remove]) -> Probe {
    Probe { name, code, root: false, walls }
}

const fn as_root(name: &'static str, code: &'static str, walls: &'static [Remove]) -> Probe {
    Probe { name, code, root: true, walls }
}

pub(super) const SECCOMP: Remove = |walls| walls.seccomp = false;
const NESTED: Remove = |walls| walls.no_nested_userns = false;
pub(super) const CAPABILITIES: Remove = |walls| walls.drop_capabilities = false;
const MASKS: Remove = |walls| walls.masks = false;
pub(super) const KEYRING: Remove = |walls| walls.keyring = false;
pub(super) const IPC: Remove = |walls| walls.ipc_namespace = false;
pub(super) const NETWORK: Remove = |walls| walls.network_namespace = false;

pub(super) const PROBES: &[Probe] = &[
    probe("E-NSUSER unshare(CLONE_NEWUSER)", "ok(272, 0x10000000)", &[SECCOMP, NESTED]),
    probe(
        "E-NSUSER clone(CLONE_NEWUSER)",
        "r, e = call(56, 0x10000000 | 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nverdict(r > 0, os.strerror(e))",
        &[SECCOMP, NESTED],
    ),
    probe("E-NSUSER clone3 exists", "r, e = call(435, 0, 0); verdict(e != 38, os.strerror(e))", &[SECCOMP]),
    as_root("E-MOUNT mount(tmpfs)", "ok(165, b't', b'/tmp', b'tmpfs', 0, 0)", &[SECCOMP, CAPABILITIES]),
    as_root("E-FSOPEN fsopen(tmpfs)", "ok(430, b'tmpfs', 0)", &[SECCOMP, CAPABILITIES]),
    as_root("E-OPENTREE open_tree(CLONE)", "ok(428, -100, b'/', 1)", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSMNT unshare(CLONE_NEWNS)", "ok(272, 0x20000)", &[SECCOMP, CAPABILITIES]),
    as_root(
        "E-SETNS own UTS namespace",
        "fd = os.open('/proc/self/ns/uts', 0)\nok(308, fd, 0x04000000)",
        &[SECCOMP, CAPABILITIES],
    ),
    as_root("E-HOSTNAME sethostname", "ok(170, b'owned', 5)", &[SECCOMP, CAPABILITIES]),
    as_root("E-PIVOT chroot", "ok(161, b'/tmp')", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSNET unshare(CLONE_NEWNET)", "ok(272, 0x40000000)", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSCG unshare(CLONE_NEWCGROUP)", "ok(272, 0x02000000)", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSIPC unshare(CLONE_NEWIPC)", "ok(272, 0x08000000)", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSPID unshare(CLONE_NEWPID)", "ok(272, 0x20000000)", &[SECCOMP, CAPABILITIES]),
    as_root("E-NSTIME unshare(CLONE_NEWTIME)", "ok(272, 0x80)", &[SECCOMP, CAPABILITIES]),
    probe("E-KEY1 keyctl", "ok(250, 0, -3, 0)", &[SECCOMP]),
    probe("E-KEY2 add_key", "ok(248, b'user', b'canary', b'x', 1, -2)", &[SECCOMP]),
    probe(
        "E-PERF perf_event_open",
        "a = ctypes.create_string_buffer(128)\nimport struct\nstruct.pack_into('IIQ', a, 0, 1, 128, 9)\nstruct.pack_into('Q', a, 40, 0x60)\nok(298, a, 0, -1, -1, 0)",
        &[SECCOMP],
    ),
    probe("E-URING io_uring_setup", "p = ctypes.create_string_buffer(120)\nok(425, 4, p)", &[SECCOMP]),
    probe("E-UFFD userfaultfd", "ok(323, 1)", &[SECCOMP]),
    probe("E-1086 netfilter socket", "ok(41, 16, 3, 12)", &[SECCOMP]),
    probe("E-NETLINK audit socket", "ok(41, 16, 3, 15)", &[SECCOMP]),
    probe(
        "E-ALG crypto socket or vsock",
        "a = call(41, 38, 5, 0); b = call(41, 40, 1, 0); verdict(a[0] != -1 or b[0] != -1, os.strerror(b[1]))",
        &[SECCOMP],
    ),
    probe("E-PERSONALITY ADDR_NO_RANDOMIZE", "ok(135, 0x40000)", &[SECCOMP]),
    probe(
        "E-X32 x32 getpid",
        "pid = os.fork()\nif pid == 0: call(0x40000027); os._exit(0)\nverdict(not os.WIFSIGNALED(os.waitpid(pid, 0)[1]))",
        &[SECCOMP],
    ),
    probe(
        "E-I386 int 0x80",
        "pid = os.fork()\nif pid == 0:\n  m = mmap.mmap(-1, 4096, prot=7)\n  m.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n  ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))(); os._exit(0)\nverdict(not os.WIFSIGNALED(os.waitpid(pid, 0)[1]))",
        &[SECCOMP],
    ),
    probe("E-MASK /proc/interrupts", "t = open('/proc/interrupts').read(); verdict(len(t) > 0)", &[MASKS]),
    probe(
        "E-MASK /proc/modules or /proc/key-users",
        "t = open('/proc/key-users').read(); verdict(len(t) > 0)",
        &[MASKS],
    ),
    as_root(
        "E-COREPAT /proc/sys of own namespaces",
        "opens('/proc/sys/net/ipv4/ip_default_ttl', os.O_WRONLY)",
        &[MASKS, CAPABILITIES],
    ),
];

/// Attempts without a wall that could be taken away: they are stopped by what a user namespace, a process id namespace, or a
/// process that cannot be dumped is. The control is a place without any of these, where they must work ([`exposed`]).
pub(super) const ALWAYS: &[(&str, &str)] = &[
    (
        "E-FDLEAK descriptors",
        "d = [f for f in os.listdir('/proc/self/fd') if int(f) > 2 and os.path.exists('/proc/self/fd/' + f)]\nl = [os.readlink('/proc/self/fd/' + f) for f in os.listdir('/proc/self/fd') if int(f) > 2 and os.path.lexists('/proc/self/fd/' + f)]\nverdict(bool([x for x in l if not x.startswith('/proc/')]), str(l))",
    ),
    ("E-5736 /proc/1/exe for writing", "opens('/proc/1/exe', os.O_WRONLY)"),
    ("E-5736 /proc/1/exe for reading", "opens('/proc/1/exe')"),
    ("E-PTRACE3 /proc/1/mem", "opens('/proc/1/mem')"),
    (
        "E-PTRACE3 /proc/1/environ",
        "t = b''\ntry: t = open('/proc/1/environ','rb').read()\nexcept OSError as e: verdict(False, str(e))\nverdict(True)",
    ),
    ("E-PTRACE3 /proc/1/root", "opens('/proc/1/root/etc')"),
    (
        "E-PTRACE3 /proc/1/fd",
        "try: verdict(bool(os.listdir('/proc/1/fd')))\nexcept OSError as e: verdict(False, str(e))",
    ),
    ("E-PTRACE1 PTRACE_SEIZE of process 1", "ok(101, 0x4206, 1, 0, 0)"),
    (
        "E-PTRACE2 process_vm_readv of process 1",
        "b = ctypes.create_string_buffer(16)\nimport struct\niov = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(b), 8))\nrem = ctypes.create_string_buffer(struct.pack('QQ', 0x400000, 8))\nr, e = call(310, 1, iov, 1, rem, 1, 0); verdict(r != -1 or e == 14, os.strerror(e))",
    ),
    ("E-PTRACE2 pidfd_getfd of process 1", "fd, e = call(434, 1, 0)\nok(438, fd, 0, 0)"),
    (
        "E-SETNS namespaces of process 1",
        "f = []\nfor n in 'mnt uts ipc net pid user cgroup time'.split():\n  try: fd = os.open('/proc/1/ns/' + n, 0)\n  except OSError: continue\n  if call(308, fd, 0)[0] != -1: f.append(n)\nverdict(bool(f), str(f))",
    ),
    ("E-KILL everybody", "try: os.kill(-1, 0); verdict(True)\nexcept OSError as e: verdict(False, str(e))"),
    (
        "E-CGW cgroups of others",
        "import glob\nf = [p for p in glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True) if os.access(p, os.W_OK)]\nverdict(bool(f), str(f[:3]))",
    ),
    ("E-UEVENT uevent_helper", "opens('/sys/kernel/uevent_helper', os.O_WRONLY)"),
    (
        "E-BINFMT binfmt_misc",
        "try: os.open('/proc/sys/fs/binfmt_misc/register', os.O_WRONLY); verdict(True)\nexcept OSError: pass\nok(165, b'b', b'/tmp', b'binfmt_misc', 0, 0)",
    ),
    (
        "E-KALLSYMS addresses",
        "t = ''\ntry: t = open('/proc/kallsyms').read(65536)\nexcept OSError as e: verdict(False, str(e))\nl = [x for x in t.splitlines() if not x.startswith('0' * 16)]\nverdict(bool(l), str(l[:1]))",
    ),
    // Each with arguments that change nothing: whether the kernel looks at them at all is the question.
    ("E-MOD init_module", "r, e = call(175, 0, 0, b''); verdict(e not in (1, 38), os.strerror(e))"),
    ("E-KEXEC kexec_load of nothing", "r, e = call(246, 0, 0, 0, 0); verdict(e not in (1, 38), os.strerror(e))"),
    ("E-SWAP swapon", "r, e = call(167, 0, 0); verdict(e not in (1, 38), os.strerror(e))"),
    ("E-ACCT acct", "r, e = call(163, b'/none/such'); verdict(e not in (1, 38), os.strerror(e))"),
    ("E-QUOTA quotactl", "r, e = call(179, 0x80000400, 0, 0, 0); verdict(e not in (1, 38), os.strerror(e))"),
    ("E-COREPAT core_pattern", "opens('/proc/sys/kernel/core_pattern', os.O_WRONLY)"),
    ("E-MODPROBE modprobe", "opens('/proc/sys/kernel/modprobe', os.O_WRONLY)"),
    ("E-SYSRQ sysrq-trigger", "opens('/proc/sysrq-trigger', os.O_WRONLY)"),
    (
        "E-KCORE kcore",
        "try: verdict(len(open('/proc/kcore','rb').read(16)) > 0)\nexcept OSError as e: verdict(False, str(e))",
    ),
    (
        "E-KMSG kmsg",
        "try:\n  fd = os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK); verdict(len(os.read(fd, 16)) > 0)\nexcept OSError as e: verdict(False, str(e))",
    ),
    (
        "E-CGREL release_agent",
        "import glob\nf = glob.glob('/sys/fs/cgroup/**/release_agent', recursive=True)\nverdict(bool(f), str(f))",
    ),
    ("E-MKNOD block device", "ok(133, b'/tmp/vda', 0o60666, 0xfe00)"),
    ("E-MKNOD character device", "ok(133, b'/tmp/mem', 0o20666, 0x101)"),
    (
        "E-BPF bpf",
        "a = ctypes.create_string_buffer(128)\nimport struct\nstruct.pack_into('IIII', a, 0, 2, 4, 4, 1)\nok(321, 0, a, 128)",
    ),
    (
        "E-OBHA open_by_handle_at",
        "h = ctypes.create_string_buffer(b'\\x08\\0\\0\\0\\x01\\0\\0\\0\\x02\\0\\0\\0\\0\\0\\0\\0')\nr, e = call(304, -100, h, 0); verdict(e not in (1, 38), os.strerror(e))",
    ),
    ("E-SYSLOG syslog", "b = ctypes.create_string_buffer(64)\nok(103, 3, b, 64)"),
    ("E-REBOOT reboot with wrong magic", "r, e = call(169, 1, 2, 3, 0); verdict(e != 1, os.strerror(e))"),
    (
        "E-CLOCK adjtimex with the tick that is set",
        "b = ctypes.create_string_buffer(208)\nimport struct\ncall(159, b)\ntick = struct.unpack_from('q', b, 88)[0]\nb = ctypes.create_string_buffer(208)\nstruct.pack_into('I', b, 0, 0x4000); struct.pack_into('q', b, 88, tick or 10000)\nok(159, b)",
    ),
    ("E-HOSTPID foreign processes", "p = [x for x in os.listdir('/proc') if x.isdigit()]\nverdict(len(p) > 3, str(p))"),
    (
        "E-DEV unexpected devices",
        "d = set(os.listdir('/dev')) - set('null zero full random urandom tty fd stdin stdout stderr ptmx pts shm'.split())\nverdict(bool(d), str(d))",
    ),
    (
        "E-DEV devices of the host",
        "f = [n for n in 'mem kmem kvm vda sda fuse net/tun vsock vhost-net loop-control kmsg mapper/control uinput'.split() if os.path.exists('/dev/' + n)]\nverdict(bool(f), str(f))",
    ),
    (
        "E-SYSFS /sys",
        "f = [n for n in 'kernel firmware class power module bus block'.split() if os.path.exists('/sys/' + n)]\nverdict(bool(f), str(f))",
    ),
    (
        "host tools: other people's files",
        "f = [p for p in ['/root', '/var/lib/dpkg', '/var/log', '/etc/shadow', '/run/systemd', '/home'] if os.path.exists(p) and (not os.path.isdir(p) or set(os.listdir(p)) - {'build', 'jenkins'})]\nverdict(bool(f), str(f))",
    ),
    ("E-WRITE host tools", "opens('/usr/bin/env', os.O_WRONLY)"),
];
