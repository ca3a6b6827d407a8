"""What is named as input is read, or refused, or named in a warning: nothing is left out in silence."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ro32.errors import InputDataError, InputMissingError, UsageError
from ro32.folder.update import score_folder
from ro32.model.classifier import Classifier
from ro32.run import inputs
from ro32.run.inputs import find_files, input_folders
from ro32.run.walk import score_file


class Warnings(list[tuple[str, str]]):
    """Collects warnings."""

    def __call__(self, kind: str, sentence: str) -> None:
        """Take one."""
        self.append((kind, sentence))


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    folder = tmp_path / "dump"
    folder.mkdir()
    return folder


def write(path: Path, content: bytes = b"PAR1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_folder_is_read_whole(dump: Path, tmp_path: Path) -> None:
    names = ["a.parquet", "B.PARQUET", "y/c.parq", "y/z/d.pq", "e.jsonl", "f.CSV", "g.tsv", "h.ndjson.gz", "i.csv.zst"]
    files = {write(dump / name) for name in names}
    elsewhere = write(tmp_path / "real" / "j.parquet")
    (dump / "link").symlink_to(elsewhere.parent)
    (dump / "real" / "loop").parent.mkdir()
    (dump / "real" / "loop").symlink_to(dump)
    (dump / "again").symlink_to(dump / "y")
    for hidden in (".k.parquet", "_l.parquet", "_tmp/m.parquet", "n.parquet.tmp"):
        write(dump / hidden)
    for other in ("README.md", "schema.json", "LICENSE"):
        write(dump / other, b"# The dump, of arXiv\n{}\n")
    warnings = Warnings()
    found = find_files([str(dump)], warnings)
    # The folder y has two names; which of them it is read by is no matter.
    assert {file.resolve() for file in found} == files | {elsewhere}
    assert len(found) == len(files) + 1
    assert not warnings


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("papers.parquet.bak", b"PAR1"),
        ("papers", b"PAR1"),
        ("snapshot.json", b'{"id": "1"}\n{"id": "2"}\n'),
        ("array.json", b'[{"id": "1"}]'),
        ("pretty.json", b'[\n  {"id": "1"}\n]'),
        ("papers.txt", b"id\ttitle\tabstract\n"),
        ("archive.zip", b"PK\x03\x04"),
        ("papers.feather", b"ARROW1\0\0"),
        ("papers.csv.xz", b"\xfd7zXZ\x00"),
    ],
)
def test_what_may_be_data_and_is_not_read_is_named(name: str, content: bytes, dump: Path) -> None:
    write(dump / name, content)
    with pytest.raises(InputMissingError, match=name):
        find_files([str(dump)])
    write(dump / "a.parquet")
    warnings = Warnings()
    assert find_files([str(dump)], warnings) == [dump / "a.parquet"]
    ((kind, sentence),) = warnings
    assert kind == "not_read"
    assert name in sentence


def test_what_is_no_data_may_vanish_meanwhile(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    papers, log, listed = write(dump / "a.parquet"), write(dump / "export.log"), inputs._visible_files

    def rotate(folder: Path) -> Iterator[Path]:
        yield from listed(folder)
        log.unlink()

    monkeypatch.setattr(inputs, "_visible_files", rotate)
    assert find_files([str(dump)]) == [papers]


def test_a_pattern_stands_for_files_and_folders(dump: Path) -> None:
    files = [write(dump / name) for name in ("2025/a.parquet", "2025/b.parq", "2026.csv")]
    write(dump / "_SUCCESS")
    assert find_files([f"{dump}/*"]) == files
    assert find_files([f"{dump}/**"]) == files
    assert input_folders([f"{dump}/*", "s3://bucket/"]) == [dump / "2025"]
    strange = write(dump / "papers[1].parquet")
    assert find_files([str(strange)]) == [strange]
    with pytest.raises(InputMissingError, match="no file matches"):
        find_files([f"{dump}/*.orc"])


@pytest.mark.skipif(os.geteuid() > 0, reason="gives up the rights of root for a while")
@pytest.mark.parametrize(("closed", "pattern"), [("2024", "*/*.parquet"), ("2024/deep", "**/a.*")])
def test_a_folder_that_a_pattern_passes_over_is_named(closed: str, pattern: str) -> None:
    warnings = Warnings()
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:  # in pytest's own nobody else may look
        dump = Path(name)
        dump.chmod(0o755)
        write(dump / closed / "a.parquet")
        file = write(dump / "2025" / "a.parquet")
        (dump / closed).chmod(0o711)
        os.seteuid(65534)
        try:
            found = find_files([f"{dump}/{pattern}"], warnings)
        finally:
            os.seteuid(0)
    ((kind, sentence),) = warnings
    assert found == [file]
    assert kind == "not_listed"
    assert f"{dump / closed}/ is not read: Permission denied" in sentence


def test_one_file_is_read_once(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(dump / "a.parquet")
    (dump / "b.parquet").symlink_to(file)
    os.link(file, dump / "c.parquet")
    monkeypatch.chdir(dump)
    warnings = Warnings()
    assert len(find_files(["a.parquet", str(file), "./b.parquet", "../dump/c.parquet", str(dump)], warnings)) == 1
    assert {kind for kind, _ in warnings} == {"same_file"}


def test_no_name_is_no_input(tmp_path: Path, classifier: Classifier) -> None:
    write(tmp_path / "labels.parquet")
    with pytest.raises(UsageError, match="found none"):
        score_file([], tmp_path / "labels.parquet", classifier=classifier)
    with pytest.raises(UsageError, match="found none"):
        score_folder([], tmp_path / "labels", classifier=classifier)


def test_an_empty_name_is_no_input() -> None:
    with pytest.raises(UsageError, match="an empty one"):
        find_files(["papers.parquet", ""])


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("within", [True, False], ids=["folder", "named"])
def test_only_files_are_opened(kind: str, within: bool, dump: Path) -> None:  # noqa: FBT001 - a parameter of a test
    path = dump / "x.parquet"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(InputDataError, match=f"x.parquet: expected a file, found a .*{kind}"):
        find_files([str(dump if within else path)])


def test_links_to_nothing_are_refused(dump: Path) -> None:
    write(dump / "a.parquet")
    (dump / "b.parquet").symlink_to("gone")
    for name in (dump, dump / "b.parquet", f"{dump}/*"):
        with pytest.raises(InputMissingError, match=r"b\.parquet is a link to nothing"):
            find_files([str(name)])


@pytest.mark.parametrize(
    ("sign", "kind"),
    [("_delta_log/0.json", "Delta"), ("metadata/v1.metadata.json", "Iceberg"), (".hoodie/h", "Hudi")],
)
def test_tables_of_other_systems_are_refused(sign: str, kind: str, dump: Path) -> None:
    write(dump / "table" / "a.parquet")
    write(dump / "table" / sign)
    with pytest.raises(InputDataError, match=f"table is an? {kind} table"):
        find_files([str(dump)])
