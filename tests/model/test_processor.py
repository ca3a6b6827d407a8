"""Cores that are really available."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ro32.model.processor import available_cores, int8_saturates, processor_name


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [("max 100000", 4), ("200000 100000", 2), ("150000 100000", 1), ("1000 100000", 1), ("900000 100000", 4)],
)
def test_container_quota_version_2(tmp_path: Path, cpu_max: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(cpu_max + "\n")
    assert available_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 4), ("300000", 3), ("50000", 1)])
def test_container_quota_version_1(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == cores


def test_no_container(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 4


def test_processor_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert processor_name(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert processor_name(tmp_path / "none") == os.uname().machine


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx_vnni\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", False),
        ("", False),
    ],
)
def test_int8_saturates_on_x86_without_vnni(tmp_path: Path, cpuinfo: str, *, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert int8_saturates(tmp_path / "cpuinfo") is expected


def test_the_peak_of_memory_is_not_that_of_the_parent() -> None:
    ballast = bytearray(400 << 20)  # resident, as a scheduler's memory may be
    code = "from ro32.model.processor import peak_rss_bytes; print(peak_rss_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1 << 20 < int(done.stdout) < len(ballast) // 2


def test_a_process_whose_name_is_no_text_has_a_peak_of_memory() -> None:
    """15 is PR_SET_NAME; a program has its file's name by default."""
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\xff', 0, 0, 0)"
    code += "; from ro32.model.processor import peak_rss_bytes; print(peak_rss_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1 << 20
