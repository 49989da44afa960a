//! Root of a machine's guest against the host: whoever has the engine's socket is that. Rows E-HV and E-VSOCK of the list of attacks.
//!
//! The host's canaries are a sandbox beside the machine, the launcher that made both, and a file; none may change, whatever the guest does to its
//! devices, and a machine that has gone mad ends without a trace.

use std::time::Duration;

use sandbox::microvm::MicroVm;
use sandbox::session::{Output, Session};
use sandbox::{Driver, EndCause, EngineSpec, LayerSource, Sandbox, SandboxSpec};
use wire::init::ExecSpec;

use crate::{microvm, place};

const CANARY: &str = "nobody touches this\n";

/// What root of the guest runs, in the engine's root: it has Python.
const PROBES: &str = r#"
import ctypes, mmap, os, random, socket, sys
random.seed(7)
def attempt(name, probe):
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
def vsock():
    answers = 0
    for context in range(6):
        for port in (0, 22, 1024, 1025):
            with socket.socket(40, socket.SOCK_STREAM) as probe:
                probe.settimeout(1)
                if probe.connect_ex((context, port)) == 0: answers += 1
    return "%d answers" % answers
def kexec():
    with open("/proc/sys/kernel/kexec_load_disabled") as file: return "disabled: " + file.read().strip()
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
    let spec = SandboxSpec {
        engine: Some(EngineSpec { images: vec![microvm::offered(layer.to_owned())] }),
        ..SandboxSpec::host_tools()
    };
    let sandbox = driver.create(spec).await.unwrap();
    sandbox.stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::UnixStream::from_std(sandbox.stream.try_clone().unwrap()).unwrap();
    let session = Session::start(stream).await.unwrap();
    session.write_file(None, "/workspace/probe.py", program.as_bytes(), 0o644).await.unwrap();
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
        if text.windows(4).any(|end| end == b"END\n") {
            break;
        }
    }
    (sandbox, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn microvm_root_of_the_guest_reaches_nothing_of_the_host() {
    let (Some(driver), Some(LayerSource::Erofs(layer))) = (microvm::engine_driver(), place::image_erofs()) else {
        return;
    };
    let Some(host) = Host::new().await else { return };
    // The devices that the last ones confuse are those that the others need.
    let probes = "serial,vsock,kexec,ports,memory";
    let (sandbox, said) = as_guest_root(&driver, &layer, PROBES, probes).await;
    println!("{said}");
    for probe in probes.split(',') {
        assert!(said.contains(&format!("probe {probe} ")), "{probe} did not run: {said}");
    }
    // A control: it was root of a real guest, and the devices are there.
    assert!(said.contains("probe ports done") && said.contains("probe serial done"), "{said}");
    assert!(said.contains("probe vsock refused") || said.contains("probe vsock 0 answers"), "{said}");
    host.is_untouched().await;
    let ended = driver.destroy(sandbox.id).await.unwrap();
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
