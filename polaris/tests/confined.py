"""`python confined.py CALLS COMMAND…` runs the command with no other system calls than these.

CALLS are names with commas between; all others are refused with EPERM, as systemd's
SystemCallFilter does.
"""

import ctypes
import errno
import os
import sys

LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM


def allow_only(names: list[str]) -> None:
    """For this process and all that it becomes. Raises OSError where the kernel refuses."""
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(_REFUSE))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are of other processors
            library.seccomp_rule_add(rules, _ALLOW, number, 0)
    failed = library.seccomp_load(rules)
    if failed:
        raise OSError(-failed, "the filter is not taken")


if __name__ == "__main__":
    allow_only(sys.argv[1].split(","))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
