"""A program that tells whether KVM runs ordinary code at speed: it counts down in a guest, timed.

Some hosts offer a /dev/kvm that works but emulates each instruction, a thousand times too slowly for a
kernel; small guests do not show it. Exit status: 0 usable, 1 too slow, 2 not there or not allowed (stderr
says why). Interface: Linux, Documentation/virt/kvm/api.rst.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import struct
import sys

CREATE_VM, CREATE_VCPU, GET_VCPU_MMAP_SIZE = 0xAE01, 0xAE41, 0xAE04
SET_USER_MEMORY_REGION, RUN = 0x4020AE46, 0xAE80
GET_SREGS, SET_SREGS, SET_REGS = 0x8138AE83, 0x4138AE84, 0x4090AE82
EXIT_IO = 2
SIZE = 0x10000
SECONDS = 0.25  # of processor time, the guest's included: a busy host is no reason to distrust its KVM
# mov ecx,2000000 / dec ecx / jnz / out 0x10,al / hlt, in 16-bit mode
CODE = bytes.fromhex("66b980841e00" + "6649" + "75fc" + "e610" + "f4")


def main() -> int:
    """Runs the loop once."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        machine = fcntl.ioctl(device, CREATE_VM, 0)
        memory = mmap.mmap(-1, SIZE)
        memory[: len(CODE)] = CODE
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        fcntl.ioctl(machine, SET_USER_MEMORY_REGION, struct.pack("=IIQQQ", 0, 0, 0, SIZE, address))
        processor = fcntl.ioctl(machine, CREATE_VCPU, 0)
        state = mmap.mmap(processor, fcntl.ioctl(device, GET_VCPU_MMAP_SIZE, 0))
        segments = bytearray(fcntl.ioctl(processor, GET_SREGS, bytes(312)))
        segments[0:8] = bytes(8)  # code segment: base 0; its limit stays; selector 0
        segments[12:14] = bytes(2)
        fcntl.ioctl(processor, SET_SREGS, bytes(segments))
        registers = [0] * 18
        registers[17] = 2  # rflags: the bit that is always set; rip is 0
        fcntl.ioctl(processor, SET_REGS, struct.pack("=18Q", *registers))
    except OSError as problem:
        sys.stderr.write(f"/dev/kvm: {problem.strerror}\n")
        return 2
    signal.signal(signal.SIGPROF, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    # Not by fcntl.ioctl, which begins anew when a signal interrupts it.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ioctl(processor, RUN, 0) != 0:
        sys.stderr.write("two million steps took more than a quarter of a second of processor time\n")
        return 1
    reason = struct.unpack_from("=I", state, 8)[0]
    if reason != EXIT_IO:
        sys.stderr.write(f"the guest ended with exit reason {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
