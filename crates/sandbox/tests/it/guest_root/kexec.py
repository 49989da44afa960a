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
sys.stdin.readline()
print("start", call(169, 0xfee1dead, 0x28121969, 0x45584543, None), flush=True)
