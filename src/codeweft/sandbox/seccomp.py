"""A filter of system calls, as the kernel's classic BPF: what a compiler or a test never needs is refused.

It comes on top of namespaces and dropped capabilities: most ways out of a sandbox went through one of these calls.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# linux/bpf_common.h, linux/seccomp.h, linux/audit.h
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000
"""Calls of x86's x32 variant carry this bit and would pass by their other numbers."""
_NEW_USER_NAMESPACE = 0x10000000
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK live in a network namespace; AF_VSOCK and AF_ALG do not."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """The audit architecture and the numbers of system calls of one kind of processor."""

    architecture: int
    clone: int
    clone3: int
    socket: int
    refused: tuple[int, ...]


# Numbers from the kernel's syscall tables. In both rows: ptrace, mount, umount2, pivot_root, swapon, reboot,
# kexec_load, init_module, finit_module, delete_module, add_key, request_key, keyctl, perf_event_open, bpf,
# userfaultfd, unshare, setns, memfd_create (memory that no limit counts), process_vm_readv, process_vm_writev,
# io_uring_setup, io_uring_enter, io_uring_register, open_by_handle_at, name_to_handle_at, open_tree, move_mount,
# fsopen, fsconfig, fsmount, mount_setattr.
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 56, 435, 41,
        (101, 165, 166, 155, 167, 169, 246, 175, 313, 176, 248, 249, 250, 298, 321, 323, 272, 308, 319,
         310, 311, 425, 426, 427, 304, 303, 428, 429, 430, 431, 432, 442),
    ),
    "aarch64": _Machine(
        0xC00000B7, 220, 435, 198,
        (117, 40, 39, 41, 224, 142, 104, 105, 273, 106, 217, 218, 219, 241, 280, 282, 97, 268, 279,
         270, 271, 425, 426, 427, 265, 264, 428, 429, 430, 431, 432, 442),
    ),
}  # fmt: skip


def program(machine: str | None = None) -> bytes | None:
    """The filter for this kind of processor; None where its numbers are not known."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, known.architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
        # Its flags lie in memory, where no filter can read them; the C library falls back to `clone`.
        _step(_EQUAL, known.clone3, 0, 1),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
        _step(_EQUAL, known.clone, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _NEW_USER_NAMESPACE, 0, 1),
        refuse,
        allow,
        _step(_EQUAL, known.socket, 0, len(_FAMILIES) + 3),
        _step(_LOAD, _FIRST_ARGUMENT),
        *(_step(_EQUAL, family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)),
        _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT),
        allow,
    ]
    for number in known.refused:
        steps += [_step(_EQUAL, number, 0, 1), refuse]
    return b"".join([*steps, allow])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
