"""What stands where a path leads: devices, pipes and sockets are refused before they are opened, and never replaced."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ro32.errors import OutputError
from ro32.run.prepare import resolve_output
from ro32.storage import durable
from ro32.storage.local_parts import LocalParts, parts_folder
from ro32.storage.lock import lock_path

Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and mounts")


@pytest.fixture
def source(tmp_path: Path, papers: pl.DataFrame) -> Path:
    """A few papers with categories."""
    papers.head(5).write_parquet(tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


@pytest.fixture
def command(python: Path, tmp_path: Path, tiny_bundle: Path) -> Command:
    """Run a command in a process of its own, which must end within a minute."""

    def call(name: str, *args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        bundle = ["--bundle", tiny_bundle] if name == "score" and "--bundle" not in args else []
        program = [str(python), "-m", f"ro32.cli.{name}", *map(str, (*args, *bundle))]
        settings = {"capture_output": True, "text": True, "timeout": 120, "cwd": tmp_path} | options
        return subprocess.run(program, check=False, **settings)  # type: ignore[call-overload,no-any-return]

    return call


def ended(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """Check how a command ended: with a code and one sentence."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr


@pytest.mark.parametrize(
    "place",
    [
        "labels.parquet",
        ".labels.parquet.lock",
        ".labels.parquet.parts",
        "run.json",
        "run.prom",
        "out/papers.parquet",
        "out/_manifest.json",
    ],
)
def test_a_pipe_is_no_place_to_write_to(command: Command, source: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / place)
    output = "out/" if place.startswith("out/") else "labels.parquet"
    done = command("score", source, "-o", output, "--report", "run.json", "--metrics-file", "run.prom")
    ended(done, 73, place)
    assert (tmp_path / place).is_fifo()
    assert not (tmp_path / "labels.parquet").is_file()
    assert not (tmp_path / ".labels.parquet.lock").is_file()


@pytest.mark.parametrize("place", ["papers.parquet", "dump/b.parquet", "old.parquet", "bundle/model.onnx"])
def test_a_pipe_is_no_input(command: Command, source: Path, tmp_path: Path, tiny_bundle: Path, place: str) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "dump").mkdir()
    shutil.copy(source, tmp_path / "dump" / "a.parquet")
    (tmp_path / place).unlink(missing_ok=True)
    os.mkfifo(tmp_path / place)
    reuse = ["--reuse", "old.parquet"] if place == "old.parquet" else []
    papers = "dump" if place.startswith("dump") else "papers.parquet"
    done = command("score", papers, "-o", "labels.parquet", "--bundle", "bundle", *reuse)
    ended(done, 78 if place == "bundle/model.onnx" else 65, "a named pipe (FIFO)")


@pytest.mark.parametrize("option", ["--labels", "--html", "PAPERS"])
def test_a_pipe_is_not_evaluated(command: Command, source: Path, tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    args = ["pipe"] if option == "PAPERS" else [str(source), option, "pipe"]
    codes = {"--labels": 66, "--html": 73, "PAPERS": 65}
    ended(command("evaluate", *args), codes[option], "a named pipe (FIFO)")


def test_a_pipe_is_no_file_of_options_and_a_file_no_store(command: Command, source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ended(command("score", source, "-o", "labels.parquet", "--config", "pipe"), 2, "a named pipe (FIFO)")
    ended(command("bundles", "list", "--store", "pipe"), 78, "pipe: cannot be read")


def test_a_dump_is_no_file_of_options(command: Command, source: Path, tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.truncate(1 << 31)
    ended(command("score", source, "-o", "labels.parquet", "--config", "long"), 2, "longer than 1,048,576 bytes")


def test_a_pipe_is_no_bundle_to_install(command: Command, tmp_path: Path, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "bundle.json").unlink()
    os.mkfifo(tmp_path / "bundle" / "bundle.json")
    ended(command("bundles", "install", "bundle", "--store", "store"), 78, "a named pipe (FIFO)")
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "store" / "tiny")
    ended(command("bundles", "install", str(tiny_bundle), "--store", "store", "--name", "tiny"), 73, "already exists")
    ended(command("bundles", "install", str(tiny_bundle), "--store", "store/tiny"), 73, "cannot be created")


@ROOT
@pytest.mark.parametrize("name", ["labels.parquet", "run.json"])
def test_a_device_is_never_replaced(command: Command, source: Path, tmp_path: Path, name: str) -> None:
    os.mknod(tmp_path / name, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    ended(command("score", source, "-o", "labels.parquet", "--report", "run.json"), 73, "found a device")
    assert (tmp_path / name).is_char_device()


def test_links_to_pipes_sockets_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    for name, found in (("pipe", "a named pipe"), ("socket", "a socket"), ("gone", "a link to nothing")):
        (tmp_path / "link").symlink_to(name)
        for path in (tmp_path / name, tmp_path / "link")[name == "gone" :]:
            with pytest.raises(OutputError, match=found):
                resolve_output(path, [])
            with pytest.raises(OutputError, match=found):
                durable.write(path, b"report")
        (tmp_path / "link").unlink()


def test_the_log_of_a_run_is_not_replaced_by_its_report(command: Command, source: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        options = {"capture_output": False, "stdout": log, "stderr": log}
        done = command("score", source, "-o", "labels.parquet", "--report", "/dev/stderr", **options)
    assert done.returncode == 73
    assert "the file that stdout is" in (tmp_path / "log").read_text()


def test_labels_keep_the_mode_of_those_they_replace(command: Command, source: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.parquet"
    ended(command("score", source, "-o", labels, umask=0o027), 0)
    assert stat.S_IMODE(labels.stat().st_mode) == 0o640
    labels.chmod(0o604)
    ended(command("score", source, "-o", labels, umask=0o077), 0)
    assert stat.S_IMODE(labels.stat().st_mode) == 0o604
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "papers.parquet"]


@ROOT
def test_labels_keep_the_owner_where_root_replaces_them(tmp_path: Path) -> None:
    (tmp_path / "labels").touch()
    os.chown(tmp_path / "labels", 65534, 65534)
    durable.write(tmp_path / "labels", b"new")
    assert ((tmp_path / "labels").stat().st_uid, (tmp_path / "labels").stat().st_gid) == (65534, 65534)


@ROOT
def test_labels_keep_the_mode_where_their_owner_is_unknown(tmp_path: Path) -> None:
    """As in a container without root, which knows few users."""
    if _undone("unshare", "-U", "-r", "true"):
        pytest.skip("no namespace of users can be made here")
    (tmp_path / "labels").touch(mode=0o600)
    os.chown(tmp_path / "labels", 1234, 1234)
    write = "import sys, pathlib; from ro32.storage import durable; durable.write(pathlib.Path(sys.argv[1]), b'new')"
    subprocess.run(["unshare", "-U", "-r", sys.executable, "-c", write, tmp_path / "labels"], check=True)
    assert (tmp_path / "labels").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "labels").stat().st_mode) == 0o600


@pytest.mark.parametrize("named", ["dump", "dump/*.parquet", "d*/**/*.parquet"])
def test_labels_within_the_input_are_refused_the_first_time(
    command: Command, source: Path, tmp_path: Path, named: str
) -> None:
    (tmp_path / "dump").mkdir()
    shutil.copy(source, tmp_path / "dump" / "a.parquet")
    (tmp_path / "other").symlink_to("dump")
    done = command("score", named, "-o", "other/labels.parquet")
    ended(done, 73, "within the input", "name a file elsewhere")
    assert os.listdir(tmp_path / "dump") == ["a.parquet"]  # noqa: PTH208 - names are enough


@pytest.mark.parametrize(
    ("named", "report"),
    [
        ("dump", "dump/run.parquet"),
        ("dump", "dump/deep/run.CSV"),
        ("dump/*", "dump/run.prom"),
        ("d*", "dump/run.jsonl"),
    ],
)
def test_a_report_that_would_be_read_as_papers_is_refused(
    command: Command, source: Path, tmp_path: Path, named: str, report: str
) -> None:
    (tmp_path / "dump" / "deep").mkdir(parents=True)
    shutil.copy(source, tmp_path / "dump" / "a.parquet")
    option = "--metrics-file" if report.endswith(".prom") else "--report"
    done = command("score", named, "-o", "labels.parquet", option, report)
    ended(done, 73, report, "would read it as papers")
    assert not (tmp_path / report).exists()
    ended(command("evaluate", named, "--html", report), 73, "would read it as papers")


def test_a_report_beside_the_papers_is_written(command: Command, source: Path, tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    shutil.copy(source, tmp_path / "dump" / "a.parquet")
    ended(command("score", "dump", "-o", "labels.parquet", "--report", "dump/run.json"), 0)
    assert (tmp_path / "dump" / "run.json").exists()


@pytest.mark.parametrize("report", ["out/papers.parquet", "out/_manifest.json"])
def test_a_report_takes_no_place_of_labels(command: Command, source: Path, tmp_path: Path, report: str) -> None:
    ended(command("score", source, "-o", "out/"), 0)
    before = (tmp_path / report).read_bytes()
    ended(command("score", source, "-o", "out/", "--report", report), 73, report)
    assert (tmp_path / report).read_bytes() == before


@pytest.mark.parametrize("name", ["options.toml", "bundle/model.onnx", "bundle/bundle.json"])
@pytest.mark.parametrize("option", ["-o", "--report"])
def test_what_a_run_reads_is_not_replaced(
    command: Command, source: Path, tmp_path: Path, tiny_bundle: Path, name: str, option: str
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "options.toml").write_text("threshold = 0.5")
    (tmp_path / "link").symlink_to(name)
    before = (tmp_path / name).read_bytes()
    output = ["-o", "link"] if option == "-o" else ["-o", "labels.parquet", option, "link"]
    done = command("score", source, *output, "--config", "options.toml", "--bundle", "bundle")
    ended(done, 73, f"is the input file {name} itself")
    ended(command("evaluate", source, "--bundle", "bundle", "--html", "bundle/model.onnx"), 73, "bundle/model.onnx")
    assert (tmp_path / name).read_bytes() == before


def _undone(command: str, *args: str | Path) -> bool:
    """Run a system program; whether there is none, or it may not do what it is asked."""
    return (
        shutil.which(command) is None
        or subprocess.run([command, *args], capture_output=True, check=False).returncode > 0
    )


@ROOT
def test_a_mount_point_cannot_be_replaced(tmp_path: Path) -> None:
    for name in ("labels", "elsewhere"):
        (tmp_path / name).touch()
    if _undone("mount", "--bind", tmp_path / "elsewhere", tmp_path / "labels"):
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(OutputError, match="mount point"):
            resolve_output(tmp_path / "labels", [])
    finally:
        subprocess.run(["umount", tmp_path / "labels"], check=True)


@ROOT
@pytest.mark.parametrize(("flag", "name"), [("+i", "labels"), ("+a", "labels"), ("+a", "."), ("+i", ".")])
def test_what_may_not_be_changed_is_refused_before_scoring(
    command: Command, source: Path, tmp_path: Path, flag: str, name: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "labels").write_bytes(b"old")
    if _undone("chattr", flag, folder / name):
        pytest.skip("the file system knows no such flags")
    try:
        ended(command("score", source, "-o", "folder/labels"), 73, "folder/")
        if name == ".":
            ended(command("score", source, "-o", "folder/new"), 73, "folder/")
        assert (folder / "labels").read_bytes() == b"old"
    finally:
        subprocess.run(["chattr", flag.replace("+", "-"), folder / name], check=True)


@ROOT
def test_a_file_of_somebody_else_in_a_sticky_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    (tmp_path / "sticky" / "labels").touch()
    program = """
import os
from pathlib import Path
from ro32.storage.durable import check_replaceable
os.setgroups([]), os.setgid(65534), os.setuid(65534)
check_replaceable(Path("labels"))
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "sticky", capture_output=True, text=True, check=False
    )
    assert "OutputError: labels: cannot be replaced: Operation not permitted" in found.stderr
    assert (tmp_path / "sticky" / "labels").exists()


@ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="gives up the rights of root")
@pytest.mark.parametrize(
    ("name", "mode", "options", "code", "says"),
    [
        (".labels.parquet.parts", 0o755, [], 73, ".parts: left by a run of another user; remove it"),
        (".labels.parquet.parts", 0o700, ["--status"], 73, ".parts: left by a run of another user; remove it"),
        (f".labels.parquet.parts/{'0' * 32}", 0o700, ["--status"], 74, "cannot be looked at"),
        (".labels.parquet.lock", 0o644, [], 73, "if no other user's run is active, remove it"),
    ],
)
def test_what_a_killed_run_of_another_user_left_is_named(
    source: Path, tmp_path: Path, tiny_bundle: Path, name: str, mode: int, options: list[str], code: int, says: str
) -> None:
    """As of `sudo ro32-score`, before the nightly run of an ordinary user."""
    left = tmp_path / name
    if name.endswith(".lock"):
        left.touch()
    else:
        left.mkdir(parents=True)
    left.chmod(mode)
    os.chown(left, 65534, 65534)
    command: list[str | Path] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable]
    command += ["-m", "ro32.cli.score", source, "-o", "labels.parquet", "--bundle", tiny_bundle, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    ended(done, code, says)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_was_ignored_from_the_beginning_stays_ignored(
    source: Path, tmp_path: Path, tiny_bundle: Path, papers: pl.DataFrame, number: signal.Signals
) -> None:
    papers.write_parquet(source)
    args = [sys.executable, "-m", "ro32.cli.score", source, "-o", "labels.parquet", "--part-rows", "20"]
    quoted = " ".join(f"'{arg}'" for arg in (*args, "--bundle", tiny_bundle))
    with subprocess.Popen(["sh", "-c", f"trap '' {number.name[3:]}; exec {quoted}"], cwd=tmp_path) as run:
        deadline = time.monotonic() + 60
        while not lock_path(tmp_path / "labels.parquet").exists() and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run.send_signal(number)
        assert run.wait(timeout=100) == 0
    assert pl.read_parquet(tmp_path / "labels.parquet").height == papers.height


@pytest.mark.parametrize("name", ["labels", "l[1].parquet", "l*"])
def test_only_what_runs_for_this_very_target_left_is_removed(tmp_path: Path, name: str) -> None:
    target, run = tmp_path / name, "0" * 32
    parts = parts_folder(target)
    foreign = [
        tmp_path / ".labels.parquet.0123abcd.tmp",
        tmp_path / ".l1.parquet.0123abcd.tmp",
        tmp_path / f".{name}.0123abcd.tmp.tmp",
        tmp_path / f".{name}.old.tmp",
        parts / "notes.txt",
        parts / run / "00000001-notes.parquet",
    ]
    own = [
        tmp_path / f".{name}.0123abcd.tmp",
        parts / run / f"00000001-{'a' * 64}.parquet",
        parts / run / f".00000001-{'a' * 64}.parquet.0123abcd.tmp",
        parts / ("1" * 32) / f"00000002-{'a' * 64}.parquet",
    ]
    for path in (*foreign, *own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    LocalParts(target, run).clear()
    assert all(path.exists() for path in foreign)
    assert not any(path.exists() for path in own)
    assert not own[-1].parent.exists()


def test_a_lock_excludes_runs_though_each_removes_it(python: Path, tmp_path: Path) -> None:
    """Many short runs beside each other: none is within while another is, and no lock file is left."""
    program = """
import sys
from pathlib import Path
from ro32.errors import TryAgainError
from ro32.storage.lock import only_run
target, held = Path("labels"), 0
for _ in range(60):
    try:
        with only_run(target):
            count = int(Path("count").read_text())
            Path("count").write_text(str(count + 1))
            held += 1
    except TryAgainError:
        pass
print(held)
"""
    (tmp_path / "count").write_text("0")
    runs = [
        subprocess.Popen([python, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    held = [int(run.communicate(timeout=200)[0]) for run in runs]
    assert sum(held) == int((tmp_path / "count").read_text()) > 0
    assert not lock_path(tmp_path / "labels").exists()


def test_a_link_in_the_place_of_the_lock_is_not_followed(command: Command, source: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"data")
    lock_path(tmp_path / "labels.parquet").symlink_to("precious")
    ended(command("score", source, "-o", "labels.parquet"), 73, ".labels.parquet.lock")
    assert (tmp_path / "precious").read_bytes() == b"data"


def test_a_file_of_two_names_in_the_place_of_the_lock_is_not_written_to(
    command: Command, source: Path, tmp_path: Path
) -> None:
    before = source.read_bytes()
    lock_path(tmp_path / "labels.parquet").hardlink_to(source)
    command("score", source, "-o", "labels.parquet")
    assert source.read_bytes() == before
