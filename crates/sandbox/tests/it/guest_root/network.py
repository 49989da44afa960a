# What root of a guest sends into its network, to every address that it could know: connections, and frames that no kernel would make.
import fcntl, json, random, socket, struct, sys
random.seed(7)
with open("/workspace/network.json") as file: known = json.load(file)
own, router, gateway, allowed = (known[name] for name in ("own", "router", "gateway", "allowed"))
others = [gateway, *known["hosts"], known["neighbour"], *known["forbidden"]]
port, local = known["ports"]
def attempt(name, probe): print("probe", name, probe(), flush=True)
def connect(address, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(30)
        try: probe.connect((address, port))
        except OSError: return None
        return probe
def is_allowed():
    # The control: this is how it is done where it is allowed.
    with socket.create_connection((allowed, known["port"]), timeout=60) as stream: return stream.makefile().read()
def connects():
    # Under other names too, and whatever is sent without a connection.
    reached, tried = [], 0
    spelled = [*others, router, own, "127.0.0.1", "0.0.0.0"]
    for address, number in [(address, number) for address in spelled for number in (port, local)] + [(allowed, known["names"])]:
        tried += 2
        if connect(address, number): reached.append((address, number))
        if connect("::ffff:" + address, number, socket.AF_INET6): reached.append((address, number))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try: probe.sendto(b"touched", (address, number))
            except OSError: pass
    return "%d reached of %d %s" % (len(reached), tried, reached)
def station(name):
    with socket.socket() as probe: return fcntl.ioctl(probe, 0x8927, struct.pack("256s", name.encode()))[18:24]
def neighbour(address):
    with open("/proc/net/arp") as file: found = next(line.split()[3] for line in file if line.split()[0] == address)
    return bytes.fromhex(found.replace(":", ""))
def total(data):
    words = sum(struct.unpack("!%dH" % (len(data) // 2), data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while words >> 16: words = (words & 0xffff) + (words >> 16)
    return ~words & 0xffff
def packet(source, target, payload, number=None, kind=17, fragment=0, options=b""):
    inner = struct.pack("!HHHH", 4000, number or port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(inner) & 0xffff, random.randrange(1 << 16),
        fragment, 64, kind, 0, socket.inet_aton(source), socket.inet_aton(target)) + options
    return head[:10] + struct.pack("!H", total(head)) + head[12:] + inner
sent = {"all": 0, "refused": 0, "forged": 0}
def frames():
    here, there = station("eth0"), neighbour(router)
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("eth0", 0))
    def send(content, to=there, source=here, kind=0x0800):
        try:
            link.send(to + source + struct.pack("!H", kind) + content)
            sent["all"] += 1
        except OSError: sent["refused"] += 1
    targets = [(address, number) for address in [*others, router, "127.0.0.1"] for number in (port, local)] + [(allowed, known["port"])]
    # Whose sender is somebody else: a host, a neighbour, somebody out there, nobody. Some make no sense at all.
    routed = [gateway, *known["hosts"], known["neighbour"], allowed, *known["forbidden"], "198.18.3.250", "192.88.99.77"]
    for source in [*routed, router, "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"]:
        for target, number in targets:
            send(packet(source, target, b"forged", number))
            sent["forged"] += source in routed and source != target and target not in ("127.0.0.1", router)
    # Of the right sender, to whoever must not be reached; the last one may be.
    for target, number in targets: send(packet(own, target, b"honest", number))
    # By way of somebody who might pass it on: loose and strict source routes. Source: RFC 791, 3.1.
    for way in (router, gateway, allowed):
        for target, number in targets:
            for option in (0x83, 0x89):
                send(packet(own, way, b"honest", number, options=struct.pack("!BBB4sx", option, 7, 4, socket.inet_aton(target))))
    # From stations that are others', or none; to all.
    for source in (there, bytes(6), b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01", random.randbytes(6)):
        send(packet(own, allowed, b"honest", known["port"]), source=source)
        send(packet(known["neighbour"], allowed, b"forged", known["port"]), source=source)
    for target, number in targets: send(packet(own, target, b"forged", number), to=b"\xff" * 6)
    # It has everybody's address, says its station to whoever asked and did not, and asks for all.
    for address in [gateway, *known["hosts"], known["neighbour"], router, allowed]:
        for operation in (1, 2):
            for source in (here, there, b"\xff" * 6):
                ends = source, socket.inet_aton(address), there, socket.inet_aton(router)
                send(struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, *ends), kind=0x0806)
    # It is a router of IPv6 (RFC 4861, 4.2), and whatever else has a number.
    advertised = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    ends = [socket.inet_pton(socket.AF_INET6, address) for address in ("fe80::1", "ff02::1")]
    send(struct.pack("!IHBB16s16s", 6 << 28, len(advertised), 58, 255, *ends) + advertised, kind=0x86dd)
    for kind in (0, 0x05dc, 0x8100, 0x88a8, 0x88cc, 0x8863, 0x8847, 0xffff): send(packet(own, allowed, b"forged", known["port"]), kind=kind)
    # Lengths, fragments and kinds that lie.
    for number in range(300):
        kind, part = random.choice([1, 2, 4, 6, 17, 41, 47, 132, 255]), random.choice([0, 0x2000, 0x2001, 1, 0x1fff, 0x4000])
        word = b"honest" + random.randbytes(random.randrange(1400))
        content = bytearray(packet(own, random.choice([allowed, *others]), word, fragment=part, kind=kind))
        for _ in range(random.randrange(4)): content[random.choice([0, 1, 2, 3, 6, 7, 8, 9])] = random.randrange(256)
        content[10:12] = bytes(2)
        content[10:12] = struct.pack("!H", total(bytes(content[:20])))
        send(bytes(content[:random.choice([len(content), len(content), 1, 19, 20, 27])]))
    # Larger than anybody takes.
    with socket.socket() as probe: fcntl.ioctl(probe, 0x8922, struct.pack("16sI236x", b"eth0", 65535))
    large = 0
    for size in (1501, 1514, 4096, 9000, 16384, 40000, 65000, 65507):
        for source, word in ((own, b"honest"), (known["neighbour"], b"forged")):
            for fragment in (0, 0x4000):
                before = sent["all"]
                send(packet(source, allowed, word * (size // 6), known["port"], fragment=fragment))
                large += sent["all"] - before
    return "%(all)d sent, %(forged)d forged, %(refused)d refused" % sent + ", %d large" % large
attempt("allowed", is_allowed)
attempt("connects", connects)
attempt("frames", frames)
attempt("again", is_allowed)
