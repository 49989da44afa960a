# Root of a guest that starts a kernel of its own: with the first kernel's words, and with those that it is given.
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    done = libc.syscall(*[ctypes.c_long(word) if isinstance(word, int) else word for word in (number, *words)])
    return "refused: " + os.strerror(ctypes.get_errno()) if done < 0 else "done"
def read(path):
    with open(path) as file: return file.read().strip()
print("first kernel", read("/proc/sys/kernel/random/boot_id"), read("/proc/cmdline"), flush=True)
words = " ".join([read("/proc/cmdline"), *sys.argv[1:]]).encode()
kernel, initrd = (os.open("/workspace/" + name, os.O_RDONLY) for name in ("kernel", "initrd"))
print("load", call(320, kernel, initrd, len(words) + 1, words, 0), flush=True)
# What a device still writes when the next kernel stands in its place breaks that: nothing is to be asked of one.
def write(path, text):
    with open(path, "w") as file: file.write(text)
write("/sys/class/misc/hw_random/rng_current", "none")
sys.stdin.readline()
os.sync()
while any(number != "0" for disk in os.listdir("/sys/block") for number in read("/sys/block/" + disk + "/inflight").split()): pass
print("start", call(169, 0xfee1dead, 0x28121969, 0x45584543, None), flush=True)
