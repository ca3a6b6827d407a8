"""The machine: the cores available to this process, the processor's name, its memory, and versions of packages."""

import os
import platform
import resource
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""Names of instructions that add products of uint8 and int8 in 32 bits."""


def available_cores(cgroup: Path = CGROUP) -> int:
    """Count the cores this process may use: its CPU affinity, and the container's quota where there is one.

    At least 1; a quota of a core and a half counts as one.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    affinity = len(os.sched_getaffinity(0))
    quota = _quota_cores(cgroup)
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's marketing name, or its architecture where the system does not tell."""
    return _read_field(cpuinfo, "model name") or platform.machine()


def int8_saturates(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the fast products of uint8 and int8 of this processor saturate: of x86 ones, those without VNNI.

    Source: https://github.com/microsoft/onnxruntime/issues/14642
    """
    flags = processor_flags(cpuinfo)
    return bool(flags) and flags.isdisjoint(VNNI)


def processor_flags(cpuinfo: Path = CPUINFO) -> set[str]:
    """Return the names of an x86 processor's instructions; none of others, and where the system does not tell."""
    return set((_read_field(cpuinfo, "flags") or "").split())  # ARM calls its own "Features"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def peak_rss_bytes() -> int:
    """Return the most memory that this process ever had, in bytes.

    getrusage is only the fallback: its figure begins with the memory of the process that started this one.

    Source: VmHWM of https://docs.kernel.org/filesystems/proc.html
    """
    peak = _read_field(_STATUS, "VmHWM")
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if peak is None else int(peak.split()[0])
    return kilobytes * 1024


def _read_field(file: Path, name: str) -> str | None:
    """Return a field of a file in /proc, in /proc/cpuinfo that of the first core; None if it is missing."""
    try:
        lines = file.read_text(errors="replace").splitlines()  # a process may have any bytes as its name
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def _quota_cores(cgroup: Path) -> float | None:
    """Return the container's CPU quota in cores, None if none is set."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)
