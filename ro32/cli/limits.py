"""Checks resource limits at the start: reports limits that are too low before a library aborts."""

import os
import resource
import sys
from contextlib import suppress

from ro32.errors import ReadWriteError

LEAST = {
    resource.RLIMIT_AS: (1_500 << 20, "bytes of address space", "ulimit -v"),
    resource.RLIMIT_NOFILE: (16, "open files", "ulimit -n"),
}
"""What a command needs at least. With less address space pyarrow's and Polars' libraries cannot be mapped, or abort the
process when they start their threads: measured with two cores, where 1.2 GiB failed and 1.5 GiB did not."""


def check() -> None:
    """Leave the process with exit code 74 where a limit is too low."""
    for limit, (least, what, command) in LEAST.items():
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < least:
            sentence = f"ro32: {allowed:,} {what} are allowed, {least:,} are needed; raise the limit ({command})\n"
            with suppress(OSError):
                os.write(2, sentence.encode())
            sys.exit(ReadWriteError.exit_code)
