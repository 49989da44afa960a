//! Root of a machine's guest against the host: whoever has the engine's socket is that. Rows E-HV and E-VSOCK of the list of attacks.
//!
//! The host's canaries are a sandbox beside the machine, the launcher that made both, and a file; none may change, whatever the guest does to its
//! devices, and a machine that has gone mad ends without a trace.

use std::time::Duration;

use sandbox::microvm::MicroVm;
use sandbox::session::{Output, Session};
use sandbox::{Driver, EndCause, EngineSpec, LayerSource, OfferedImage, OfferedLayer, Sandbox, SandboxSpec};
use wire::init::ExecSpec;

use crate::{microvm, place};

const CANARY: &str = "nobody touches this\n";

/// What root of the guest runs, in the engine's root: it has Python.
const PROBES: &str = r#"
import ctypes, fcntl, mmap, os, random, socket, struct, sys
random.seed(7)
def attempt(name, probe):
    print("try", name, flush=True)
    try: said = probe()
    except OSError as error: said = "refused: " + os.strerror(error.errno or 0)
    print("probe", name, said, flush=True)
def ports():
    # Every port but those that reset the machine or end it.
    if ctypes.CDLL(None, use_errno=True).iopl(3) != 0: raise OSError(ctypes.get_errno(), "iopl")
    # mov edx, edi; in al, dx; movzx eax, al; ret -- mov edx, edi; mov eax, esi; out dx, al; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("89faec0fb6c0c3" "00" "89fa89f0eec3"))
    start = ctypes.addressof(ctypes.c_char.from_buffer(code))
    read = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(start)
    write = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int)(start + 8)
    for port in list(range(0x1000)) + list(range(0xc000, 0xc100)):
        if port in (0x64, 0x92, 0xcf9) or 0x600 <= port < 0x620: continue
        read(port)
        write(port, random.randrange(256))
    return "done"
def memory():
    done = 0
    with open("/dev/mem", "r+b", buffering=0) as device:
        for place in range(0xfeb00000, 0xfeb00000 + 24 * 512, 4):
            try:
                os.pwrite(device.fileno(), random.randbytes(4), place)
                done += 1
            except OSError: pass
    return "%d words" % done
def serial():
    with open("/dev/ttyS0", "wb", buffering=0) as device:
        for _ in range(64): device.write(random.randbytes(1024))
    return "done"
def load(number):
    try: module = os.open("/workspace/%d.ko" % number, os.O_RDONLY)
    except FileNotFoundError: return -1
    return ctypes.CDLL(None, use_errno=True).syscall(313, module, b"", 0)
def vsock():
    # The guest's own launcher has not loaded what it needs; root can.
    for number in range(3): load(number)
    return "%d answers" % vsock_answers()
def vsock_answers():
    answers = 0
    for context in range(6):
        # Of the host (2), every port that only its root may have.
        for port in [*(range(1024) if context == 2 else (0, 22)), 1024, 1025]:
            with socket.socket(40, socket.SOCK_STREAM) as probe:
                probe.settimeout(1)
                if probe.connect_ex((context, port)) == 0: answers += 1
    return answers
def loopback():
    # A control of the one before: with a transport within the guest, what listens is found.
    if load(3) != 0: return "no module"
    listener = socket.socket(40, socket.SOCK_STREAM)
    listener.bind((0xffffffff, 1024))
    listener.listen()
    return "found" if vsock_answers() > 0 else "not found"
def disks():
    # Every disk, whatever the kernel has been told of it; the scratch disk is the machine's own, and gets what it had.
    written = []
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith("vd"): continue
        with open("/dev/" + name, "rb") as disk:
            fcntl.ioctl(disk, 0x125d, (0).to_bytes(4, "little"))
            had = disk.read(4096)
        try:
            with open("/dev/" + name, "r+b", buffering=0) as disk:
                disk.write(had if name == "vda" else b"\xa5" * 4096)
                os.fsync(disk.fileno())
            written.append(name)
        except OSError: pass
    return "%d disks, written to %s" % (len([n for n in os.listdir("/sys/block") if n.startswith("vd")]), written)
def balloon():
    kinds = sorted(int(open("/sys/bus/virtio/devices/%s/device" % name).read(), 16) for name in os.listdir("/sys/bus/virtio/devices"))
    return "absent" if 5 not in kinds else "there"
def chains():
    # Devices are spoken to without a driver: those of the second page of places, which hold disks that nobody needs.
    lines = [line.split() for line in open("/proc/iomem")]
    places = {int(line[0].split("-")[0], 16): line[2] for line in lines if line[2].startswith("LNRO0005")}
    places = {start: name for start, name in places.items() if 0xfeb01000 <= start < 0xfeb02000}
    for name in sorted(places.values()):
        try: open("/sys/bus/platform/drivers/virtio-mmio/unbind", "w").write(name)
        except OSError: pass
    file = open("/dev/mem", "r+b", buffering=0)
    page = mmap.mmap(file.fileno(), 4096, offset=0xfeb01000)
    own = mmap.mmap(-1, 16 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x2000 | 0x8000)
    own[:] = bytes(len(own))
    start = ctypes.addressof(ctypes.c_char.from_buffer(own))
    with open("/proc/self/pagemap", "rb") as map:
        map.seek(start // 4096 * 8)
        physical = [int.from_bytes(map.read(8), "little") & (1 << 55) - 1 for _ in range(16)]
    rounds, versions = 0, {0}
    for place in places:
        register = lambda offset: ctypes.c_uint32.from_buffer(page, place - 0xfeb01000 + offset)
        if register(0).value != 0x74726976 or register(8).value != 2: continue
        versions.add(register(4).value)
        for number in range(300):
            ring = physical[0] * 4096
            data = [p * 4096 for p in physical[1:]]
            odd = [0, 1, place, 0xfeb00000, 0xfee00000, 1 << 40, (1 << 64) - 8, ring, random.choice(data)]
            sizes = [0, 1, 15, 16, 17, 512, 4096, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]
            chain = bytearray(4096)
            for index in range(16):
                address = random.choice(odd) if random.random() < .6 else random.choice(data)
                flags = random.choice([0, 1, 1, 1, 2, 3, 4, 5, 7, 0xffff])
                following = random.choice([index, index + 1, 0, 15, 16, 0xffff])
                chain[index * 16:index * 16 + 16] = struct.pack("<QIHH", address, random.choice(sizes), flags, following & 0xffff)
            # Available: flags, index, heads.
            heads = [random.choice([0, 1, 5, 15, 16, 0x7fff, 0xffff]) for _ in range(16)]
            chain[256:256 + 36] = struct.pack("<HH16H", 0, random.choice([1, 2, 15, 16, 17, 0x8000, 0xffff]), *heads)
            own[0:4096] = bytes(chain)
            # What a disk is asked for: every kind of request, at every kind of sector.
            for piece in range(1, 16):
                kind = random.choice([0, 1, 4, 8, 11, 13, 0xffffffff])
                sector = random.choice([0, 1, (1 << 63) - 1, (1 << 64) - 1])
                own[piece * 4096:piece * 4096 + 16] = struct.pack("<IIQ", kind, 0, sector)
            queue = ring if number % 5 else random.choice(odd)
            def put(offset, value): register(offset).value = value & 0xffffffff
            put(0x70, 0); put(0x70, 1); put(0x70, 3)
            put(0x24, 0); put(0x20, random.choice([0, 1 << 28, 1 << 29, 0xffffffff]))
            if register(4).value == 1: put(0x28, random.choice([4096, 4096, 1, 0]))
            put(0x30, 0 if number % 7 else random.choice([1, 7, 0xffff]))
            put(0x38, random.choice([16, 16, 16, 0, 3, 0xffff]))
            if register(4).value == 1:
                put(0x3c, random.choice([512, 4096, 1, 0]))
                put(0x40, queue // 4096)
            else:
                put(0x70, 11)
                for at, value in ((0x80, queue), (0x90, queue + 256), (0xa0, queue + 512)): put(at, value); put(at + 4, value >> 32)
                put(0x44, 1)
            put(0x70, 15)
            for _ in range(3): put(0x50, random.choice([0, 0, 0, 1, 0xffff]))
            register(0x60).value
            rounds += 1
        put(0x70, 0)
    return "%d rounds, versions %s" % (rounds, sorted(versions))
def acpi():
    # What the firmware's tables name, last: some of it resets the machine.
    done = 0
    with open("/dev/mem", "r+b", buffering=0) as device:
        for start in (0xfea00000, 0xfec00000, 0xfed00000):
            for place in range(start, start + 0x400, 4):
                try:
                    os.pwrite(device.fileno(), random.randbytes(4), place)
                    done += 1
                except OSError: pass
    library = ctypes.CDLL(None)
    if library.iopl(3) == 0:
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        # mov edx, edi; mov eax, esi; out dx, eax; ret
        code.write(bytes.fromhex("89fa89f0efc3"))
        write = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        for function in range(0, 0x10000, 0x100):
            write(0xcf8, 0x80000000 | function)
            write(0xcfc, random.getrandbits(32))
        for port in range(0x600, 0x620, 4): write(port, random.getrandbits(32))
    return "%d words" % done
def kexec():
    # An empty image: whether the call is there at all. Another kernel would be one of this machine.
    tried = ctypes.CDLL(None, use_errno=True).syscall(246, 0, 0, None, 0)
    with open("/proc/sys/kernel/kexec_load_disabled") as file: return "disabled: %s, load: %d" % (file.read().strip(), tried)
for name in sys.argv[1].split(","):
    attempt(name, globals()[name])
"#;

/// Garbage to the host on the port of the launcher, as no launcher would say it.
const CONTROL: &str = r#"
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
relay = os.pidfd_open(1)
for number in range(3, 32):
    try: leads_to = os.readlink("/proc/1/fd/%d" % number)
    except OSError: continue
    if "vport" not in leads_to: continue
    # It is open once only; root takes it from who has it.
    own = libc.syscall(438, relay, number, 0)
    print("garbage to", leads_to, own >= 0, flush=True)
    # What was printed is to arrive: the host ends a machine that it does not understand.
    time.sleep(3)
    os.set_blocking(own, False)
    os.write(own, b"\xff" * 65536)
"#;

struct Host {
    canary: Sandbox,
    session: Session,
    local: sandbox::local::Local,
    file: std::path::PathBuf,
}

impl Host {
    async fn new() -> Option<Host> {
        let (local, layer) = (place::local()?, place::image_dir()?);
        let canary = local.container().create(SandboxSpec::image(vec![layer])).await.unwrap();
        canary.stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(canary.stream.try_clone().unwrap()).unwrap();
        let session = Session::start(stream).await.unwrap();
        session.write_file(None, "/canary", CANARY.as_bytes(), 0o600).await.unwrap();
        let file = place::base().join(format!("canary-{}", std::process::id()));
        std::fs::write(&file, CANARY).unwrap();
        Some(Host { canary, session, local, file })
    }

    async fn is_untouched(&self) {
        assert!(self.canary.end.borrow().is_none(), "the sandbox beside the machine has ended");
        assert_eq!(self.session.read_file(None, "/canary", 100).await.unwrap(), CANARY.as_bytes());
        assert_eq!(std::fs::read_to_string(&self.file).unwrap(), CANARY);
    }

    async fn end(self) {
        self.is_untouched().await;
        self.local.container().destroy(self.canary.id).await.unwrap();
        std::fs::remove_file(&self.file).unwrap();
    }
}

/// A machine, and what root of its guest says when it runs a program of Python.
async fn as_guest_root(driver: &MicroVm, layer: &std::path::Path, program: &str, words: &str) -> (Sandbox, String) {
    as_guest_root_with(driver, vec![microvm::offered(layer.to_owned())], program, words, &[]).await
}

/// The first image is the one that the program runs beside. `beside`: files `0.ko` and so on for it.
async fn as_guest_root_with(
    driver: &MicroVm,
    images: Vec<OfferedImage>,
    program: &str,
    words: &str,
    beside: &[Vec<u8>],
) -> (Sandbox, String) {
    let spec = SandboxSpec { engine: Some(EngineSpec { images }), ..SandboxSpec::host_tools() };
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::UnixStream::from_std(sandbox.stream.try_clone().unwrap()).unwrap();
    let session = Session::start(stream).await.unwrap();
    session.write_file(None, "/workspace/probe.py", program.as_bytes(), 0o644).await.unwrap();
    for (number, content) in beside.iter().enumerate() {
        session.write_file(None, &format!("/workspace/{number}.ko"), content, 0o644).await.unwrap();
    }
    let script = format!(
        "exec 2>&1; docker run --rm --privileged --pid host --network host -v /:/host registry.example/team/tools:3 \
         chroot /host /usr/bin/python3 /workspace/probe.py {words}"
    );
    let spec = ExecSpec {
        argv: ["/bin/sh", "-c", &script].map(Into::into).into(),
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/bin".into()), ("HOME".into(), "/workspace".into())],
        cwd: "/workspace".into(),
        user: wire::init::User { uid: 1000, gid: 1000, groups: vec![] },
        ..ExecSpec::default()
    };
    let mut running = session.exec(spec).await.unwrap();
    let mut text = Vec::new();
    // A machine that has gone mad says nothing more.
    while let Ok(Ok(Some(output))) = tokio::time::timeout(Duration::from_secs(120), running.next()).await {
        if let Output::Data { data, .. } = output {
            text.extend(data);
        }
    }
    (sandbox, String::from_utf8_lossy(&text).into_owned())
}

/// Of the guest's kernel, the modules of ports to the host, in the order of their loading; the last one is of ports that lead to the
/// guest itself.
fn loopback_modules() -> Vec<Vec<u8>> {
    let Some(guest) = microvm::guest() else { return Vec::new() };
    let release = guest.description.release;
    let folder = format!("lib/modules/{release}/kernel/net/vmw_vsock");
    let unpacked = tempfile::tempdir_in(place::base()).unwrap();
    let installed = std::path::Path::new("/").join(&folder);
    if !installed.exists() {
        // The user that apt downloads as cannot write there.
        let script = "apt-get -q -o APT::Sandbox::User=root download linux-image-$1 > /dev/null && \
            dpkg-deb --fsys-tarfile *.deb | tar -x ./$2";
        let mut command = std::process::Command::new("sh");
        let ran = command.args(["-ec", script, "sh", &release, &folder]).current_dir(unpacked.path()).output().unwrap();
        if !ran.status.success() {
            println!("skipped: a control of ports to the host: {}", String::from_utf8_lossy(&ran.stderr).trim());
            return Vec::new();
        }
    }
    let root = if installed.exists() { std::path::Path::new("/") } else { unpacked.path() };
    ["vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "vsock_loopback"]
        .map(|name| std::fs::read(root.join(&folder).join(name).with_extension("ko")).unwrap())
        .into()
}

#[tokio::test]
async fn microvm_root_of_the_guest_reaches_nothing_of_the_host() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let Some(host) = Host::new().await else { return };
    // The devices that the last ones confuse are those that the others need.
    let probes = "serial,vsock,loopback,kexec,ports,memory";
    let beside = loopback_modules();
    let has_loopback = !beside.is_empty();
    let images = vec![microvm::offered(layer)];
    let (sandbox, said) = as_guest_root_with(&driver, images, PROBES, probes, &beside).await;
    println!("{said}");
    for probe in probes.split(',') {
        assert!(said.contains(&format!("probe {probe} ")), "{probe} did not run: {said}");
    }
    // A control: it was root of a real guest, and the devices are there.
    assert!(said.contains("probe ports done") && said.contains("probe serial done"), "{said}");
    assert!(said.contains("probe vsock refused") || said.contains("probe vsock 0 answers"), "{said}");
    assert!(!has_loopback || said.contains("probe loopback found"), "{said}");
    host.is_untouched().await;
    let ended = driver.destroy(sandbox.id).await.unwrap();
    assert!(matches!(ended.cause, EndCause::Destroyed | EndCause::Lost), "{ended:?}");
    host.end().await;
}

/// What a driver in the guest would never say to its devices.
#[tokio::test]
async fn microvm_devices_stand_whatever_the_guest_says_to_them() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let Some(host) = Host::new().await else { return };
    let folder = tempfile::tempdir_in(place::base()).unwrap();
    // So many disks that some are in a page of places that holds nothing else.
    let mut spare = microvm::offered(layer.clone());
    spare.names[0].repository = "registry.example/team/spare".into();
    spare.digests = vec![format!("sha256:{}", "3".repeat(64))];
    let diff_ids: Vec<_> = (0..8).map(|number| format!("sha256:{}", number.to_string().repeat(64))).collect();
    spare.config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    spare.layers = diff_ids
        .into_iter()
        .enumerate()
        .map(|(number, diff_id)| {
            let content = folder.path().join(number.to_string());
            std::fs::create_dir(&content).unwrap();
            std::fs::write(content.join("file"), number.to_string()).unwrap();
            let file = folder.path().join(format!("{number}.erofs"));
            let made = std::process::Command::new("mkfs.erofs").arg("--quiet").arg(&file).arg(&content).status();
            assert!(made.unwrap().success());
            OfferedLayer { diff_id, file, bytes: 1, blob: None, hides_all: false }
        })
        .collect();
    let files: Vec<_> = spare.layers.iter().map(|layer| layer.file.clone()).chain([layer.clone()]).collect();
    let contents = || files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = contents();
    let images = vec![microvm::offered(layer.clone()), spare];
    let probes = "balloon,disks,chains,acpi";
    let (sandbox, said) = as_guest_root_with(&driver, images, PROBES, probes, &[]).await;
    println!("{said}");
    assert!(said.contains("probe balloon absent"), "{said}");
    // A control: the disks were there, and the one that may be written to was.
    assert!(said.contains("probe disks 11 disks, written to ['vda']"), "{said}");
    assert!(said.contains("try acpi"), "the machine did not get so far: {said}");
    let rounds = said.split("probe chains ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    assert!(rounds.is_some_and(|rounds: u32| rounds >= 300), "{said}");
    host.is_untouched().await;
    assert!(contents() == before, "a layer of the store has changed");
    let ended = tokio::time::timeout(Duration::from_secs(60), driver.destroy(sandbox.id)).await.unwrap().unwrap();
    println!("ended as {:?}", ended.cause);
    assert!(matches!(ended.cause, EndCause::Destroyed | EndCause::Lost), "{ended:?}");
    host.end().await;
}

#[tokio::test]
async fn microvm_that_talks_nonsense_to_the_host_ends() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let Some(host) = Host::new().await else { return };
    let (sandbox, said) = as_guest_root(&driver, &layer, CONTROL, "").await;
    println!("{said}");
    assert!(said.contains("vport") && said.contains("True"), "{said}");
    let usage = tokio::time::timeout(Duration::from_secs(30), driver.usage(sandbox.id)).await;
    assert!(usage.is_ok(), "a guest that does not answer keeps nobody waiting");
    let ended = tokio::time::timeout(Duration::from_secs(30), driver.destroy(sandbox.id)).await.unwrap().unwrap();
    println!("ended as {:?}", ended.cause);
    host.end().await;
}

#[tokio::test]
async fn microvm_that_crashes_is_lost_and_gone() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let Some(host) = Host::new().await else { return };
    let crash = "import os\nprint('now', flush=True)\nos.sync()\nopen('/proc/sysrq-trigger', 'w').write('c')\n";
    let (sandbox, _) = as_guest_root(&driver, &layer, crash, "").await;
    let ended = tokio::time::timeout(Duration::from_secs(60), sandbox.ended()).await;
    let ended = ended.expect("a machine whose kernel has panicked ends");
    assert_eq!(ended.cause, EndCause::Lost, "{ended:?}");
    host.end().await;
}
