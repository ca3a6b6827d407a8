"""Ordinary surroundings: closed and full streams, no home, no temporary folder, names of any bytes, no network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ro32.printable import printable, short

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(papers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight papers in it."""
    folder = tmp_path_factory.mktemp("surroundings")
    pl.read_parquet(papers_path).head(8).write_parquet(folder / "papers.parquet")
    pl.read_parquet(papers_path).head(8).write_ndjson(folder / "papers.jsonl")
    return folder


def shell(
    line: str, folder: Path, python: str | Path = sys.executable, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in a folder, `score` being ro32-score."""
    command = f'score() {{ "{python}" -m ro32.cli.score "$@"; }}; {line}'
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "<&-", "<&- >&- 2>&-"])
def test_streams_that_are_not_needed_decide_nothing(
    streams: str, folder: Path, tiny_bundle: Path, python: Path
) -> None:
    (folder / "o.parquet").unlink(missing_ok=True)
    done = shell(f"score papers.parquet -o o.parquet --bundle {tiny_bundle} {streams}", folder, python)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(folder / "o.parquet").height == 8


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("score --version >/dev/full", 74),
        ("score --version >&-", 74),
        ("score - -o o.parquet <&-", 66),
        ("TMPDIR=/nonexistent; score papers.parquet -o o.parquet --bundle nothing", 78),
        ("mkdir gone; cd gone; rmdir ../gone; score a.parquet -o b.parquet", 66),
        ("ulimit -v 800000; score papers.parquet -o o.parquet", 74),
        ("ulimit -d 300000; score papers.parquet -o o.parquet", 74),
        ("ulimit -n 10; score papers.parquet -o o.parquet", 74),
        ("POLARS_MAX_THREADS=0 score papers.parquet -o o.parquet", 2),
        ("POLARS_ASYNC_THREAD_COUNT=0 score papers.parquet -o o.parquet", 2),
    ],
)
def test_what_is_missing_is_named(line: str, code: int, folder: Path, python: Path) -> None:
    done = shell(line, folder, sys.executable if "ulimit" in line or "POLARS" in line else python)
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_has_enough_is_no_error(folder: Path, python: Path) -> None:
    done = shell("score --help | head -1", folder, python)
    assert done.stderr == b""


def test_a_pipe_of_the_shell_is_read(folder: Path, tiny_bundle: Path, python: Path) -> None:
    done = shell(f"score <(cat papers.jsonl) -o /dev/stdout -q --bundle {tiny_bundle}", folder, python)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8


@pytest.mark.drawn(4)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("score papers.parquet --config <(echo 'output = \"o.parquet\"')", 0),
        ("score papers.parquet --config /proc/self/fd/4 4< <(sleep 0.2; echo 'output = \"o.parquet\"')", 0),
        ("echo 'output = \"o.parquet\"' | score papers.parquet --config /dev/stdin", 0),
        ("score papers.parquet -o o.parquet --threshold 7 --config <(echo 'log-format = \"json\"')", 2),
        ("score papers.parquet -o o.parquet --config <(echo 'colour = 1')", 2),
        ("score papers.parquet -o o.parquet --config <(head -c 2000000 /dev/zero)", 2),
        ("mkfifo fifo; score papers.parquet -o o.parquet --config fifo", 2),
        ("score papers.parquet -o o.parquet --config /dev/null", 2),
        ("score papers.parquet -o o.parquet --config /dev/fd/4 4</dev/zero", 2),
        ("score papers.parquet -o o.parquet --config /dev/fd/9", 2),
        ("score papers.parquet -o o.parquet --config /dev/fd/99999999999999999999", 2),
    ],
)
def test_options_come_from_a_pipe_of_the_shell_and_from_no_other(
    line: str, code: int, folder: Path, tiny_bundle: Path, python: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "papers.parquet", tmp_path)
    done = shell(line, tmp_path, sys.executable if "<(" in line else python, RO32_BUNDLE=str(tiny_bundle))
    assert done.returncode == code, done.stderr
    assert (tmp_path / "o.parquet").exists() == (code == 0)
    assert ("log-format" in line) == done.stderr.startswith(b"{")


def test_a_name_of_any_bytes_is_a_name(folder: Path, tiny_bundle: Path) -> None:
    shutil.copy(folder / "papers.parquet", os.fsdecode(os.fsencode(folder) + b"/p-\xff.parquet"))
    line = "score p-*.parquet -o $'o-\\xfe.parquet' --report r.json --log-format json"
    done = shell(f"{line} --bundle {tiny_bundle}", folder, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "r.json").read_text())["exit_code"] == 0
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()][-1] == "summary"


def test_nothing_is_written_or_asked_outside_of_the_job(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """In a network namespace without a device, where the C library's look-ups would be seen by strace."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    if shutil.which("strace") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("needs strace, and the right to make a network namespace")
    trace = f"unshare -n strace -f -qq -e trace=socket,connect,sendto -o {tmp_path}/trace"
    line = f"{trace} {sys.executable} -m ro32.cli.score papers.parquet -o o.parquet -q --bundle {tiny_bundle}"
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "CI": "", "XDG_CACHE_HOME": ""}
    done = shell(f"unset CI GITHUB_ACTIONS; {line}; code=$?; exit $code", folder, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert [path for path in (*home.rglob("*"), *temporary.rglob("*")) if path.is_file()] == []
    assert "AF_INET" not in (tmp_path / "trace").read_text()


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nb", "\u202e", "\u200b", "\udcff", "\x9b", "\x7f"])
def test_what_is_not_visible_is_escaped(text: str) -> None:
    assert printable(text).isprintable()
    assert printable("Größe 机器人 é") == "Größe 机器人 é"


def test_a_long_message_keeps_its_end() -> None:
    assert short("x" * 10_000 + "what to do").endswith("what to do")
    assert len(short("x" * 10_000)) < 2_100


def test_many_columns_make_a_short_message(tmp_path: Path, python: Path) -> None:
    pl.DataFrame({f"column \x1b[31m {number}": [1] for number in range(3_000)}).write_parquet(tmp_path / "a.parquet")
    done = shell("score a.parquet -o o.parquet", tmp_path, python)
    assert done.returncode == 65
    assert len(done.stderr) < 2_500
    assert b"\x1b" not in done.stderr
    assert b"and 2,980 more" in done.stderr


def test_too_few_threads_are_reported_before_a_library_aborts() -> None:
    program = """
import threading
start, left = threading.Thread.start, 3
def limited(thread):
    global left
    left -= 1
    if left < 0:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = limited
import ro32.cli.score
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 74
    assert done.stderr.startswith("ro32: 3 threads can be started, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.drawn(6)
@pytest.mark.parametrize(
    ("module", "args", "extra"), [("export", "a -o b --papers c", "export"), ("bench", "training", "train")]
)
def test_a_missing_package_is_named(module: str, args: str, extra: str) -> None:
    program = f"""
import importlib.util, runpy, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "torch" else find(name, *more)
sys.meta_path.insert(0, Missing())
sys.argv = "{module} {args}".split()
runpy.run_module("{module}", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]  # transformers warns before
    assert last == f"{module}: this needs the package torch; run: pip install 'ro32[{extra}]'"
