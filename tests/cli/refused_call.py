"""Runs a program for which one system call fails, whatever the system could do: by a seccomp filter.

    refused_call.py NUMBER FIRST_ARGUMENT ERRNO PROGRAM ARGUMENTS...

The call of this number fails with this errno where its first argument has this value; `any` is every value.
Exit code 77: the system allows no filter.
"""

import ctypes
import os
import struct
import sys

LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06  # bpf(4): BPF_LD | BPF_W | BPF_ABS and so on
ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # seccomp(2)
NUMBER_AT, FIRST_ARGUMENT_AT = 0, 16  # in struct seccomp_data
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2  # prctl(2)


def steps(number, first_argument, errno):
    yield LOAD, 0, 0, NUMBER_AT
    if first_argument == "any":
        yield EQUALS, 0, 1, number
    else:
        yield EQUALS, 0, 3, number
        yield LOAD, 0, 0, FIRST_ARGUMENT_AT
        yield EQUALS, 0, 1, int(first_argument)
    yield RETURN, 0, 0, ERRNO | errno
    yield RETURN, 0, 0, ALLOW


number, first_argument, errno, *program = sys.argv[1:]
code = list(steps(int(number), first_argument, int(errno)))
code_bytes = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
filter_bytes = struct.pack("HxxxxxxP", len(code), ctypes.addressof(code_bytes))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, filter_bytes, 0, 0):
    sys.exit(77)
os.execvp(program[0], program)
