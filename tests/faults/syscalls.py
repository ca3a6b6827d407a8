"""The system calls that are about files: their numbers, and where among their arguments the files stand."""

import platform
from dataclasses import dataclass
from typing import NamedTuple

# Name, its numbers on x86-64 and on aarch64 ("-" where it has none: include/uapi/asm-generic/unistd.h), and which
# arguments say what file it is about: "0" a descriptor, ":0" a path, "0:1" a path relative to a descriptor.
_CHANGING = """
    open 2 - :0             openat 257 56 0:1       openat2 437 437 0:1     creat 85 - :0
    write 1 64 0            writev 20 66 0          pwrite64 18 68 0        pwritev 296 70 0
    pwritev2 328 287 0      sendfile 40 71 0        copy_file_range 326 285 2
    fsync 74 82 0           fdatasync 75 83 0       flock 73 32 0           utimensat 280 88 0:1
    truncate 76 45 :0       ftruncate 77 46 0       fallocate 285 47 0
    rename 82 - :0 :1       renameat 264 38 0:1 2:3 renameat2 316 276 0:1 2:3
    link 86 - :0 :1         linkat 265 37 0:1 2:3   symlink 88 - :1         symlinkat 266 36 1:2
    mkdir 83 - :0           mkdirat 258 34 0:1      rmdir 84 - :0
    unlink 87 - :0          unlinkat 263 35 0:1
"""
_READING = """
    read 0 63 0             readv 19 65 0           pread64 17 67 0         preadv 295 69 0
    getdents64 217 61 0
"""
_ASKING = """
    stat 4 - :0             lstat 6 - :0            fstat 5 80 0            newfstatat 262 79 0:1
    statx 332 291 0:1       access 21 - :0          faccessat 269 48 0:1    faccessat2 439 439 0:1
    readlink 89 - :0        readlinkat 267 78 0:1
"""

MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""Column of the tables above, what audit calls the machine, and the number of seccomp itself."""


@dataclass(frozen=True)
class Syscall:
    """One system call: its name, and where among its arguments the files stand: descriptor, path, or both."""

    name: str
    files: tuple[tuple[int | None, int | None], ...]


def _read_table(text: str) -> dict[int, Syscall]:
    """Read one of the tables above into system calls by number, for this machine."""
    column = MACHINES[platform.machine()][0]
    table: dict[int, Syscall] = {}
    words = text.split()
    starts = [at for at, word in enumerate(words) if word[0].isalpha()]
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        name, *numbers = words[start : start + 3]
        if numbers[column] == "-":
            continue
        files = []
        for place in words[start + 3 : end]:
            descriptor, colon, path = place.partition(":")
            files.append((int(descriptor) if descriptor else None, int(path) if colon else None))
        table[int(numbers[column])] = Syscall(name, tuple(files))
    return table


SUPPORTED = platform.system() == "Linux" and platform.machine() in MACHINES
CHANGING, READING, ASKING = (_read_table(text) if SUPPORTED else {} for text in (_CHANGING, _READING, _ASKING))
"""System calls that change files or open them, that read them, and that ask about them, by number."""


class Call(NamedTuple):
    """A system call that was seen: its name and the files it is about, as absolute paths."""

    name: str
    paths: tuple[str, ...]
