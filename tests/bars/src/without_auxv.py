# Starts a program for which the kernel has no prctl(PR_GET_AUXV). valgrind takes the vdso away from a program and says so in the
# auxiliary vector it shows it; that system call goes past it, and whoever believes its answer (rustix) ends with SIGSEGV.
import ctypes, os, platform, struct, sys

prctl = {"x86_64": 157, "aarch64": 167}[platform.machine()]
filter = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in [
        (0x20, 0, 0, 0),  # the number of the system call
        (0x15, 0, 3, prctl),
        (0x20, 0, 0, 16),  # its first argument
        (0x15, 0, 1, 0x41555856),  # PR_GET_AUXV
        (0x06, 0, 0, 0x00050016),  # EINVAL
        (0x06, 0, 0, 0x7FFF0000),  # as ever
    ]
)
held = ctypes.create_string_buffer(filter, len(filter))
program = struct.pack("HxxxxxxP", len(filter) // 8, ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit("no filter for system calls: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
